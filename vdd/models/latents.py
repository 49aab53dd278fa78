"""Between pixels and the latents that the model works on: pixels folded, or an autoencoder's.

Both kinds have the same methods. What they measure of the data and the weights they stand on are
parameters (`params["latents"]`) that go wherever the model goes, and that no gradient reaches.
"""

import os
from collections.abc import Mapping
from types import MethodType
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from einops import rearrange
from etils import epath
from jaxtyping import Array, Float, PyTree, UInt8

from vdd import errors
from vdd.config import Fields
from vdd.errors import SettingError, UserError
from vdd.models import autoencoder
from vdd.models.autoencoder import Autoencoder
from vdd.models.unet import depth_to_space, space_to_depth
from vdd.pixels import to_float

WEIGHTS_VARIABLE = "VDD_WEIGHTS"

_STD = 0.5  # of latents
_LEAST_STD = 1e-4  # of a channel that says nothing
_FRAMES_AT_ONCE = 16  # that pass an autoencoder side by side, or one of each clip if that is more
# Files of weights in the folder that WEIGHTS_VARIABLE names.
_DEFAULT_FILES = {"encoder": "taef2_encoder.safetensors", "decoder": "taef2_decoder.safetensors"}


class PixelLatents(nn.Module):
    """Pixels folded into channels, less the mean frame of the data, at standard deviation 0.5.

    The mean frame and the scale are measured once, by `measure`, and never trained.
    """

    patch: int
    size: tuple[int, int, int]  # h w c of the video

    def setup(self):
        """The measured mean frame [h w c] and standard deviation."""
        self.mean = self.param("mean", nn.initializers.zeros, self.size)
        self.std = self.param("std", nn.initializers.ones, ())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Latent shape (h, w, c)."""
        h, w, c = self.size
        return h // self.patch, w // self.patch, c * self.patch**2

    def encode(self, video: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """Latents of a video in [-1, 1]."""
        mean, std = jax.lax.stop_gradient((self.mean, self.std))
        return space_to_depth((video - mean[None, None]) * (_STD / std), self.patch)

    def decode(self, latents: Float[Array, "b t H W C"]) -> Float[Array, "b t h w c"]:
        """Undo `encode`, clipped to [-1, 1]."""
        mean, std = jax.lax.stop_gradient((self.mean, self.std))
        video = depth_to_space(latents, self.patch) * (std / _STD) + mean[None, None]
        return jnp.clip(video, -1.0, 1.0)

    def normalize(self, raw: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """There are no raw latents of pixels.

        Raises:
            UserError: always.
        """
        del raw
        raise UserError("the data are an autoencoder's latents: set model.latents.kind=autoencoder")

    @staticmethod
    def measure(video: UInt8[Array, "b t h w c"]) -> dict[str, jax.Array]:
        """The parameters of this module from a sample of the data: mean frame and deviation."""
        x = to_float(video)
        mean = jnp.mean(x, axis=(0, 1))
        return {"mean": mean, "std": jnp.sqrt(jnp.mean(jnp.square(x - mean[None, None])))}


class AutoencoderLatents(nn.Module):
    """Latents of a frozen image autoencoder, each channel at mean 0 and standard deviation 0.5.

    `raw` latents are those of the autoencoder itself; statistics are theirs, measured once. With a
    `patch`, places are folded into channels as well.
    """

    autoencoder: Autoencoder
    patch: int
    size: tuple[int, int, int]  # h w c of the video

    def setup(self):
        """The weights, as a parameter of this module, and the measured statistics [c]."""
        channels = (self.autoencoder.latent_channels,)
        self.mean = self.param("mean", nn.initializers.zeros, channels)
        self.std = self.param("std", nn.initializers.ones, channels)
        if self.has_variable("params", "weights"):  # their shapes are known; asking takes a second
            self.weights = self.get_variable("params", "weights")
        else:
            self.weights = self.param("weights", self._init_weights)

    def _init_weights(self, rng: Array) -> PyTree:
        side = self.autoencoder.factor
        return self._network().init(rng, jnp.zeros((1, side, side, 3)))["params"]

    def _network(self) -> Autoencoder:
        return self.autoencoder.clone(parent=None, name=None)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Latent shape (h, w, c)."""
        h, w, _ = self.size
        side = self.autoencoder.factor * self.patch
        return h // side, w // side, self.autoencoder.latent_channels * self.patch**2

    def encode(self, video: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """Latents of a video in [-1, 1]; no gradient goes back into it."""
        return self.normalize(self.raw(video))

    def raw(self, video: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """The autoencoder's own latents of a video in [-1, 1]."""
        return raw_latents(self._network(), self.weights, video)

    def normalize(self, raw: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """Latents from the autoencoder's own ones, as they are cached: in any precision."""
        mean, std = self._statistics()
        return space_to_depth((raw.astype(jnp.float32) - mean) * (_STD / std), self.patch)

    def decode(self, latents: Float[Array, "b t H W C"]) -> Float[Array, "b t h w c"]:
        """The video in [-1, 1] of latents, clipped; a few frames at a time, to bound the memory."""
        mean, std = self._statistics()
        raw = depth_to_space(latents, self.patch) * (std / _STD) + mean
        weights = jax.lax.stop_gradient(self.weights)
        return jnp.clip(_frame_by_frame(self._network().decode, weights, raw), -1.0, 1.0)

    def _statistics(self) -> tuple[Array, Array]:
        mean, std = jax.lax.stop_gradient((self.mean, self.std))
        return mean[None, None, None, None], std[None, None, None, None]


def raw_latents(
    network: Autoencoder, weights: PyTree, video: Float[Array, "b t h w c"]
) -> Float[Array, "b t H W C"]:
    """An autoencoder's latents of the frames of a video in [-1, 1]; no gradient goes through."""
    return jax.lax.stop_gradient(_frame_by_frame(network.encode, weights, video))


def _frame_by_frame(method: MethodType, weights: PyTree, video: Array) -> Array:
    """A network's method on every frame: clips side by side, time in a loop."""
    network = cast(Autoencoder, method.__self__)
    b, t = video.shape[:2]
    at_once = max(n for n in range(1, t + 1) if t % n == 0 and n <= max(1, _FRAMES_AT_ONCE // b))
    out = jax.lax.map(
        lambda images: network.apply({"params": weights}, images, method=method),
        rearrange(video, "b t ... -> t b ..."),
        batch_size=at_once,
    )
    return rearrange(out, "t b ... -> b t ...")


Latents = PixelLatents | AutoencoderLatents

_KIND_KEYS = ("kind", "autoencoder", "architecture", "dtype", *_DEFAULT_FILES, "weights")


@errors.group("latents")
def from_config(config: Fields) -> Latents:
    """Latents as `config.model.latents` asks for them; no file is read.

    Its keys are `patch` and `size` for pixels. With kind="autoencoder" there are besides
    `autoencoder` ("tiny" or "kl"), the files of its weights (see `initial_params`), `architecture`
    (fields of the network, where they are not its defaults) and `dtype` ("float32" by default) that
    it computes in.

    Raises:
        SettingError: an unknown key or kind, a value that cannot be, or a size that is no multiple
            of what the autoencoder and the patch fold together.
    """
    settings = {k: v for k, v in config.items() if k not in _KIND_KEYS}
    kind = config.get("kind", "pixels")
    height, width, channels = settings["size"]
    errors.at_least(1, settings, "patch", "*size")
    taken = (3, 4) if kind == "pixels" else (3,)
    if channels not in taken:
        known = " or ".join(map(str, taken))
        raise SettingError(f"size={tuple(settings['size'])}: the channels must be {known}")
    if kind == "pixels":
        unknown = [key for key in _KIND_KEYS[1:] if key in config]
        if unknown:
            raise SettingError(f"{unknown[0]} is for kind=autoencoder")
        if height % settings["patch"] or width % settings["patch"]:
            raise ValueError(f"{height}x{width} in patches of {settings['patch']}")
        return PixelLatents(**settings)
    if kind != "autoencoder":
        raise ValueError(f"unknown kind of latents {kind!r}; there are: pixels, autoencoder")
    name = config["autoencoder"]
    if name not in autoencoder.KINDS:
        there = ", ".join(autoencoder.KINDS)
        raise ValueError(f"unknown autoencoder {name!r}; there are: {there}")
    fields = dict(config.get("architecture") or {})
    dtype = jnp.dtype(config.get("dtype", "float32"))
    with errors.group("architecture"):
        network = autoencoder.KINDS[name](**fields, dtype=dtype)
    latents = AutoencoderLatents(network, **settings)
    side = latents.autoencoder.factor * latents.patch
    if any(length % side for length in latents.size[:2]):
        raise SettingError(
            f"size={tuple(latents.size)}: with this autoencoder and patch, sides are"
            f" multiples of {side} pixels"
        )
    return latents


def initial_params(latents: Latents, config: Fields, batch: Mapping[str, Array]) -> PyTree:
    """`params["latents"]` for a new run: weights from their files, statistics from a batch.

    Args:
        latents: as `from_config` made them.
        config: the same `config.model.latents`: of a tiny autoencoder the files are `encoder` and
            `decoder` (None or left out: TAEF2's of $VDD_WEIGHTS), of a KL autoencoder `weights`.
        batch: `video` uint8 [b t h w c], or `latents` [b t h w c] as the autoencoder gives them.

    Raises:
        UserError: files that are missing or of another network; cached latents where there is no
            autoencoder.
    """
    if isinstance(latents, PixelLatents):
        if "video" not in batch:
            latents.normalize(batch["latents"])
        return latents.measure(batch["video"])
    network = latents.autoencoder
    files = _files(config)
    model, params = autoencoder.load(config["autoencoder"], dtype=network.dtype, **files)
    if model != network:
        raise UserError(
            f"{' and '.join(files.values())}: weights of {_architecture(model)}, where the config"
            f" says {_architecture(network)} (model.latents.architecture)"
        )
    weights = params["params"]
    if "latents" in batch:
        raw = batch["latents"].astype(jnp.float32)
    else:
        raw = raw_latents(network, weights, to_float(batch["video"]))
    return {
        "weights": weights,
        "mean": jnp.mean(raw, axis=(0, 1, 2, 3)),
        "std": jnp.maximum(jnp.std(raw, axis=(0, 1, 2, 3)), _LEAST_STD),
    }


def _files(config: Fields) -> dict[str, str]:
    folder = os.environ.get(WEIGHTS_VARIABLE)
    files = {}
    for name in autoencoder.FILES[config["autoencoder"]]:
        path = config.get(name)
        if not path and not (folder and name in _DEFAULT_FILES):
            raise UserError(
                f"no weights of the autoencoder: set model.latents.{name}"
                + (f", or ${WEIGHTS_VARIABLE}" if name in _DEFAULT_FILES else "")
            )
        files[name] = str(path or epath.Path(str(folder)) / _DEFAULT_FILES[name])
    return files


def _architecture(network: Autoencoder) -> str:
    fields = {k: v for k, v in vars(network).items() if k in type(network).__annotations__}
    return ", ".join(f"{k}={v}" for k, v in fields.items() if k != "dtype")
