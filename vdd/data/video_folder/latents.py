"""Windows as latents of a frozen image autoencoder."""

import functools
import hashlib
from collections.abc import Callable

import jax
import numpy as np
from etils import epath
from jaxtyping import Float16, UInt8

from vdd.errors import UserError

_FRAMES = 8  # encoded at once: a few hundred megabytes at 256 pixels
_FILES = {"encoder": "taef2_encoder.safetensors", "decoder": "taef2_decoder.safetensors"}


def encode(
    video: UInt8[np.ndarray, "t h w 3"], weights: str
) -> Float16[np.ndarray, "t height width c"]:
    """The latents of each frame, an eighth as high and wide, as the published network gives them.

    Args:
      video: one window.
      weights: folder of the autoencoder's published files.
    """
    encoder = load_encoder(weights)
    filling = -len(video) % _FRAMES
    chunks = np.concatenate([video, video[:1].repeat(filling, axis=0)])
    encoded = [np.asarray(encoder(chunks[i : i + _FRAMES])) for i in range(0, len(chunks), _FRAMES)]
    return np.concatenate(encoded)[: len(video)].astype(np.float16)


@functools.cache
def fingerprint(weights: str) -> str:
    """Tells the latents of one encoder from those of another."""
    with (epath.Path(weights) / _FILES["encoder"]).open("rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


@functools.cache
def load_encoder(weights: str) -> Callable[[np.ndarray], jax.Array]:
    """The encoder of uint8 frames, compiled once a process.

    Raises:
      UserError: a file is missing or broken.
    """
    from vdd.models import autoencoder
    from vdd.pixels import to_float

    files = {part: str(epath.Path(weights) / name) for part, name in _FILES.items()}
    for path in files.values():
        if not epath.Path(path).exists():
            raise UserError(f"--latents needs {path}: give the folder of it by --weights=DIR")
    model, params = autoencoder.load("tiny", **files)

    @jax.jit
    def encoder(frames: jax.Array) -> jax.Array:
        return model.apply(params, to_float(frames), method=model.encode)

    return encoder
