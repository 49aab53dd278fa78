"""Diffusion: the equations of the process, and the samplers; no networks.

`process` is the one in use. Another one is a file beside `edm.py`, named here, that has what is
used of it: `corrupt`, `start`, `slope`, `levels`, `loss_weight`, `log_normal_sigma`, `PREDICTIONS`,
`denoise`, and `c_in`, `c_noise`, `fade` for what looks at noisy data beside the network. Data are
not scaled by the process: noisy = clean + sigma * noise.
"""

from vdd.diffusion import edm as process

__all__ = ["process"]
