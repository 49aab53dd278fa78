"""The method of the paper: read this folder first, and in it `disentangler.py`."""
