"""Files of autoencoders: older ones, wrong ones, broken ones."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoencoders import KL, TINY, both_ways, images, random_params, tiny_files

from vdd import safetensors
from vdd.errors import UserError
from vdd.models import autoencoder
from vdd.models.autoencoder import published
from vdd.models.autoencoder.kl import Posterior
from vdd.models.autoencoder.tiny import TinyAutoencoder


def test_kl_comes_back_as_it_was_saved(tmp_path):
    params = random_params(KL)
    autoencoder.save(KL, params, tmp_path)
    for weights in (tmp_path, tmp_path / autoencoder.WEIGHTS_NAME):
        model, loaded = autoencoder.load("kl", weights=weights)
        assert model == KL
        jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_older_names_of_the_attention_are_read(tmp_path):
    params = random_params(KL)
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = {}
    for name, tensor in published.to_tensors(params["params"]).items():
        for new, old in older.items():
            name = name.replace(f".{new}.", f".{old}.")
        tensors[name] = tensor
    autoencoder.save(KL, params, tmp_path)  # for its config.json
    safetensors.write(tmp_path / autoencoder.WEIGHTS_NAME, tensors)
    _, loaded = autoencoder.load("kl", weights=tmp_path)
    jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_posterior_draws_and_measures_as_a_gaussian():
    posterior = Posterior(jnp.full((1, 64, 64, 4), 2.0), jnp.full((1, 64, 64, 4), np.log(0.25)))
    drawn = posterior.sample(jax.random.key(0))
    assert float(jnp.mean(drawn)) == pytest.approx(2.0, abs=0.02)
    assert float(jnp.std(drawn)) == pytest.approx(0.5, abs=0.02)
    nats = 64 * 64 * 4 * (-np.log(0.5) + (0.25 + 4.0) / 2 - 0.5)
    np.testing.assert_allclose(posterior.nats(), [nats], rtol=1e-5)


def test_it_computes_in_its_dtype(tmp_path):
    model = TinyAutoencoder(**TINY)
    params = random_params(model)
    half, loaded = autoencoder.load(
        "tiny", dtype=jnp.bfloat16, **tiny_files(tmp_path, model, params)
    )
    assert {x.dtype for x in jax.tree.leaves(loaded)} == {jnp.dtype("float32")}
    exact, rough = (both_ways(m, params, images())[0] for m in (model, half))
    gap = np.abs(exact - rough).max() / np.abs(exact).max()
    assert 1e-4 < gap < 0.1


@pytest.mark.parametrize("model", [TinyAutoencoder(**TINY), KL.clone(channels=(8, 8, 8, 8))])
@pytest.mark.parametrize("shape", [(1, 20, 16, 3), (1, 16, 12, 3)])
def test_odd_sizes_are_refused(model, shape):
    with pytest.raises(UserError, match=r"multiples of 8 pixels, not \d+x\d+"):
        jax.eval_shape(lambda x: model.init(jax.random.key(0), x), np.zeros(shape, np.float32))


@pytest.fixture
def good(tmp_path):
    model = TinyAutoencoder(**TINY)
    return tiny_files(tmp_path, model, random_params(model))


def test_unknown_kinds_and_files_are_told(good):
    with pytest.raises(UserError, match=r"unknown autoencoder 'big': there are tiny, kl"):
        autoencoder.load("big", **good)
    with pytest.raises(UserError, match="loaded from weights=FILE"):
        autoencoder.load("kl", **good)
    with pytest.raises(UserError, match=r"nowhere.*cannot be read"):
        autoencoder.load("kl", weights="nowhere.safetensors")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda t: t.pop("5.conv.2.bias"),
            r"5\.conv\.2\.bias is mis",
        ),
        (lambda t: t.pop("14.weight"), r"encoder\.layers\.14\.weight is missing"),
        (lambda t: t.update(extra=np.zeros(2)), r"encoder\.layers\.extra is none of this network"),
        (
            lambda t: t.update({"1.conv.0.bias": np.zeros(9)}),
            r"1\.conv\.0\.bias is of shape \[9\], where \[8\] is wanted",
        ),
    ],
)
def test_a_wrong_tensor_is_named(good, spoil, message):
    tensors = safetensors.read(good["encoder"])
    spoil(tensors)
    safetensors.write(good["encoder"], tensors)
    with pytest.raises(UserError, match=message) as raised:
        autoencoder.load("tiny", **good)
    assert "\n" not in str(raised.value)


def test_files_cut_short_or_of_another_kind_are_told(good, tmp_path):
    data = good["decoder"].read_bytes()
    header = json.dumps({"x": {"dtype": "BOOL", "shape": [1], "data_offsets": [0, 1]}}).encode()
    for spoilt, message in (
        (data[:-9], "not a whole safetensors file"),
        (data[:50], "not a whole safetensors file"),
        (b"", "not a whole safetensors file"),
        (b"\x80\x02}q\x00" * 99, "not a whole safetensors file"),  # a pickle, say
        (len(header).to_bytes(8, "little") + header + b"0", "tensor x has an unknown dtype, BOOL"),
    ):
        good["decoder"].write_bytes(spoilt)
        with pytest.raises(UserError, match=message) as raised:
            autoencoder.load("tiny", **good)
        assert "\n" not in str(raised.value)
