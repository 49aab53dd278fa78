# pyright: standard
"""A trained run, ready for use: `Run`, which `vdd.load` gives.

Content of one clip in the motion of another:

    run = vdd.load("sprites")
    video = run.transfer(content_clips, motion_clips)
"""

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import jax
import numpy as np
from etils import epath
from jaxtyping import Array, Float, Int, PyTree, UInt8

from vdd import compiled, given, hub, motions, priors, runs, streaming
from vdd.config import Config
from vdd.data import datasets
from vdd.diffusion import samplers
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.method.cross_driving import segments_shape
from vdd.method.disentangler import Disentangler
from vdd.method.objective import Objective
from vdd.method.rates import Rates
from vdd.training.parameters import load_params

_FEW = 8  # frames, of which no parameter's shape depends

Clips = UInt8[Array | np.ndarray, "b t h w c"] | Float[Array | np.ndarray, "b t h w c"]


class Encoded(NamedTuple):
    """Clips taken apart, and what each part costs."""

    content: Float[np.ndarray, "b k d"]  # tokens, once a clip
    motion: Float[np.ndarray, "b t m"]  # quantised, every frame
    codes: Int[np.ndarray, "b t n"]  # of that motion
    content_bits: Float[np.ndarray, "b"]  # under the bottleneck's prior
    motion_bits: Float[np.ndarray, "b t"]  # under the run's prior, else those of even codes


@dataclasses.dataclass(frozen=True, repr=False)
class Run:
    """What a run directory holds, for inference.

    Its methods take clips as uint8 [b t h w c], or floats in [-1, 1], and give NumPy arrays. A
    model of four channels takes and gives RGBA, uint8 with straight alpha, as in PNG, or floats
    that are multiplied by it; RGB is opaque to it. They
    are thin over `vdd.apply`, whose pure functions take `model` and `params`, and compile once a
    shape. Clips longer than training showed are read and drawn in windows of that length.
    """

    config: Config  # a FrozenConfigDict; its keys are known when it is read
    model: Disentangler
    params: PyTree  # the Flax params dict (of the exponential moving average)
    step: int
    name: str = ""  # the run directory as it was named, or the name of a shipped model
    home: str = ""  # the run directory, wherever one is by now

    def __repr__(self) -> str:
        """In one line; the parameters are counted, not printed."""
        size = runs.count_parameters(self.params)
        return (
            f"Run({self.name!r}, step {self.step}, {runs.data_name(self.config)},"
            f" {runs.motion_target(self.config)} bits a frame, {size:,} parameters)"
        )

    @property
    def windows(self) -> tuple[int, int]:
        """Frames of a long clip that are read together, and how many of them two windows share.

        As many as training showed; an eighth is shared.
        """
        size = frames_shown(self.config)
        return size, size // 8

    @property
    def ground(self) -> datasets.Ground | None:
        """The colour that what is transparent is laid on; None where frames have alpha."""
        channels = self.model.latents.size[2]
        return None if channels == 4 else datasets.find_ground(self.config.data)

    @functools.cached_property
    def prior(self) -> priors.PriorRun:
        """The prior over the codes that lies with the run.

        Raises:
            UserError: there is none, or it is of the codes of another model.
        """
        return priors.load_prior_of(self, self.home or self.name)

    @functools.cached_property
    def motions(self) -> dict[str, Int[np.ndarray, "t n"]]:
        """Codes by name, `slash_left` say, of the motions that lie with the run (`vdd motions`).

        Raises:
            UserError: there are none, or they are of the codes of another model.
        """
        library = motions.load(self, self.home or self.name)
        return {name: motion.codes for name, motion in library.motions.items()}

    def encode(self, clips: Clips) -> Encoded:
        """Content once a clip, motion and codes of every frame, and their bits.

        Of a clip longer than a window the content is that of the first one. So is the rest pose,
        where motion is relative.

        Raises:
            UserError: these are no clips of the model's size.
        """
        read = self._read(clips)
        content, motion, codes, bits = map(np.asarray, read)
        return Encoded(content, motion, codes, bits, self.motion_bits(codes))

    def _read(self, clips: Clips) -> compiled.Encoded:
        clips = given.clips(self.model, clips)
        parts = list(streaming.read(self.model, self.params, clips, *self.windows))
        motion = np.concatenate([read.motion[:, kept] for read, kept in parts], axis=1)
        codes = np.concatenate([read.codes[:, kept] for read, kept in parts], axis=1)
        first, _ = parts[0]
        return compiled.Encoded(
            np.asarray(first.content), motion, codes, np.asarray(first.content_bits)
        )

    def motion_bits(self, codes: Int[Array | np.ndarray, "b t n"]) -> Float[np.ndarray, "b t"]:
        """Bits of each frame under the run's prior, which knows the frames before it.

        Where there is no prior of this model, bits of codes that are all as likely as each other.
        """
        try:
            prior = self.prior
        except (priors.NoPriorError, priors.OtherPriorError):
            book = self.model.quantizer.codebook
            return np.full(codes.shape[:2], book.num_groups * np.log2(book.num_codes))
        return np.asarray(compiled.bits_of_codes(prior.model, prior.params, codes)).sum(-1)

    def decode(
        self,
        content: Float[Array | np.ndarray, "b k d"],
        motion: Int[Array | np.ndarray, "b t n"] | Float[Array | np.ndarray, "b t m"],
        sampler: Sampler | str = "sampler",
        steps: int | None = None,
        seed: int = 0,
    ) -> UInt8[np.ndarray, "b t h w c"]:
        """Video that shows `content` in `motion`, which is codes, or motion as `encode` gives it.

        Args:
            content: tokens of `encode`; zeros stand for content that is withheld.
            motion: of every frame.
            sampler: a `Sampler`, or a preset of `config.eval`: "sampler" or "sharp".
            steps: of the preset; None leaves it as it is, 0 draws the mean.
            seed: of the noise; each window has noise of its own.

        Raises:
            UserError: this is no motion of the model, or there is no such sampler.
        """
        motion, chosen = given.motion(self.model, motion), self._sampler(sampler, steps)
        pieces = streaming.draw(
            self.model, self.params, seed, np.asarray(content, np.float32), motion, chosen,
            self.windows[0],
        )  # fmt: skip
        return np.concatenate(list(pieces), axis=1)

    def transfer(
        self,
        content_clips: Clips,
        motion_clips: Clips,
        sampler: Sampler | str = "sampler",
        steps: int | None = None,
        seed: int = 0,
    ) -> UInt8[np.ndarray, "b t h w c"]:
        """What `content_clips` show, moving as `motion_clips` do; as long as these."""
        content = self._read(content_clips).content
        return self.decode(content, self._read(motion_clips).codes, sampler, steps, seed)

    def follow(
        self,
        content_clip: Clips,
        frames: Iterable[UInt8[np.ndarray, "h w c"]],
        sampler: Sampler | str = "sampler",
        steps: int | None = None,
        seed: int = 0,
    ) -> Iterator[UInt8[np.ndarray, "h w c"]]:
        """What one clip shows [1 s h w c], moving as a stream of frames does, in constant memory.

        Each frame is drawn as soon as it comes. It is read with the few before it, as many as
        training read together, and with none after it: `transfer` knows those, too. Relative
        motion is measured from the first frame: let it be a face at rest.
        """
        content, chosen = self._read(content_clip).content, self._sampler(sampler, steps)
        checked = (given.clips(self.model, frame[None, None])[0, 0] for frame in frames)
        before = max(self.model.motion_window, 1) - 1
        return streaming.follow(self.model, self.params, seed, content, checked, chosen, before)

    def generate(
        self,
        content_clips: Clips,
        frames: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        sampler: Sampler | str = "sampler",
        steps: int | None = None,
        seed: int = 0,
    ) -> UInt8[np.ndarray, "b t h w c"]:
        """What `content_clips` show, in a motion of so many frames that the prior makes up.

        Raises:
            UserError: as `encode` and `prior`, or there is no frame to make up.
        """
        if frames < 1:
            raise UserError(f"frames={frames}: at least 1 is made up")
        pieces = streaming.generate(
            self.model, self.params, self.prior.model, self.prior.params, seed,
            self._read(content_clips).content, frames, self._sampler(sampler, steps),
            temperature=temperature, top_p=top_p,
        )  # fmt: skip
        return np.concatenate(list(pieces), axis=1)

    def _sampler(self, sampler: Sampler | str, steps: int | None) -> Sampler:
        try:
            if not isinstance(sampler, Sampler):
                return samplers.choose(self.config.eval, sampler, steps)
            if steps is None:
                return sampler
            name = sampler.name if steps else "mean"
            return dataclasses.replace(sampler, steps=steps, name=name)
        except ValueError as error:
            raise UserError(str(error)) from error


def load(path_or_name: epath.PathLike, step: int | None = None) -> Run:
    """Loads a run.

    Args:
        path_or_name: a run directory (config.json, and checkpoints/ or model.safetensors; may be
            gs://), the name of a model that the package ships, or `hf://owner/name`, with a
            revision `hf://owner/name@revision`. The commit that was loaded is printed.
        step: which checkpoint; None takes the latest that can be read.

    Raises:
        UserError: no such run, no checkpoint in it, or its config is not one of this version; a
            run of the Hub that cannot be had, or whose files do not fit each other.
    """
    path = runs.find(path_or_name, anew=True)
    config = runs.load_config(path)
    task = config.get("task")
    if task != "disentangler":
        raise UserError(f"{path}: a run of the task {task!r}, not a model of video")
    step, params = load_params(path, step)
    try:
        model = Disentangler.from_config(config.model)
        Objective.from_config(config.objective)
        Rates(**config.rates)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: trained by another version of vdd, whose config is not of this one ({error})"
        ) from error
    video = jax.ShapeDtypeStruct((1, _FEW, *model.latents.size), np.uint8)
    runs.check_fits(path, params, model, video)
    name = hub.address_of(path) or os.fspath(path_or_name)
    return Run(config, model, params, step, name, os.fspath(runs.absolute(path)))


def frames_shown(config: Config) -> int:
    """Frames of the longest clips that the encoder was shown in training.

    Segments of the data set's clips; or both together, where swaps were read again.
    """
    frames = datasets.find(config.data.dataset).frames(config.data)
    count, size = segments_shape(config.objective.split, frames)
    return min(frames, count * size) if config.objective.reread_clips else size
