"""Protocols of the two sprite arts: swaps that a judge names, and what leaks."""
