"""Protocol of Universal LPC: swaps against drawings of what they ought to show."""
