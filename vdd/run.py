"""A trained run, ready for use: `Run`, which `vdd.load` gives.

run = vdd.load("sprites")
video = run.transfer(content_clips, motion_clips)
"""

import dataclasses
import functools
import os
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath
from jaxtyping import Array, Float, Int, UInt8
from ml_collections import ConfigDict, FrozenConfigDict

from vdd import apply, compiled, priors, runs, streaming
from vdd.data import datasets
from vdd.diffusion import samplers
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.method.cross_driving import SPLITTERS
from vdd.method.disentangler import Disentangler
from vdd.training import checkpoints

Clips = UInt8[Array | np.ndarray, "b t h w c"]


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

    Its methods take clips as uint8 [b t h w c] and give NumPy arrays. They are thin over
    `vdd.apply`, whose pure functions take `model` and `params`, and compile once a shape. Clips
    longer than training showed are read in windows of that length.
    """

    config: Any  # a FrozenConfigDict; its keys are known when it is read
    model: Disentangler
    params: Any  # the Flax params dict (of the exponential moving average)
    step: int
    name: str = ""  # the run directory, or the name of a shipped model

    def __repr__(self) -> str:
        """In one line; the parameters are counted, not printed."""
        bits = self.config.rates.target_bits_per_frame
        size = runs.count_parameters(self.params)
        return (
            f"Run({self.name!r}, step {self.step}, {runs.data_name(self.config)},"
            f" {bits:g} bits a frame, {size:,} parameters)"
        )

    @property
    def windows(self) -> tuple[int, int]:
        """Frames of a long clip that are read together, and how many of them two windows share.

        As many as training showed; an eighth is shared.
        """
        size = frames_shown(self.config)
        return size, size // 8

    @functools.cached_property
    def prior(self) -> priors.PriorRun:
        """The prior over the codes that lies with the run.

        Raises:
            UserError: there is none, or it is of the codes of another model.
        """
        return priors.load_prior_of(self, self.name)

    def encode(self, clips: Clips) -> Encoded:
        """Content once a clip, motion and codes of every frame, and their bits.

        Of a clip longer than a window the content is that of the first one.
        """
        parts, content, bits = [], None, None
        for window in streaming.windows(np.arange(clips.shape[1]), *self.windows):
            frames = np.asarray(clips)[:, window.frames]
            encoding = compiled.encode(self.model, self.params, frames)
            if content is None:
                content, bits = encoding.content, encoding.content_bits
            parts.append((encoding.motion[:, window.kept], encoding.codes[:, window.kept]))
        motion, codes = (np.concatenate(part, axis=1) for part in zip(*parts, strict=True))
        return Encoded(
            np.asarray(content), motion, codes, np.asarray(bits), self.motion_bits(codes)
        )

    def motion_bits(self, codes: Int[Array | np.ndarray, "b t n"]) -> Float[np.ndarray, "b t"]:
        """Bits of each frame under the run's prior, which knows the frames before it.

        Where there is no prior, bits of codes that are all as likely as each other.
        """
        try:
            prior = self.prior
        except priors.NoPriorError:
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
            seed: of the noise.
        """
        return np.asarray(
            compiled.draw(
                self.model, self._sampler(sampler, steps), self.params, jax.random.key(seed),
                content, motion,
            )
        )  # fmt: skip

    def transfer(
        self,
        content_clips: Clips,
        motion_clips: Clips,
        sampler: Sampler | str = "sampler",
        steps: int | None = None,
        seed: int = 0,
    ) -> UInt8[np.ndarray, "b t h w c"]:
        """What `content_clips` show, moving as `motion_clips` do; as long as these."""
        content = self.encode(content_clips).content
        return self.decode(content, self.encode(motion_clips).codes, sampler, steps, seed)

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
            UserError: as `prior`.
        """
        content = self.encode(content_clips).content
        return np.asarray(
            _generate(
                self.model, self.prior.model, frames, self._sampler(sampler, steps), self.params,
                self.prior.params, jax.random.key(seed), content, temperature, top_p,
            )
        )  # fmt: skip

    def _sampler(self, sampler: Sampler | str, steps: int | None) -> Sampler:
        if isinstance(sampler, Sampler):
            return sampler if steps is None else dataclasses.replace(sampler, steps=steps)
        return samplers.choose(self.config.eval, sampler, steps)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _generate(
    model, prior, frames, sampler, params, prior_params, key, content, temperature, top_p
):
    made = apply.generate(
        model, params, prior, prior_params, key, content, frames, None, temperature, top_p, sampler
    )
    return apply.to_uint8(made.video)


def load(path_or_name: epath.PathLike, step: int | None = None) -> Run:
    """Loads a run.

    Args:
        path_or_name: a run directory (config.json and checkpoints/; may be gs://), or the name of
            a model that the package ships.
        step: which checkpoint; None takes the latest that can be read.

    Raises:
        UserError: no such run, no checkpoint in it, or its config is not one of this version.
    """
    path = runs.find(path_or_name)
    config = runs.load_config(path)
    task = config.get("task")
    if task != "disentangler":
        raise UserError(f"{path}: a run of the task {task!r}, not a model of video")
    step, params = checkpoints.load_params(path, step)
    try:
        model = Disentangler.from_config(config.model)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its config does not fit this version of vdd ({error})") from error
    return Run(config, model, params, step, os.fspath(path_or_name))


def frames_shown(config: Any) -> int:
    """Frames of the longest clips that the encoder was shown in training.

    Segments of the data set's clips; or both together, where swaps were read again.
    """
    frames = datasets.find(config.data.dataset).frames(config.data)
    split = SPLITTERS[config.objective.split]
    count, size = jax.eval_shape(lambda rng: split(rng, frames), jax.random.key(0)).shape
    return min(frames, count * size) if config.objective.reread_clips else size


# Keys of the config that name files of one machine.
_DATA_PLACES = ("art_dir", "data_dir")
_WEIGHT_PLACES = ("encoder", "decoder", "weights")
_TRAIN_PLACES = ("init_from",)


def export(path_or_name: epath.PathLike, folder: epath.PathLike, step: int | None = None) -> Run:
    """Writes what inference needs of a run: a run directory of its own, a twelfth of the size.

    It holds the config, less the folders that data came from; the averaged parameters; and the
    evaluation of that step, if there is one. Of the parameters large matrices have eight bits a
    number (`vdd.eight_bits`), other arrays of more than 4096 numbers are bfloat16 (those of the
    latents float16). The codebook stays exact.

    Args:
        path_or_name: as for `load`.
        folder: where it goes; made if it is not there.
        step: which checkpoint; None takes the latest that can be read.

    Returns:
        the run that was exported, in full precision.

    Raises:
        UserError: as `load`, or the folder is not empty, or cannot be written.
    """
    source = runs.find(path_or_name)
    run = load(source, step)
    target = runs.new_folder(folder)
    config: Any = ConfigDict(run.config)
    latents = config.model.latents
    named = (config.data, _DATA_PLACES), (latents, _WEIGHT_PLACES), (config.train, _TRAIN_PLACES)
    for group, keys in named:
        for key in keys:
            if key in group:
                group[key] = None
    runs.copy_report(source, target, run.step)
    runs.write_small(dataclasses.replace(run, config=FrozenConfigDict(config)), target, eight=True)
    return run
