"""Another diffusion process, as `vdd.diffusion` asks for one: a rectified flow.

Liu et al. (2023), with data that are not scaled: noisy = clean + sigma * noise lies on the straight
line (1 - time) clean + time noise, but for a factor, at time = sigma / (1 + sigma). The network
says how fast one becomes the other there. Everything is that of `vdd.diffusion.edm` by name alone.
"""

import jax
import jax.numpy as jnp

from vdd.diffusion.edm import Prediction


def time_of(sigma):
    return 1.0 / (1.0 + 1.0 / sigma)


def corrupt(clean, sigma, noise):
    return clean + sigma[..., None, None, None] * noise


def start(mean, sigma, noise):
    return mean + sigma * noise


def slope(noisy, denoised, sigma):
    return (noisy - denoised) / sigma


def levels(steps, low, high, rho):
    times = jnp.linspace(time_of(high), time_of(low), steps)
    return jnp.append(times / (1.0 - times), 0.0)


def loss_weight(sigma, sigma_data, highest_snr=jnp.inf):
    return 1.0 / jnp.square(time_of(sigma))


def log_normal_sigma(rng, shape, mean, std):
    time = jax.random.uniform(rng, shape, minval=0.01, maxval=0.99)
    return time / (1.0 - time)


def c_in(sigma, sigma_data):
    return 1.0 / (1.0 + sigma)


def c_noise(sigma):
    return time_of(sigma)


def fade(sigma, horizon):
    return jnp.ones_like(sigma) if horizon == jnp.inf else 1.0 / (1.0 + sigma / horizon)


def velocity(output, residual, sigma, sigma_data):
    return c_in(sigma, sigma_data) * residual - time_of(sigma) * output


PREDICTIONS = {"velocity": Prediction(1, velocity)}


def denoise(prediction, network, noisy, sigma, sigma_data, mean=0.0, horizon=jnp.inf):
    wide = sigma[..., None, None, None]
    residual = noisy - mean
    output = network(c_in(wide, sigma_data) * residual, c_noise(sigma))
    told = prediction.combine(output, residual, wide, sigma_data)
    return mean + fade(wide, horizon) * told
