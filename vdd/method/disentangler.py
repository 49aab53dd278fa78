"""The whole model: encode -> bottlenecks -> denoise. Read this file first.

A clip of latents z [b t h w c] is read by one encoder into content [b k d], once a clip, and motion
[b t m], every frame. Content passes a Gaussian bottleneck, motion a vector-quantised one; the
denoiser sees both, and nothing else, beside the noisy frames.
"""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from einops import reduce, repeat
from jaxtyping import Array, Float, Int, PRNGKeyArray

from vdd import errors
from vdd.config import Fields
from vdd.method.content import Content, ContentCode, GaussianContent, Place, ReferenceContent
from vdd.method.quantizer import Codebook, Codes, Grid, GumbelQuantizer, StraightThroughQuantizer
from vdd.models import kinds
from vdd.models import latents as latent_spaces
from vdd.models.content_map import ContentMap, ReferenceMap, reference_frame
from vdd.models.denoiser import Denoiser
from vdd.models.encoder import Encoder
from vdd.models.latents import Latents
from vdd.pixels import to_float


def _grid(book: Fields, **fields: Any) -> StraightThroughQuantizer:
    return StraightThroughQuantizer(Grid(**book), **fields)


def _straight_through(book: Fields, **fields: Any) -> StraightThroughQuantizer:
    return StraightThroughQuantizer(Codebook(**book), **fields)


def _gumbel_softmax(book: Fields, **fields: Any) -> GumbelQuantizer:
    return GumbelQuantizer(Codebook(**book), **fields)


QUANTIZERS = {
    "straight_through": _straight_through,
    "gumbel_softmax": _gumbel_softmax,
    "grid": _grid,
}


class ContentPath(NamedTuple):
    """How content is read, and its bottleneck."""

    content_map: ContentMap | ReferenceMap | None  # beside the encoder's queries, if any
    bottleneck: GaussianContent | ReferenceContent


def _tokens(dim: int, book: Fields, place: Place, dtype: jnp.dtype) -> ContentPath:
    """Content is read by the encoder's queries."""
    del book, place, dtype
    return ContentPath(None, GaussianContent(dim))


def _map(
    dim: int,
    side: int,
    channels: tuple[int, ...],
    book: Fields,
    place: Place,
    dtype: jnp.dtype,
) -> ContentPath:
    """Content is a map of side x side places, each a token."""
    del book, place
    return ContentPath(ContentMap(side, tuple(channels), dtype), GaussianContent(dim))


def _reference(dim: int, side: int, book: Fields, place: Place, dtype: jnp.dtype) -> ContentPath:
    """Content is one frame, and the motion of that frame."""
    del dtype
    width = book["num_groups"] * book.get("code_dim", 1)
    if width > dim:
        raise ValueError(f"motion of {width} numbers does not fit into content of dim={dim}")
    pose_bits = book["num_groups"] * math.log2(book["num_codes"])
    return ContentPath(ReferenceMap(dim, side), ReferenceContent(dim, pose_bits, place))


CONTENTS = {"tokens": _tokens, "map": _map, "reference": _reference}  # by `model.content.kind`


class Features(NamedTuple):
    """What is read out of clips, before any bottleneck."""

    content: Float[Array, "b k w"]
    motion: Float[Array, "b t m"]
    rest: Float[Array, "b m"]  # the rest pose, from which motion is measured


class Disentangler(nn.Module):
    """Bitrate-controlled diffusion (Li et al., ICCV 2025).

    `content_code` is ours and optional; `vdd compress` learns it after the rest. So is
    `motion_window`, which no training needs, and the read-out in the denoiser.

    With `relative_motion` (ours) motion is measured from a rest pose, its mean over the clip: codes
    cannot say over and over what stays, such as who it is, and they tell small movements apart
    from the first step of training on. The motion of one clip then drives another from where that
    one rests.

    Raises SettingError for a window of less than no frames.
    """

    latents: Latents
    encoder: Encoder
    content: GaussianContent | ReferenceContent
    quantizer: StraightThroughQuantizer | GumbelQuantizer
    denoiser: Denoiser
    content_code: ContentCode | None = None
    motion_window: int = 0  # frames that `read` reads motion in; 0: all of the clip
    relative_motion: bool = False

    def __post_init__(self):
        errors.at_least(0, self, "motion_window")
        errors.switches(self, "relative_motion")
        super().__post_init__()

    def setup(self):
        """The head that turns the encoder's output into groups of vectors."""
        book = self.quantizer.codebook
        self.motion_head = nn.Dense(book.num_groups * book.code_dim, use_bias=False)

    @classmethod
    @errors.group("model")
    def from_config(cls, config) -> "Disentangler":
        """Build from `config.model`; its keys are the fields of the modules they name.

        Raises SettingError for a key or a value that there is not.
        """
        parts: dict[str, Any] = {
            k: dict(v) if hasattr(v, "items") else v for k, v in config.items()
        }
        with errors.group("dtype"):
            dtype = jnp.dtype(parts.pop("dtype"))
        latents = latent_spaces.from_config(parts.pop("latents"))
        quantizer = parts.pop("quantizer")
        sizes = ("num_groups", "num_codes", "code_dim", "merged")
        book = {f: quantizer.pop(f) for f in sizes if f in quantizer}
        built = kinds.build(QUANTIZERS, "quantizer", quantizer, book=book)
        patch = latents.patch
        place = (patch, patch, latents.shape[-1] // patch**2)
        given = {"book": book, "place": place, "dtype": dtype}
        path = kinds.build(CONTENTS, "content", parts.pop("content"), "tokens", **given)
        with errors.group("encoder"):
            reader = Encoder(**parts.pop("encoder"), content_map=path.content_map, dtype=dtype)
        code = parts.pop("content_code", None)
        shape = (path.bottleneck.num_tokens(reader.num_contents), path.bottleneck.dim)
        model = cls(
            latents=latents,
            encoder=reader,
            content=path.bottleneck,
            quantizer=built,
            denoiser=Denoiser.from_config(parts.pop("denoiser"), latents.shape, dtype),
            content_code=ContentCode(**code, shape=shape) if code else None,
            **parts,
        )
        model.denoiser.check_content(model.content_shape[0])
        if path.content_map is not None:
            with errors.group("content"):
                path.content_map.check(*latents.shape)
        if getattr(model.denoiser.readout, "patch", 1) not in (1, patch):
            raise ValueError(f"a warp moves places or pixels: readout.patch is 1 or {patch}")
        return model

    @property
    def content_shape(self) -> tuple[int, int]:
        """Content tokens of a clip, and the numbers of each: (k, d)."""
        return self.content.num_tokens(self.encoder.num_contents), self.content.dim

    def to_latents(self, video: Array) -> Float[Array, "b t H W C"]:
        """Latents of a video, uint8 or float in [-1, 1]."""
        return self.latents.encode(to_float(video))

    def normalize(self, raw: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """Latents from those that an autoencoder gave, cached as they were."""
        return self.latents.normalize(raw)

    def to_video(self, latents: Float[Array, "b t h w c"]) -> Float[Array, "b t H W C"]:
        """The video in [-1, 1] that the latents stand for."""
        return self.latents.decode(latents)

    def encode(
        self, latents: Float[Array, "b t h w c"], rest: Float[Array, "b m"] | None = None
    ) -> Features:
        """Read a clip: content [b k w] and motion [b t m], both before their bottlenecks.

        `rest` is the rest pose that relative motion is measured from; None: that of the clip.
        """
        return self._encode(latents, rest)[0]

    def encode_in_training(
        self, latents: Float[Array, "bs t h w c"], segments: int = 1
    ) -> tuple[Features, dict[str, Array]]:
        """`encode`, and what the codebook learns of the batch (`vdd.method.quantizer.keep`).

        So many `segments` of a clip lie side by side; they have one rest pose.
        """
        return self._encode(latents, segments=segments, fresh=True)

    def _encode(
        self, latents, rest=None, segments=1, fresh=False
    ) -> tuple[Features, dict[str, Array]]:
        content, motion = self.encoder(latents)
        motion = self.motion_head(motion).astype(jnp.float32)
        if rest is None:
            rest = self._rest(motion, segments)
        motion, statistics = self.quantizer.codebook.bound(motion - rest[:, None], fresh)
        middle = reference_frame(latents.shape[1])
        pose = self.quantizer(motion[:, middle : middle + 1]).quantized[:, 0]
        return Features(self.content.refer(content, pose), motion, rest), statistics

    def _rest(self, motion: Float[Array, "bs t m"], segments: int) -> Float[Array, "bs m"]:
        """What motion is measured from: zero, or its mean over all segments of a clip."""
        if not self.relative_motion:
            return jnp.zeros_like(motion[:, 0])
        mean = reduce(motion, "(b s) t m -> b m", "mean", s=segments)
        return repeat(mean, "b m -> (b s) m", s=segments)

    def read(
        self, latents: Float[Array, "b t h w c"], rest: Float[Array, "b m"] | None = None
    ) -> Features:
        """`encode` of a clip that is longer than the segments of training: content of all of it,
        motion in windows of `motion_window` frames, the last of which ends with the clip.

        Training reads motion in segments. A pose in the middle of a clip has neighbours there that
        it never had as the first frame of a segment, and is taken for another more often.
        """
        size, length = self.motion_window, latents.shape[1]
        if not 0 < size < length:
            return self.encode(latents, rest)
        starts = [*range(0, length - size, size), length - size]
        cut = jnp.concatenate([latents[:, start : start + size] for start in starts])
        *parts, last = jnp.split(self.motion_head(self.encoder(cut).motion), len(starts))
        left = length - size * len(parts)  # frames that no window before the last has read
        motion = jnp.concatenate([*parts, last[:, -left:]], axis=1).astype(jnp.float32)
        rest = self._rest(motion, 1) if rest is None else rest
        motion = self.quantizer.codebook.bound(motion - rest[:, None]).motion
        return self.encode(latents, rest)._replace(motion=motion)

    def compress(self, content: Float[Array, "b k w"], rng: PRNGKeyArray | None = None) -> Content:
        """The content bottleneck: tokens [b k d] and their bits.

        With `rng`, as in training, a draw from the posterior; without, its mean, by way of the
        content code where there is one.
        """
        compressed = self.content(content, rng)
        if rng is not None or self.content_code is None:
            return compressed
        return self.content_code(compressed.tokens)

    def quantize(self, motion: Float[Array, "b t m"], rng: PRNGKeyArray | None = None) -> Codes:
        """The motion bottleneck; quantised motion passes unchanged."""
        return self.quantizer(motion, rng)

    def lookup(self, codes: Int[Array, "b t n"]) -> Float[Array, "b t m"]:
        """Quantised motion from its codes."""
        return self.quantizer.codebook.lookup(codes)

    def mean(
        self, content: Float[Array, "b k d"], motion: Float[Array, "b t m"]
    ) -> Float[Array, "b t h w c"]:
        """The mean latents of frames with this content and motion, which is quantised."""
        return self.denoiser.mean(content, motion)

    def denoise(
        self,
        noisy: Float[Array, "b t h w c"],
        sigma: Float[Array, "b t"],
        content: Float[Array, "b k d"],
        motion: Float[Array, "b t m"],
        mean: Float[Array, "b t h w c"] | None = None,
    ) -> Float[Array, "b t h w c"]:
        """Estimate the clean latents from noisy ones at noise level `sigma` of each frame.

        `motion` is quantised; `mean` is what the method of that name gives, if it is known.
        """
        return self.denoiser(noisy, sigma, content, motion, mean)

    def __call__(self, video: Array) -> Float[Array, "b t h w c"]:
        """Touch every part once; used to initialise the parameters."""
        latents = self.to_latents(video)
        content, motion, _ = self.encode(latents)
        content, motion = self.compress(content).tokens, self.quantize(motion).quantized
        return self.to_video(self.denoise(latents, jnp.ones(latents.shape[:2]), content, motion))
