"""Training: the loss, one step, the loop around it, and what a pod needs."""
