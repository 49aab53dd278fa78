import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import call, normal

from vdd.models.t5 import T5Encoder, relative_position_bucket

NEEDS_TORCH = "parity with PyTorch needs the bench extra: pip install -e .[bench]"
WIDTH, HEADS, HEAD_DIM, MLP, LAYERS = 32, 4, 6, 48, 3


@pytest.fixture(scope="module")
def reference():
    """A public T5 encoder with random weights, none of them at its starting value."""
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    transformers = pytest.importorskip("transformers", reason=NEEDS_TORCH)
    torch.manual_seed(0)
    config = transformers.T5Config(
        d_model=WIDTH, d_kv=HEAD_DIM, d_ff=MLP, num_heads=HEADS, num_layers=LAYERS, vocab_size=8,
        relative_attention_num_buckets=32, relative_attention_max_distance=128, dropout_rate=0.0,
        feed_forward_proj="relu",
    )  # fmt: skip
    network = transformers.T5EncoderModel(config).eval()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            std = 1.0 if "bias" in name else 0.2 if weight.ndim == 1 else WIDTH**-0.5
            weight.copy_(torch.randn_like(weight) * std + float(weight.ndim == 1))
    return network


def copied(network) -> dict:
    """The reference's weights under our names."""
    stack = network.encoder

    def scale(norm):
        return {"scale": norm.weight.detach().numpy()}

    def kernel(dense):
        return {"kernel": dense.weight.detach().numpy().T}

    bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias
    params = {
        "relative_bias": bias.weight.detach().numpy(),
        "final_norm": scale(stack.final_layer_norm),
    }
    for i, block in enumerate(stack.block):
        attention, mlp = block.layer[0].SelfAttention, block.layer[1].DenseReluDense
        params[f"attention_norm_{i}"] = scale(block.layer[0].layer_norm)
        params[f"attention_{i}"] = {name: kernel(getattr(attention, name)) for name in "qkvo"}
        params[f"mlp_norm_{i}"] = scale(block.layer[1].layer_norm)
        params[f"mlp_in_{i}"], params[f"mlp_out_{i}"] = kernel(mlp.wi), kernel(mlp.wo)
    return params


@pytest.mark.parametrize("length", [1, 7, 40, 200])
def test_same_as_public_encoder(reference, length):
    import torch

    x = np.random.default_rng(length).normal(size=(2, length, WIDTH)).astype(np.float32)
    with torch.no_grad():
        expected = reference(inputs_embeds=torch.tensor(x)).last_hidden_state.numpy()
    ours = T5Encoder(LAYERS, HEADS, HEAD_DIM, MLP)
    actual = call(ours, copied(reference), None, x)
    assert np.abs(expected).max() > 1.0
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize("wrap", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_same_buckets_as_public_encoder(reference, wrap):
    import torch

    offsets = np.arange(-300, 301)
    bucket = reference.encoder.block[0].layer[0].SelfAttention._relative_position_bucket
    expected = bucket(torch.tensor(offsets), True, 32, 128).numpy()
    np.testing.assert_array_equal(wrap(relative_position_bucket)(offsets), expected)


def test_buckets_near_and_far():
    bucket = np.asarray(relative_position_bucket(np.arange(-300, 301)))
    behind, ahead = bucket[299::-1], bucket[301:]  # by distance, from 1
    np.testing.assert_array_equal(behind[:8], np.arange(1, 9))
    np.testing.assert_array_equal(ahead, behind + 16)
    assert bucket[300] == 0
    assert np.all(np.diff(behind) >= 0)
    assert np.all(behind[127:] == 15)


def test_bf16_keeps_the_norms_in_f32():
    x = 300.0 * np.asarray(normal(0, 1, 5, 16))
    params = jax.jit(T5Encoder(1, 2, 8, 16).init)(jax.random.key(1), x)["params"]
    full = call(T5Encoder(1, 2, 8, 16), params, None, x)
    half = call(T5Encoder(1, 2, 8, 16, dtype=jnp.bfloat16), params, None, x)
    np.testing.assert_allclose(half, full, atol=0.05)
