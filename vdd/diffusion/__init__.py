"""Diffusion: the equations of the process, and the samplers; no networks.

`process` is the one in use. Another one is a file beside `edm.py` with the same functions, named
here.
"""

from vdd.diffusion import edm as process

__all__ = ["process"]
