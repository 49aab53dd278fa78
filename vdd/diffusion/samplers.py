"""Samplers: from noise to data along the probability-flow ODE, each one `lax.scan`.

A sampler knows no model. It calls `denoise(noisy, sigma)` with a scalar sigma and follows
dx/dsigma = (x - D(x; sigma)) / sigma from `sigma_max` to 0 (Karras et al. 2022, eq. 1).
A new sampler is a new function and a line in `SAMPLERS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from vdd.config import Config
from vdd.diffusion import process
from vdd.errors import SettingError

Denoise = Callable[[Float[Array, "..."], Float[Array, ""]], Float[Array, "..."]]
# (noisy, sigma, denoised) -> what to follow in the place of the denoised estimate.
Callback = Callable[[Array, Float[Array, ""], Array], Array]


@dataclass(frozen=True)
class Sampler:
    """Which sampler, how many steps, and the noise levels they pass through.

    `mean` takes no steps: it is the answer at infinite noise. `guidance` is the weight of
    classifier-free guidance (`guide`); 1 is without.

    Raises SettingError for an unknown name, steps of `mean`, fewer than one step of the rest, or
    noise levels that do not fall.
    """

    name: str = "heun"
    steps: int = 18
    sigma_min: float = 0.002
    sigma_max: float = 80.0
    rho: float = 7.0
    guidance: float = 1.0

    def __post_init__(self):
        known = ("mean", *SAMPLERS)
        if self.name not in known:
            raise SettingError(
                f"name: unknown sampler {self.name!r}; there are: {', '.join(known)}"
            )
        if self.name == "mean" and self.steps:
            raise SettingError(
                f"steps={self.steps}: the sampler 'mean' takes no steps: name another"
            )
        if self.name != "mean" and self.steps < 1:
            raise SettingError(
                f"steps={self.steps}: a sampler needs at least 1 step; or name 'mean'"
            )

        if not 0.0 < self.sigma_min <= self.sigma_max < jnp.inf or self.rho <= 0.0:
            raise ValueError(
                f"noise levels from sigma_max={self.sigma_max} to sigma_min={self.sigma_min} with"
                f" rho={self.rho}: they are to fall, above 0, and to be finite"
            )

    @property
    def nfe(self) -> int:
        """Number of function evaluations: calls of the denoiser at finite noise for one sample."""
        calls = 2 * self.steps - 1 if self.name == "heun" else self.steps
        return calls if self.guidance == 1.0 else 2 * calls

    @property
    def told(self) -> str:
        """What it does, for a user; a step of `heun`, say, evaluates the network twice."""
        if not self.steps:
            return "the mean"
        counts = {"sampler step": self.steps, "network evaluation": self.nfe}
        steps, calls = (f"{n} {what}{'s' if n > 1 else ''}" for what, n in counts.items())
        return f"{steps} ({calls})"


PRESETS = ("sampler", "sharp")  # of a config's `eval`


def choose(settings: Config, preset: str = "sampler", steps: int | None = None) -> Sampler:
    """The sampler of a config's `eval`: its `sampler`, or what of that `sharp` says otherwise.

    With `steps` so many of them, 0 for the mean; where the preset takes none, of `sharp`.

    Raises ValueError or TypeError for a sampler that there is not.
    """
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r} of samplers; there are: {', '.join(PRESETS)}")
    if steps and not settings[preset]["steps"]:
        preset = "sharp"
    fields = {**settings["sampler"], **settings[preset]}
    if steps is not None:
        fields["steps"] = steps
    if steps == 0:
        fields["name"] = "mean"
    return Sampler(**fields)


def sample(
    sampler: Sampler,
    denoise: Denoise,
    rng: Key[Array, "*b"],
    mean: Float[Array, "..."],
    callback: Callback | None = None,
) -> Float[Array, "..."]:
    """Draw data, beginning at `mean` + noise of standard deviation `sigma_max`.

    Args:
        sampler: which steps.
        denoise: the estimate of the clean data from noisy ones.
        rng: one key, or a key for each example [b], with which an example does not depend on its
            batch.
        mean: the denoiser's answer at infinite noise, guided if the estimates are.
        callback: bends every estimate, as guidance does.
    """
    if not sampler.steps:
        return mean

    def estimate(noisy: Array, sigma: Array) -> Array:
        denoised = denoise(noisy, sigma)
        return denoised if callback is None else callback(noisy, sigma, denoised)

    sigmas = process.levels(sampler.steps, sampler.sigma_min, sampler.sigma_max, sampler.rho)
    shape = mean.shape
    noise = (
        jax.vmap(lambda key: jax.random.normal(key, shape[1:]))(rng)
        if rng.ndim
        else jax.random.normal(rng, shape)
    )
    return SAMPLERS[sampler.name](estimate, process.start(mean, sigmas[0], noise), sigmas)


def guide(denoise: Denoise, unconditional: Denoise, weight: float) -> Denoise:
    """Classifier-free guidance (Ho & Salimans 2022): D_without + weight (D_with - D_without)."""

    def guided(noisy: Array, sigma: Array) -> Array:
        without = unconditional(noisy, sigma)
        return without + weight * (denoise(noisy, sigma) - without)

    return denoise if weight == 1.0 else guided


def euler(denoise: Denoise, x: Float[Array, "..."], sigmas: Float[Array, "s"]) -> jax.Array:
    """Euler's method, first order: one evaluation a step."""

    def step(x, levels):
        now, then = levels
        return x + (then - now) * process.slope(x, denoise(x, now), now), None

    return jax.lax.scan(step, x, (sigmas[:-1], sigmas[1:]))[0]


def heun(denoise: Denoise, x: Float[Array, "..."], sigmas: Float[Array, "s"]) -> jax.Array:
    """Heun's method, second order (algorithm 1): two evaluations a step, one in the last."""

    def step(x, levels):
        now, then = levels
        slope = process.slope(x, denoise(x, now), now)
        ahead = x + (then - now) * slope
        slope_ahead = process.slope(ahead, denoise(ahead, then), then)
        return x + (then - now) * 0.5 * (slope + slope_ahead), None

    x, _ = jax.lax.scan(step, x, (sigmas[:-2], sigmas[1:-1]))
    return denoise(x, sigmas[-2])  # Euler's step to sigma 0 ends at the denoised estimate


def dpmpp_2m(denoise: Denoise, x: Float[Array, "..."], sigmas: Float[Array, "s"]) -> jax.Array:
    """DPM-Solver++(2M), second-order multistep (Lu et al. 2022, algorithm 2), for alpha = 1.

    One evaluation a step; the estimate of the step before serves as the second point. The last
    step, to sigma 0, is of first order.
    """

    def step(carry, levels):
        x, previous, last_gap = carry
        now, then = levels
        denoised = denoise(x, now)
        gap = jnp.log(now) - jnp.log(then)  # step in lambda = -ln sigma
        ratio = last_gap / gap
        # The first step has no predecessor: last_gap is infinite there, its correction 0.
        blend = jnp.where(jnp.isinf(ratio), 0.0, 0.5 / ratio)
        target = denoised + blend * (denoised - previous)
        return (then / now * x - jnp.expm1(-gap) * target, denoised, gap), None

    start = (x, jnp.zeros_like(x), jnp.asarray(jnp.inf, x.dtype))
    (x, _, _), _ = jax.lax.scan(step, start, (sigmas[:-2], sigmas[1:-1]))
    return denoise(x, sigmas[-2])


SAMPLERS = {"euler": euler, "heun": heun, "dpmpp_2m": dpmpp_2m}
