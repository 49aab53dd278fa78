import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import get_config, normal, perturbed

from vdd.errors import UserError
from vdd.method.disentangler import Disentangler
from vdd.models.dit import DiT, DiTBlock, sine_cosine_positions
from vdd.models.unet import UNet
from vdd.training.flops import count_flops

NOISY = normal(0, 2, 3, 4, 4, 6)
NOISE = normal(1, 2, 3)
CONTENT = normal(2, 2, 2, 5)
MOTION = normal(3, 2, 3, 7)
INPUTS = (NOISY, NOISE, CONTENT, MOTION)


def dit(**changes) -> DiT:
    network = DiT(2, 16, 2, 2, 2, content_tokens=True, content_map=0)
    return network.copy(**changes)


@functools.partial(jax.jit, static_argnums=0)
def run(network, params, *inputs):
    return network.apply({"params": params}, *inputs)


@functools.cache
def params_of(network):
    return perturbed(jax.eval_shape(network.init, jax.random.key(0), *INPUTS)["params"])


def hears(network, **changes) -> np.ndarray:
    """Which frames [b t] of the output move when the inputs with these names change."""
    inputs = dict(zip(("noisy", "noise", "content", "motion"), INPUTS))
    params = params_of(network)
    before, after = (run(network, params, *x.values()) for x in (inputs, {**inputs, **changes}))
    return np.abs(before - after).max((2, 3, 4)) > 1e-5


def test_it_is_as_large_and_as_dear_as_the_published_one():
    """DiT-B/4 on latents of 32x32x4 (Peebles & Xie 2023, table 1): 130 M parameters, 5.56 GFLOP.

    The published network has a table of classes where ours has motion and content, and predicts
    the variance beside the noise, which makes its last layer twice as large.
    """
    network = dit(patch=4, width=768, depth=12, num_heads=12, mlp_ratio=4, content_tokens=False)
    shapes = (1, 1, 32, 32, 4), (1, 1), (1, 4, 8), (1, 1, 16)
    inputs = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    params = jax.eval_shape(network.init, jax.random.key(0), *inputs)["params"]
    size = {name: sum(x.size for x in jax.tree.leaves(part)) for name, part in params.items()}
    d, out = 768, 4 * 4 * 4
    attention, mlp, modulation = 4 * d * d + 4 * d, 8 * d * d + 5 * d, 6 * d * d + 6 * d
    assert size.pop("motion") == 16 * d + d  # ours
    assert size["blocks"] == 12 * (attention + mlp + modulation) == 127_540_224
    assert size["patches"] == 4 * 4 * 4 * d + d
    assert size["noise"] + size["embed"] == 256 * d + d + d * d + d
    assert size["modulation_out"] + size["out"] == 2 * d * d + 2 * d + d * out + out
    classes, variance = 1001 * d, d * out + out
    assert sum(size.values()) + classes + variance == 130_426_496

    def function(params, *inputs):
        return network.apply({"params": params}, *inputs)

    # The paper counts a multiply-add as one.
    assert count_flops(function, params, *inputs) / 2e9 == pytest.approx(5.56, abs=0.01)


def test_a_block_equals_the_published_one():
    torch = pytest.importorskip("torch", reason="parity needs PyTorch: see CONTRIBUTING.md")
    functional, width, heads = torch.nn.functional, 8, 2

    def block(p, x, c):
        """One DiT block with adaLN-zero from its equations; x [n d] and c [d] of one frame."""

        def dense(name, x):
            return x @ p[name]["kernel"] + p[name]["bias"]

        def attend(x):
            q, k, v = (
                y.reshape(len(x), heads, -1).transpose(0, 1) for y in dense("qkv", x).chunk(3, -1)
            )
            weights = torch.softmax(q @ k.transpose(1, 2) / (width // heads) ** 0.5, -1)
            return dense("attention_out", (weights @ v).transpose(0, 1).reshape(len(x), width))

        def norm(x):
            return functional.layer_norm(x, (width,), eps=1e-6)

        a, b, gate, mlp_a, mlp_b, mlp_gate = dense("modulation", functional.silu(c)).chunk(6)
        x = x + gate * attend(norm(x) * (1 + b) + a)
        y = functional.gelu(dense("mlp_in", norm(x) * (1 + mlp_b) + mlp_a), approximate="tanh")
        return x + mlp_gate * dense("mlp_out", y)

    x = jax.random.normal(jax.random.key(0), (2, 3, 5, width))
    embedding = jax.random.normal(jax.random.key(1), (2, 3, width))
    module = DiTBlock(heads, 4)
    shapes = jax.eval_shape(module.init, jax.random.key(0), x, embedding)["params"]
    params = perturbed(shapes)
    ours = run(module, params, x, jax.nn.silu(embedding))
    tensors = jax.tree.map(lambda a: torch.tensor(np.asarray(a)), (params, x, embedding))
    p, xs, cs = tensors
    theirs = [[block(p, xs[i, j], cs[i, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(
        ours, np.array([[y.numpy() for y in row] for row in theirs]), 1e-4, 1e-5
    )


def test_positions_are_those_of_the_published_formula():
    width, high, wide = 16, 3, 5
    frequencies = 1.0 / 10000 ** (np.arange(width // 4) / (width / 4.0))

    def encode(place):
        return np.concatenate([np.sin(place * frequencies), np.cos(place * frequencies)])

    expected = [
        np.concatenate([encode(column), encode(row)])
        for row in range(high)
        for column in range(wide)
    ]
    np.testing.assert_allclose(sine_cosine_positions(high, wide, width), expected, atol=1e-6)


def test_output_is_zero_at_the_start():
    network = dit(temporal=True, content_map=1)
    out, variables = jax.jit(network.init_with_output)(jax.random.key(0), *INPUTS)
    assert out.shape == NOISY.shape
    assert out.dtype == jnp.float32
    assert not out.any()
    assert run(network, perturbed(variables["params"]), *INPUTS).any()
    kernels = variables["params"]["blocks"]["qkv"]["kernel"]
    assert np.any(kernels[0] != kernels[1])  # each block starts as another


@pytest.mark.parametrize(
    ("tokens", "channels", "heard"), [(True, 0, True), (False, 2, True), (False, 0, False)]
)
def test_content_is_heard_by_tokens_or_by_map(tokens, channels, heard):
    network = dit(content_tokens=tokens, content_map=channels)
    np.testing.assert_array_equal(
        hears(network, content=CONTENT.at[0].add(1.0)), [[heard] * 3, [False] * 3]
    )


def test_which_content_token_says_it_matters():
    network = dit()
    plain, swapped = (
        run(network, params_of(network), NOISY, NOISE, content, MOTION)
        for content in (CONTENT, CONTENT[:, ::-1])
    )
    assert np.abs(plain - swapped).max() > 1e-3


MIDDLE = {
    "noisy": NOISY.at[0, 1].add(1.0),
    "noise": NOISE.at[0, 1].add(1.0),
    "motion": MOTION.at[0, 1].add(1.0),
}


@pytest.mark.parametrize("temporal", [False, True])
@pytest.mark.parametrize("name", MIDDLE)
def test_frames_are_apart_but_for_temporal_attention(name, temporal):
    moved = hears(dit(temporal=temporal), **{name: MIDDLE[name]})
    np.testing.assert_array_equal(moved, [[temporal, True, temporal], [False] * 3])


def test_temporal_attention_starts_as_the_network_without():
    params = params_of(dit(temporal=True))
    blocks = dict(params["blocks"])
    time = blocks.pop("time")
    silent = {**time, "out": jax.tree.map(jnp.zeros_like, time["out"])}
    np.testing.assert_allclose(
        run(dit(temporal=True), {**params, "blocks": {**blocks, "time": silent}}, *INPUTS),
        run(dit(), {**params, "blocks": blocks}, *INPUTS),
        atol=1e-5,
    )


def test_hint_is_seen():
    network = dit()
    params = perturbed(jax.eval_shape(network.init, jax.random.key(0), *INPUTS, NOISY)["params"])
    before, after = (run(network, params, *INPUTS, hint) for hint in (NOISY, MIDDLE["noisy"]))
    moved = np.abs(before - after).max((2, 3, 4)) > 1e-5
    np.testing.assert_array_equal(moved, [[False, True, False], [False] * 3])


def test_a_patch_sees_the_others_and_its_own_place():
    """Without position, a frame whose patches change places would change places in the output."""
    network, order = dit(), np.array([1, 2, 3, 0])  # quarters of the frame, 2 x 2 each

    def moved(x):
        quarters = x.reshape(2, 3, 2, 2, 2, 2, 6).swapaxes(3, 4).reshape(2, 3, 4, 2, 2, 6)
        quarters = quarters[:, :, order]
        return quarters.reshape(2, 3, 2, 2, 2, 2, 6).swapaxes(3, 4).reshape(x.shape)

    plain = run(network, params_of(network), *INPUTS)
    shuffled = run(network, params_of(network), moved(NOISY), *INPUTS[1:])
    assert np.abs(shuffled - moved(plain)).max() > 1e-2
    corner = run(network, params_of(network), NOISY.at[0, 0, 0, 0].add(1.0), *INPUTS[1:])
    assert np.abs(corner - plain)[0, 0, 3, 3].max() > 1e-4


def test_half_precision():
    params = params_of(dit(temporal=True))
    half, full = (
        run(dit(temporal=True, dtype=dtype), params, *INPUTS)
        for dtype in (jnp.bfloat16, jnp.float32)
    )
    assert half.dtype == jnp.float32
    # As in test_unet.py: with five sets of parameters 1 - r was at most 1.1e-4.
    assert np.corrcoef(np.ravel(half), np.ravel(full))[0, 1] > 0.99


def test_norms_and_softmax_are_in_single_precision():
    network = dit(dtype=jnp.bfloat16, temporal=True)
    text = str(jax.make_jaxpr(lambda p: network.apply({"params": p}, *INPUTS))(params_of(network)))
    risky = ("exp ", "rsqrt ", "reduce_sum[", "reduce_max[")
    lines = [line for line in text.splitlines() if any(f"= {name}" in line for name in risky)]
    assert lines
    assert not [line for line in lines if "bf16" in line.split("=")[0]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"num_heads": 3}, "it must divide width=16"), ({"width": 18}, "a multiple of 4")],
)
def test_a_width_that_does_not_divide_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        dit(**changes)


def test_frames_that_do_not_divide_are_refused():
    with pytest.raises(UserError, match="patch=3: latents of 4x4 cannot be cut"):
        dit(patch=3).check(4, 4)


SETTINGS = {
    "kind": "dit", "patch": 2, "width": 8, "depth": 1, "num_heads": 2, "mlp_ratio": 2,
    "content_tokens": True, "content_map": 0,
}  # fmt: skip


def test_the_config_says_which_denoiser_it_is():
    config = get_config().model
    assert isinstance(Disentangler.from_config(config).denoiser.network, UNet)
    with config.unlocked():
        config.denoiser.network = SETTINGS
    model = Disentangler.from_config(config)
    fields = {k: v for k, v in SETTINGS.items() if k != "kind"}
    assert model.denoiser.network == DiT(**fields, outputs=2)
    video = np.zeros((1, 2, 16, 16, 3), np.uint8)
    assert jax.eval_shape(model.init_with_output, jax.random.key(0), video)[0].shape == video.shape
