"""What a trained model is worth: judge, protocols, probes, report."""
