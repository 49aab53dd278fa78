"""All random numbers of a training step, drawn by PyTorch, or the same that JAX draws."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch  # pyright: ignore[reportMissingImports]  # the extra `bench` has it
from einops import rearrange
from torch import Tensor  # pyright: ignore[reportMissingImports]

from vdd.diffusion import process
from vdd.method.cross_driving import SPLITTERS
from vdd.method.losses import pick_frames
from vdd.method.step import REVIVAL_STREAM, Recipe
from vdd.training.update import LOSS_STREAM, step_key


class Draws(NamedTuple):
    """Of a batch of b clips, of which r are read again, and n segments are seen behind noise."""

    segments: Tensor  # [2 s] frames of the two segments
    content: Tensor  # [2b k d] standard normal
    turned: Tensor  # [r] whose motion each swap shows
    reread: Tensor  # [r k d] standard normal
    kept: Tensor  # [2b 1 1] whether a segment's content is not withheld
    mean_frames: Tensor  # [2b f]
    noisy_frames: Tensor  # [2b g] out of these
    sigma: Tensor  # [n g]
    noise: Tensor  # [n g c h w] standard normal
    chosen: Tensor  # [groups codes] which vector a dead codeword moves onto
    moved: Tensor  # [groups codes] uniform: whether it does


class Source:
    """PyTorch's own numbers, for batches of one shape.

    Raises ValueError for a split that is not of two pieces, of which the first may be either.
    """

    def __init__(self, recipe: Recipe, batch: int, frames: int, seed: int = 0):
        if recipe.objective.split not in ("halves", "quarters", "apart"):
            raise ValueError(f"split {recipe.objective.split} is not written in PyTorch")
        cut = SPLITTERS[recipe.objective.split](jax.random.key(0), frames)
        self.segments, self.batch = torch.tensor(np.asarray(cut)).long(), batch
        self.recipe, self.generator = recipe, torch.Generator().manual_seed(seed)

    def __call__(self) -> Draws:
        """The numbers of one more step."""
        g, model, objective = self.generator, self.recipe.model, self.recipe.objective
        clips, reread = 2 * self.batch, objective.reread_clips
        h, w, c = model.latents.shape
        noisy = (objective.noisy_segments, objective.noisy_frames)
        codes = (model.quantizer.codebook.num_groups, model.quantizer.codebook.num_codes)
        size = self.segments.shape[1]
        picked = self._pick(clips, size, objective.mean_frames)
        again = self._pick(clips, picked.shape[1], objective.noisy_frames)
        turn = torch.randint(1, max(2, reread), (), generator=g)
        return Draws(
            segments=self.segments.flip(0) if torch.rand((), generator=g) < 0.5 else self.segments,
            content=torch.randn(clips, *model.content_shape, generator=g),
            turned=(torch.arange(reread) - turn) % max(1, reread),
            reread=torch.randn(reread, *model.content_shape, generator=g),
            kept=torch.rand(clips, 1, 1, generator=g) >= objective.null_content,
            mean_frames=picked,
            noisy_frames=again,
            sigma=self._levels(noisy),
            noise=torch.randn(*noisy, c, h, w, generator=g),
            chosen=torch.randint(0, clips * size, codes, generator=g),
            moved=torch.rand(codes, generator=g),
        )

    def _pick(self, clips: int, frames: int, count: int) -> Tensor:
        """`vdd.method.losses.pick_frames`."""
        if count >= frames:
            return torch.arange(frames).repeat(clips, 1)
        order = torch.rand(clips, frames, generator=self.generator).argsort(1)
        return order[:, :count].sort(1).values

    def _levels(self, shape: tuple[int, int]) -> Tensor:
        """`vdd.diffusion.edm.log_normal_sigma`."""
        count, objective = shape[0] * shape[1], self.recipe.objective
        offset = torch.rand(count, generator=self.generator)
        share = (torch.randperm(count, generator=self.generator) + offset) / count
        normal = torch.special.ndtri(share.clamp(1e-6, 1 - 1e-6))
        return torch.exp(objective.sigma_mean + objective.sigma_std * normal).reshape(shape)


def jax_draws(recipe: Recipe, batch: int, frames: int, step: int) -> Draws:
    """What `vdd.method.step` draws in the step of that number: keys are split as they are there."""
    model, objective, seed = recipe.model, recipe.objective, recipe.config.seed
    number = jnp.asarray(step, jnp.int32)
    split, content, _, drive, denoise = jax.random.split(step_key(seed, LOSS_STREAM, number), 5)
    null, reread = jax.random.split(drive)
    turn, again = jax.random.split(reread)
    mean, noisy, sigma, eps = jax.random.split(denoise, 4)
    chosen, moved = jax.random.split(step_key(seed, REVIVAL_STREAM, number))
    clips, count, shape = 2 * batch, objective.reread_clips, model.content_shape
    segments = SPLITTERS[objective.split](split, frames)
    size, seen = segments.shape[1], (objective.noisy_segments, objective.noisy_frames)
    picked = pick_frames(mean, clips, size, objective.mean_frames)
    codes = (model.quantizer.codebook.num_groups, model.quantizer.codebook.num_codes)
    turned = jnp.arange(count)
    if count:
        turned = jnp.roll(turned, jax.random.randint(turn, (), 1, count))
    noise = jax.random.normal(eps, (*seen, *model.latents.shape))
    drawn: dict[str, Any] = {
        "segments": segments,
        "content": jax.random.normal(content, (clips, *shape)),
        "turned": turned,
        "reread": jax.random.normal(again, (count, *shape)),
        "kept": jax.random.bernoulli(null, 1.0 - objective.null_content, (clips, 1, 1)),
        "mean_frames": picked,
        "noisy_frames": pick_frames(noisy, clips, picked.shape[1], objective.noisy_frames),
        "sigma": process.log_normal_sigma(sigma, seen, objective.sigma_mean, objective.sigma_std),
        "noise": rearrange(noise, "n t h w c -> n t c h w"),
        "chosen": jax.random.randint(chosen, codes, 0, clips * size),
        "moved": jax.random.uniform(moved, codes),
    }
    arrays = {name: torch.tensor(np.asarray(x)) for name, x in drawn.items()}
    return Draws(**{k: x.long() if x.dtype == torch.int32 else x for k, x in arrays.items()})
