"""Training on latents of an autoencoder: of video, and of latents that were cached."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from etils import epath
from tiny import SIZE, get_config, perturbed, random_video, state_of

import vdd
from vdd.errors import UserError
from vdd.export import export
from vdd.method import step
from vdd.method.disentangler import Disentangler
from vdd.method.objective import Objective, bitrate_controlled_diffusion
from vdd.method.rates import Rates
from vdd.models import autoencoder
from vdd.models.autoencoder.kl import KLAutoencoder
from vdd.models.latents import AutoencoderLatents, PixelLatents, initial_params, raw_latents
from vdd.training import checkpoints, loop, workdir
from vdd.training.feed import DeviceBatches
from vdd.training.sharding import make_mesh

FAST = {"xla_backend_optimization_level": 0}
ARCHITECTURE = {
    "channels": (4, 8), "num_blocks": 1, "latent_channels": 3, "groups": 2, "attention": False,
}  # fmt: skip
NETWORK = KLAutoencoder(**ARCHITECTURE)
CHANGES = {
    "objective.reread_clips": 0, "model.denoiser.sigma_data": 0.5, "model.denoiser.readout": None,
    "model.denoiser.sight": 0,
    "model.denoiser.network.channels": (8,), "model.denoiser.network.attention_levels": (),
}  # fmt: skip
BATCH = {"video": jnp.asarray(random_video(4, 4))}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The folder of an autoencoder that loses half of the numbers."""
    folder = tmp_path_factory.mktemp("autoencoder")
    params = {"params": perturbed(autoencoder.param_shapes(NETWORK))}
    autoencoder.save(NETWORK, params, folder)
    return folder


@pytest.fixture(scope="module")
def config(weights):
    config = get_config(CHANGES)
    with config.unlocked():
        config.model.latents = {
            "kind": "autoencoder", "autoencoder": "kl", "weights": str(weights),
            "architecture": ARCHITECTURE, "patch": 2, "size": SIZE,
        }  # fmt: skip
    return config


@pytest.fixture(scope="module")
def start(config):
    return jax.jit(step.build(step.Recipe.from_config(config)).init, compiler_options=FAST)(
        jax.random.key(0), BATCH
    )


@pytest.fixture(scope="module")
def cached(weights):
    """The batch, its video as an autoencoder's float16 latents."""
    network, params = autoencoder.load("kl", weights=weights)
    video = BATCH["video"].astype(jnp.float32) / 127.5 - 1.0
    raw = jax.jit(lambda x: raw_latents(network, params["params"], x))(video)
    return {"latents": raw.astype(jnp.float16)}


def to_latents(model, params, batch):
    method, x = ("normalize", batch["latents"]) if "latents" in batch else ("to_latents", batch)
    x = x["video"] if isinstance(x, dict) else x
    return jax.jit(lambda x: model.apply({"params": params}, x, method=method))(x)


def test_configs_without_a_kind_are_of_pixels(config):
    assert isinstance(Disentangler.from_config(get_config().model).latents, PixelLatents)
    latents = Disentangler.from_config(config.model).latents
    assert latents == AutoencoderLatents(NETWORK, 2, SIZE)
    assert latents.shape == (4, 4, 12)


def test_channels_have_mean_0_and_deviation_half(config, start, cached):
    model = Disentangler.from_config(config.model)
    for batch, tolerance in ((BATCH, 1e-4), (cached, 2e-3)):
        z = to_latents(model, start.params, batch)
        assert z.shape == (4, 4, *model.latents.shape)
        channels = np.asarray(z).reshape(4, 4, 4, 4, 4, 3)  # the places of a patch come first
        axes = (0, 1, 2, 3, 4)
        np.testing.assert_allclose(channels.mean(axes), np.zeros(3), atol=tolerance)
        np.testing.assert_allclose(channels.std(axes), np.full(3, 0.5), rtol=tolerance)


def test_decoding_gives_what_the_autoencoder_gives(config, start, cached, weights):
    model = Disentangler.from_config(config.model)
    network, params = autoencoder.load("kl", weights=weights)
    z = to_latents(model, start.params, cached)
    decode = jax.jit(
        lambda z: model.apply({"params": start.params}, z, method=Disentangler.to_video)
    )
    raw = cached["latents"].reshape(-1, *cached["latents"].shape[2:]).astype(jnp.float32)
    expected = jax.jit(lambda z: network.apply(params, z, method=network.decode))(raw)
    expected = np.clip(expected, -1, 1).reshape(4, 4, *SIZE)
    np.testing.assert_allclose(decode(z), expected, atol=1e-4)
    assert np.abs(expected).std() > 0.05


def test_cached_latents_give_the_loss_of_the_video(config, start, cached):
    model, objective = (
        Disentangler.from_config(config.model),
        Objective.from_config(config.objective),
    )
    rates = Rates(**config.rates)

    @partial(jax.jit, compiler_options=FAST)
    def loss(batch):
        terms = bitrate_controlled_diffusion(
            objective, rates, model, start.params, batch, jax.random.key(1), start.multipliers
        )
        return terms.total

    a, b = float(loss(BATCH)), float(loss(cached))
    assert a == pytest.approx(b, rel=5e-3)
    other = {**cached, "latents": cached["latents"][::-1] * 1.5}
    assert a != pytest.approx(float(loss(other)), rel=5e-3)


def test_weights_and_statistics_have_neither_gradient_nor_moments(config, start):
    latents = Disentangler.from_config(config.model).latents

    def size(part, z):
        params = {"params": part}
        video = BATCH["video"][:1, :1].astype(jnp.float32) / 127.5 - 1.0
        encoded = latents.apply(params, video, method=latents.encode)
        return jnp.sum(encoded**2) + jnp.sum(latents.apply(params, z, method=latents.decode) ** 2)

    z = jnp.full((1, 1, *latents.shape), 0.1)
    gradient, through = jax.jit(jax.grad(size, (0, 1)))(start.params["latents"], z)
    assert not any(x.any() for x in jax.tree.leaves(gradient))
    assert through.any()  # what is decoded may be trained
    moments = optax.tree.get(start.opt_state, "mu")
    assert moments.keys() == start.params.keys() - {"latents"}


class Cached:
    """An endless iterator of one batch."""

    def __init__(self, batch):
        self.batch, self.place = jax.tree.map(np.asarray, batch), 0

    def __next__(self):
        self.place += 1
        return self.batch

    def get_state(self):
        return {"step": self.place}

    def set_state(self, state):
        self.place = state["step"]


def test_a_run_on_cached_latents_carries_its_weights(tmp_path, config, cached, weights, start):
    with config.unlocked():
        config.train.update(num_steps=2, checkpoint_every=1, log_every=1)
        config.train.update(eval_every=0, sample_every=0)
    path, training = epath.Path(tmp_path / "run"), step.build(step.Recipe.from_config(config))
    labels = {"motion": np.zeros(4, np.int32)}
    loop.train(config, path, Cached({**cached, **labels}), training.init, training.step)
    loaded = vdd.load(path)
    assert loaded.step == 2
    _, published = autoencoder.load("kl", weights=weights)
    first, last = state_of(path, 1), state_of(path, 2)
    for params in (loaded.params, first["params"], last["params"], last["ema_params"]):
        jax.tree.map(
            np.testing.assert_array_equal, params["latents"]["weights"], published["params"]
        )
        np.testing.assert_array_equal(params["latents"]["std"], first["params"]["latents"]["std"])
    np.testing.assert_allclose(
        loaded.params["latents"]["std"], start.params["latents"]["std"], rtol=1e-3
    )
    moved = last["params"]["encoder"]["t5"]["mlp_in_0"]["kernel"]
    assert np.any(moved != first["params"]["encoder"]["t5"]["mlp_in_0"]["kernel"])
    # Exported, it has half precision and no path of this machine.
    export(path, tmp_path / "small")
    again = vdd.load(tmp_path / "small")
    assert again.config.model.latents.weights is None
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-6),
        again.params["latents"], loaded.params["latents"],
    )  # fmt: skip


def test_batches_carry_what_they_have(cached):
    batches = DeviceBatches(Cached({**cached, "motion": np.zeros(4)}), make_mesh())
    assert next(batches).keys() == {"latents"}


def test_cached_latents_without_an_autoencoder_are_told(cached):
    config = get_config(CHANGES)
    with pytest.raises(UserError, match=r"set model\.latents\.kind=autoencoder"):
        jax.eval_shape(step.build(step.Recipe.from_config(config)).init, jax.random.key(0), cached)


def with_latents(config, **changes):
    config = get_config(CHANGES) if config is None else config.copy_and_resolve_references()
    with config.unlocked():
        config.model.latents = {**config.model.latents, **changes}
    return config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (16, 18, 3)}, r"\(16, 18, 3\).* multiples of 4 pixels"),
        ({"kind": "vae"}, "unknown kind of latents 'vae'"),
        ({"autoencoder": "big"}, "unknown autoencoder 'big'"),
        ({"architecture": {"chanels": (4,)}}, "chanels"),
    ],
)
def test_a_config_that_cannot_be_is_told(config, changes, message):
    with pytest.raises((UserError, TypeError, ValueError), match=message):
        Disentangler.from_config(with_latents(config, **changes).model)


def test_keys_of_an_autoencoder_are_none_of_pixels():
    with pytest.raises(ValueError, match=r"latents\.autoencoder is for kind=autoencoder"):
        Disentangler.from_config(with_latents(None, autoencoder="tiny").model)


def test_files_that_do_not_fit_are_told(config, monkeypatch):
    def initial(**changes):
        settings = with_latents(config, **changes).model.latents
        latents = Disentangler.from_config(with_latents(config, **changes).model).latents
        return initial_params(latents, settings, BATCH)

    with pytest.raises(UserError, match=r"latent_channels=3.*config says.*latent_channels=4"):
        initial(architecture={**ARCHITECTURE, "latent_channels": 4})
    with pytest.raises(UserError, match=r"set model\.latents\.weights$"):
        initial(weights="")
    monkeypatch.setenv("VDD_WEIGHTS", "nowhere")
    with pytest.raises(UserError, match=r"nowhere.taef2_encoder\.safetensors: cannot be read"):
        initial(autoencoder="tiny", architecture={}, size=(32, 32, 3))
    monkeypatch.delenv("VDD_WEIGHTS")
    with pytest.raises(UserError, match=r"set model\.latents\.encoder, or \$VDD_WEIGHTS"):
        initial(autoencoder="tiny", architecture={}, size=(32, 32, 3))


def test_a_resumed_run_may_have_its_files_elsewhere(tmp_path, config):
    path = epath.Path(tmp_path)
    workdir.claim(path, config)
    with checkpoints.Checkpoints(path) as saved:
        saved.save(1, {"ema_params": {"x": jnp.zeros(1)}}, {})
    workdir.claim(path, with_latents(config, weights="elsewhere"))
    with pytest.raises(UserError, match=r"model\.latents\.patch was 2 and is now 1"):
        workdir.claim(path, with_latents(config, patch=1))
