"""Learns a short code of the content, on swaps of a trained model. Ours, not the paper's.

Training keeps in the content what helps to rebuild the clip it came from, and there the action
always helps a little. A swap shows the content in another's motion: what it needs of the content is
what the codes of motion do not say. So the code is trained to give swaps back, and what is priced
and not needed there, leaves it.

Every content is also read again from swaps (`vdd.compression.rereading`): readings of the same
content in other motions. Given a clip's own reading or one of these, the code is to draw what any
of these draws, and by the same numbers.

A code that has found a poor order for what it names (five hairs along one number, say, and the
sixth between two of them) does not find a better one. So several are learned, and the one with the
least loss is kept.
"""

import dataclasses
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from vdd.compression.rereading import Readings, apply_method
from vdd.errors import UserError
from vdd.method.content import ContentCode
from vdd.method.disentangler import Disentangler
from vdd.progress import progress_bar
from vdd.training.update import step_key

# Those below are of vdd.training's step and rereading.
_INIT_STREAM, _STEP_STREAM, _CHOICE_STREAM = 4, 5, 6
_CHOICE_BATCHES = 30

# ((fraction of the learning, factor), ...): a setting is multiplied by the factor then, and by what
# lies on the line between two of them.
Course = tuple[tuple[float, float], ...]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a content code is learned; minutes on 2 CPU cores for Sprites."""

    restarts: int = 3  # codes that are learned, each with a seed of its own; the best is kept
    num_numbers: int = 12
    width: int = 256
    num_steps: int = 4000
    batch_size: int = 48
    frames: int = 2  # of other clips, in whose motion each content is drawn
    learning_rate: float = 1e-3
    weight_decay: float = 0.1  # what it learns of the characters it sees is to hold of others
    price: float = 2e-4  # loss per bit
    price_course: Course = ((0.4, 1.0), (0.8, 5.0))
    agreement_weight: float = 2e-3  # of the squared distance of two readings' numbers
    commitment_weight: float = 6e-3  # of the squared distance of numbers to whole ones
    commitment_course: Course = ((0.4, 0.0), (0.8, 1.0))
    seed: int = 0  # of the first

    def __post_init__(self):
        if self.restarts < 1:
            raise ValueError(f"restarts={self.restarts}: at least one code is to be learned")


DEFAULT_SETTINGS = Settings()


class Clips(NamedTuple):
    """What of the readings of clips the code is learned from, on the device."""

    content: Float[Array, "n r+1 k d"]
    codes: Int[Array, "n t g"]


def learn(
    model: Disentangler,
    params: dict,
    readings: Readings,
    settings: Settings = DEFAULT_SETTINGS,
    show_progress: bool = True,
) -> tuple[Disentangler, dict]:
    """The model with a content code, and its parameters; all else stays as it was.

    Args:
        model: a trained model without a content code.
        params: its parameters.
        readings: clips and swaps, as it reads them.
        settings: sizes, prices, length.
        show_progress: show a bar with the time left.

    Raises:
        UserError: learning diverged.
    """
    tokens, dim = readings.content.shape[2:]
    code = ContentCode(settings.num_numbers, settings.width, (tokens, dim))
    clips = Clips(jnp.asarray(readings.content), jnp.asarray(readings.codes))
    # What the seeds have in common is compiled once.
    shared = dataclasses.replace(settings, restarts=1, seed=0)
    updates = settings.restarts * settings.num_steps
    codes: list[tuple[float, PyTree]] = []
    with progress_bar("learning the content code", updates, show_progress) as advance:
        for seed in range(settings.seed, settings.seed + settings.restarts):
            learned, opt_state = _start(code, shared, clips, seed)
            for i in range(settings.num_steps):
                learned, opt_state = _step(
                    model, code, shared, params, clips, learned, opt_state, seed, i
                )
                if i % 20 == 19 or i + 1 == settings.num_steps:
                    jax.block_until_ready(opt_state)  # or the bar would run ahead
                    advance(i % 20 + 1)
            if all(np.all(np.isfinite(x)) for x in jax.tree.leaves(learned)):
                final = _final_loss(model, code, shared, params, clips, settings.seed, learned)
                codes.append((float(final), learned))
    if not codes:
        raise UserError("the content code diverged: lower its learning rate")
    _, best = min(codes, key=lambda pair: pair[0])
    return model.clone(content_code=code), {**params, "content_code": best}


def _optimizer(settings: Settings) -> optax.GradientTransformation:
    warmup = min(100, settings.num_steps // 2)
    peak = settings.learning_rate
    schedule = optax.warmup_cosine_decay_schedule(0.0, peak, warmup, settings.num_steps, peak / 100)
    adam = optax.adamw(schedule, b2=0.99, weight_decay=settings.weight_decay)
    return optax.chain(optax.clip_by_global_norm(1.0), adam)


@partial(jax.jit, static_argnums=(0, 1))
def _start(code, settings, clips, seed):
    """The parameters of a code that has learned nothing, and the optimiser's state."""
    key = step_key(seed, _INIT_STREAM, jnp.zeros((), jnp.int32))
    learned: PyTree = code.init(key, clips.content[:1, 0])["params"]
    return learned, _optimizer(settings).init(learned)


@partial(jax.jit, static_argnums=(0, 1, 2), donate_argnums=(5, 6))
def _step(model, code, settings, params, clips, learned, opt_state, seed, step):
    """One step of Adam on the code; returns its parameters and the optimiser's state."""
    key = step_key(seed, _STEP_STREAM, step)
    gradient = jax.grad(loss)(learned, model, code, settings, params, clips, key, step)
    updates, opt_state = _optimizer(settings).update(gradient, opt_state, learned)
    return optax.apply_updates(learned, updates), opt_state


@partial(jax.jit, static_argnums=(0, 1, 2))
def _final_loss(model, code, settings, params, clips, seed, learned) -> Float[Array, ""]:
    """The loss at the end of learning, over the same draws (of `seed`) for every code."""

    def of_batch(i):
        key = step_key(seed, _CHOICE_STREAM, i)
        return loss(learned, model, code, settings, params, clips, key, settings.num_steps)

    return jnp.mean(jax.lax.map(of_batch, jnp.arange(_CHOICE_BATCHES)))


def loss(
    learned: dict,
    model: Disentangler,
    code: ContentCode,
    settings: Settings,
    params: dict,
    clips: Clips,
    key: PRNGKeyArray,
    step: Int[Array, ""] | int,
) -> Float[Array, ""]:
    """Distortion of swaps + price of bits + agreement of readings + commitment to whole numbers.

    Rounding is noise of one unit, as in Balle et al. 2017. Noise does not care where the whole
    numbers lie, and a number on the edge between two falls now to the one, now to the other, which
    can be read; hence the last two terms.
    """
    apply, coded = partial(apply_method, model, params), partial(apply_method, code, learned)
    keys = iter(jax.random.split(key, 6))
    count, size = len(clips.codes), settings.batch_size
    rows = jax.random.randint(next(keys), (size,), 0, count)
    readings = clips.content.shape[1]
    one, other = jax.random.randint(next(keys), (2, size), 0, readings)
    # What a clip says of itself still bends its swaps to its own action a little.
    shown = jax.random.randint(next(keys), (size,), min(1, readings - 1), readings)
    one, other, shown = (clips.content[rows, which] for which in (one, other, shown))
    others = jax.random.randint(next(keys), (size, settings.frames), 0, count)
    times = jax.random.randint(next(keys), (size, settings.frames), 0, clips.codes.shape[1])
    motion = apply(Disentangler.lookup, clips.codes[others, times])
    motion = apply(
        Disentangler.quantize, motion
    ).quantized  # as it is sent, if codewords were merged

    numbers = coded(ContentCode.to_numbers, one)
    noisy = numbers + jax.random.uniform(next(keys), numbers.shape, minval=-0.5, maxval=0.5)
    drawn = apply(Disentangler.mean, coded(ContentCode.to_tokens, noisy), motion)
    distortion = jnp.mean(jnp.square(drawn - apply(Disentangler.mean, shown, motion)))
    agreement = jnp.square(numbers - coded(ContentCode.to_numbers, other))
    commitment = jnp.square(numbers - jax.lax.stop_gradient(jnp.round(numbers)))

    progress = jnp.asarray(step) / settings.num_steps
    price = settings.price * course_at(settings.price_course, progress)
    commitment_weight = settings.commitment_weight * course_at(settings.commitment_course, progress)
    return (
        distortion
        + price * jnp.mean(coded(ContentCode.bits, noisy))
        + settings.agreement_weight * jnp.mean(jnp.sum(agreement, axis=-1))
        + commitment_weight * jnp.mean(jnp.sum(commitment, axis=-1))
    )


def course_at(course: Course, progress: ArrayLike) -> Float[Array, ""]:
    """The factor of a course after a fraction `progress` of the learning."""
    return jnp.interp(progress, *map(jnp.asarray, zip(*course, strict=True)))
