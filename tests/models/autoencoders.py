"""Small autoencoders of random parameters, and their files."""

from functools import partial

import jax
import numpy as np
from tiny import perturbed

from vdd import safetensors
from vdd.models import autoencoder
from vdd.models.autoencoder import published
from vdd.models.autoencoder.kl import KLAutoencoder

TINY = {"latent_channels": 3, "width": 8}
KL = KLAutoencoder(channels=(8, 16), num_blocks=1, latent_channels=3, groups=4)


def images(size=16, count=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (count, size, size, 3)).astype(np.float32)


def random_params(model, seed=0):
    return {"params": perturbed(autoencoder.param_shapes(model), seed)}


def tiny_files(folder, model, params):
    """The two files that madebyollin/taesd would publish; their paths by half."""
    tensors = published.to_tensors(params["params"])
    files = {}
    for half in ("encoder", "decoder"):
        prefix = f"{half}.layers."
        files[half] = folder / f"{half}.safetensors"
        part = {n.removeprefix(prefix): x for n, x in tensors.items() if n.startswith(prefix)}
        safetensors.write(files[half], part)
    return files


@partial(jax.jit, static_argnums=0)
def both_ways(model, params, x):
    latents = model.apply(params, x, method=model.encode)
    return latents, model.apply(params, latents, method=model.decode)
