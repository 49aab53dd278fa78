"""What `vdd compress` does: shorter codes for motion and content, learned on a finished run."""
