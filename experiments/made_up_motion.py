"""Motion that a prior makes up, drawn and judged: the parts of generation.py."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange

import vdd
from vdd import apply, priors
from vdd.data import sprites
from vdd.data.sprites import MOTIONS, NUM_FRAMES, prepared
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import judge
from vdd.evaluation.inference import batches, clip_keys, padded
from vdd.models.prior_sampling import sample_codes
from vdd.pixels import to_uint8
from vdd.progress import progress_bar
from vdd.run import Run

BATCH = 64
_REBUILT = 14  # a stream of random keys


class Models(NamedTuple):
    """A run with its prior, the clips of a split in order, and their judge."""

    run: Run
    prior: priors.PriorRun
    clips: sprites.SpritesArrays
    referee: judge.Judge
    sampler: Sampler

    @property
    def poses(self) -> np.ndarray:
        """Real frames uint8 [character motion frame h w c]: clips come ordered by motion."""
        video = self.clips.video
        return rearrange(video, "(m n) ... -> n m ...", m=len(MOTIONS))


class Clips(NamedTuple):
    """Clips of the split: their rows, and what the run encodes them as."""

    rows: np.ndarray
    content: np.ndarray
    codes: np.ndarray


_encode = jax.jit(apply.encode, static_argnums=0)
_generate = jax.jit(apply.generate, static_argnums=(0, 2, 6, 10))
draw_codes = jax.jit(sample_codes, static_argnums=(0, 3))
_sample = jax.jit(apply.sample, static_argnums=(0, 5))


def load(name: str, prior: str | None, split: str) -> Models:
    """Everything that is measured, and what measures it."""
    run = vdd.load(name)
    art, art_dir = run.config.data.art, prepared.sheets_dir(run.config.data)
    settings = judge.JudgeSettings(steps=run.config.eval.judge_steps)
    return Models(
        run,
        priors.load_prior_of(run, name, prior),
        prepared.load_split(run.config.data, split),
        judge.load_or_train(art, art_dir, settings=settings),
        Sampler(**run.config.eval.sampler),
    )


def encoded(
    models: Models, rows: np.ndarray, first: int, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Content and codes of clips, of which only `frames` frames from `first` on are read."""
    run, parts = models.run, []
    for piece in batches(len(rows), BATCH):
        at = padded(rows[piece], min(BATCH, len(rows)))
        content, _, codes = _encode(
            run.model, run.params, models.clips.video[at, first : first + frames]
        )
        size = piece.stop - piece.start
        parts.append((np.asarray(content)[:size], np.asarray(codes)[:size]))
    content, codes = zip(*parts, strict=True)
    return np.concatenate(content), np.concatenate(codes)


def generated(
    models: Models,
    rows: np.ndarray,
    content: np.ndarray,
    start: np.ndarray | None,
    frames: int,
    seed: int,
    stream: int,
) -> np.ndarray:
    """Made-up clips uint8 [n frames h w c]; each depends on its row and the seed, not on others."""
    run, prior, parts = models.run, models.prior, []
    keys = clip_keys(seed, stream, rows)
    with progress_bar(f"{frames} frames each", len(rows)) as advance:
        for piece in batches(len(rows), BATCH):
            at = padded(np.arange(piece.start, piece.stop), min(BATCH, len(rows)))
            known = None if start is None else start[at]
            both = (run.model, run.params, prior.model, prior.params)
            options = (known, 1.0, 1.0, models.sampler)
            made = _generate(*both, keys[at], content[at], frames, *options)
            parts.append(np.asarray(to_uint8(made.video))[: piece.stop - piece.start])
            advance(len(parts[-1]))
    return np.concatenate(parts)


def rebuild(
    models: Models, rows: np.ndarray, content: np.ndarray, codes: np.ndarray, seed: int
) -> np.ndarray:
    """Clips uint8 from their own content and codes."""
    run, keys, parts = models.run, clip_keys(seed, _REBUILT, rows), []
    for piece in batches(len(rows), BATCH):
        at = padded(np.arange(piece.start, piece.stop), min(BATCH, len(rows)))
        motion = apply.lookup(run.model, run.params, jnp.asarray(codes[at]))
        video = _sample(run.model, run.params, keys[at], content[at], motion, models.sampler)
        parts.append(np.asarray(to_uint8(video))[: piece.stop - piece.start])
    return np.concatenate(parts)


def frames_right(
    models: Models, rows: np.ndarray, video: np.ndarray, motion: np.ndarray, first: int = 0
) -> np.ndarray:
    """Whether no real frame of the character is nearer than that of `motion` at that place, [n t].

    The clips begin at frame `first`.
    """
    poses, right = models.poses, np.zeros(video.shape[:2], bool)
    place = (first + np.arange(video.shape[1])) % NUM_FRAMES
    for i, clip in enumerate(video):
        real = rearrange(poses[rows[i] % len(poses)], "m t ... -> (m t) (...)")
        real, made = (x.astype(np.float32) for x in (real, rearrange(clip, "t ... -> t (...)")))
        distance = np.square(real).sum(1) - 2 * made @ real.T  # less what all have in common
        wanted = distance[np.arange(len(clip)), motion[i] * NUM_FRAMES + place]
        right[i] = wanted <= distance.min(1)
    return right


def features(verdict: judge.Verdict) -> np.ndarray:
    """What the judge sees in clips, [n 33]."""
    attributes = rearrange(verdict.attribute_logits, "n ... -> n (...)")
    return np.concatenate([verdict.motion_logits, attributes], 1).astype(np.float64)


def conditional_entropy(verdict: judge.Verdict) -> float:
    """Mean entropy of the judge's distributions over motions, nats."""
    p: Any = verdict.motion_probs
    return float(-np.mean(np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1)))
