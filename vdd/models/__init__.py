"""Networks, from pixels to codes and back."""
