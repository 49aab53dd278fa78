"""Diffusion: the EDM equations and the samplers; no networks."""
