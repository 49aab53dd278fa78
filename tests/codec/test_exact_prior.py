"""The prior in whole numbers against the prior in floats, and its exactness."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from vdd.codec import fixed_point
from vdd.codec.exact_prior import ExactPrior
from vdd.codec.motion import coded_bits, decode_chunks, encode_chunks
from vdd.codec.range_coder import TOTAL
from vdd.errors import UserError
from vdd.models.prior import MotionPrior

SIZES = {
    "one_group": MotionPrior(1, 16, 16, 2, 1, 2, 24, window=5),
    "groups": MotionPrior(3, 8, 16, 1, 2, 4, 16, window=3),
}
FRAMES = 9  # more than the windows


def parameters(model, scale=2.0):
    codes = jax.ShapeDtypeStruct((1, 2, model.num_groups), jnp.int32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), codes)["params"]
    params = jax.tree.map(np.asarray, tiny.perturbed(shapes))
    # `perturbed` takes vectors for norms' scales. Logits that spread, or there is nothing to test.
    params["head"] = scale * params["head"]
    params["bos"] = params["bos"] - 1.0
    return params


def exact_frequencies(model, params, codes):
    state, tables = ExactPrior(model, params, b"exactly.").start(len(codes)), []
    for t in range(codes.shape[1]):
        for j in range(codes.shape[2]):
            tables.append(state.frequencies())
            state.push(codes[:, t, j])
    return np.stack(tables, axis=1).reshape(*codes.shape, -1)


@pytest.mark.parametrize("name", SIZES)
def test_frequencies_are_those_of_the_network(name):
    model = SIZES[name]
    params = parameters(model)
    rng = np.random.default_rng(0)
    codes = rng.integers(0, model.num_codes, (4, FRAMES, model.num_groups))
    logits = jax.jit(model.apply)({"params": params}, codes)
    wanted = np.asarray(jax.nn.log_softmax(logits)) / np.log(2)
    found = exact_frequencies(model, params, codes)
    assert (found.sum(-1) == TOTAL).all()
    assert found.min() >= 1
    likely = wanted > -12
    np.testing.assert_allclose(np.log2(found / TOTAL)[likely], wanted[likely], atol=2e-3)
    # What rounding costs: far less than 1 %.
    share = np.exp2(wanted)
    entropy = -(share * wanted).sum(-1).mean()
    loss = (share * (wanted - np.log2(found / TOTAL))).sum(-1).mean()
    assert 1.0 < entropy < np.log2(model.num_codes) - 0.2
    assert abs(loss) < 1e-4 * entropy


@pytest.mark.parametrize("name", SIZES)
def test_no_clip_is_touched_by_the_batch_it_is_in(name):
    model = SIZES[name]
    params = parameters(model)
    codes = np.random.default_rng(1).integers(0, model.num_codes, (5, 6, model.num_groups))
    together = exact_frequencies(model, params, codes)
    for row in range(5):
        np.testing.assert_array_equal(
            exact_frequencies(model, params, codes[row : row + 1])[0], together[row]
        )


def test_the_order_of_sums_changes_nothing(monkeypatch):
    """Channels in another order: other partial sums, other BLAS kernels, the same frequencies."""
    model = SIZES["groups"]
    params = parameters(model)
    rng = np.random.default_rng(2)
    codes = rng.integers(0, model.num_codes, (3, 6, model.num_groups))
    order = rng.permutation(model.width)

    def shuffled(path, array):
        name = "/".join(step.key for step in path)
        if name.endswith(("q/kernel", "k/kernel", "v/kernel", "mlp_in/kernel")):
            return array[order]
        if name == "head":
            return array[:, order]
        return array if name == "relative_bias" else array[..., order]

    moved = jax.tree_util.tree_map_with_path(shuffled, params)
    np.testing.assert_array_equal(
        exact_frequencies(model, moved, codes), exact_frequencies(model, params, codes)
    )
    # Nor does the width of the sums' lanes, down to adding one number after the other.
    monkeypatch.setattr(
        fixed_point.Linear,
        "__call__",
        lambda self, x: np.rint(
            sum(
                np.clip(x, -self._limit, self._limit)[:, i : i + 1] * self._kernel[i]
                for i in range(x.shape[1])
            )
            / fixed_point.ONE
        ),
    )
    np.testing.assert_array_equal(
        exact_frequencies(model, moved, codes), exact_frequencies(model, params, codes)
    )


def test_huge_parameters_stay_exact_and_broken_ones_are_told():
    model = SIZES["groups"]
    params = parameters(model)
    codes = np.random.default_rng(3).integers(0, model.num_codes, (4, 5, model.num_groups))
    huge = jax.tree.map(lambda x: x * np.float32(1e6), params)
    together = exact_frequencies(model, huge, codes)
    for row in range(4):
        alone = exact_frequencies(model, huge, codes[row : row + 1])[0]
        np.testing.assert_array_equal(alone, together[row])
    with pytest.raises(UserError, match="not finite"):
        ExactPrior(model, {**params, "bos": params["bos"] * np.nan}, bytes(8))


@pytest.mark.parametrize("name", SIZES)
def test_codes_come_back_and_take_what_the_prior_says(name):
    model = SIZES[name]
    params = parameters(model)
    exact = ExactPrior(model, params, b"exactly.")
    rng = np.random.default_rng(4)
    # Drawn from the prior, by decoding random bytes.
    drawn = decode_chunks(exact, [rng.bytes(200) for _ in range(12)], [FRAMES] * 12)
    chunks = [chunk for chunk in drawn if chunk is not None]
    assert len(chunks) > 8
    codes = encode_chunks(exact, chunks)
    back = decode_chunks(exact, [code.data for code in codes], [FRAMES] * len(chunks))
    np.testing.assert_array_equal(np.stack(back), np.stack(chunks))
    bits = coded_bits(exact, np.stack(chunks))
    logits = jax.jit(model.apply)({"params": params}, np.stack(chunks))
    log_share = np.asarray(jax.nn.log_softmax(logits)) / np.log(2)
    wanted = -np.take_along_axis(log_share, np.stack(chunks)[..., None], -1).sum()
    assert bits.ideal_bits == pytest.approx(wanted, rel=1e-4)
    assert wanted <= bits.stream_bits < wanted * 1.001 + 3


def test_layers_compute_what_they_are_named_after():
    rng = np.random.default_rng(5)
    x, kernel, scale = rng.normal(size=(7, 12)), rng.normal(size=(12, 9)), rng.normal(size=12)
    one = fixed_point.ONE
    fixed = fixed_point.to_fixed(x)
    np.testing.assert_allclose(fixed_point.Linear(kernel)(fixed) / one, x @ kernel, atol=1e-3)
    norm = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6) * scale
    np.testing.assert_allclose(fixed_point.RMSNorm(scale)(fixed) / one, norm, atol=1e-4)
    row = fixed_point.exponentials(fixed_point.to_fixed(np.array([[3.0, 1.0, -40.0]])))
    np.testing.assert_allclose(row[0] / 2**30, [1.0, np.exp(-2.0), 0.0], atol=1e-8)


def test_sums_are_exact_up_to_their_limits():
    """Against Python's whole numbers, with inputs as large as they may be and larger."""
    rng = np.random.default_rng(6)
    kernel = rng.normal(size=(40, 3)) * 2.0 ** rng.integers(-8, 12, (40, 1))
    layer, whole = fixed_point.Linear(kernel), np.rint(kernel * 2**16).astype(int).tolist()
    heaviest = max(sum(abs(row[o]) for row in whole) for o in range(3))
    limit = (2**53 - 1) // heaviest
    x = rng.integers(-2 * limit, 2 * limit, (50, 40))
    found = layer(x.astype(np.float64))
    for row, result in zip(x.tolist(), found.astype(int).tolist()):
        cut = [max(-limit, min(limit, number)) for number in row]
        for o in range(3):
            exact = Fraction(sum(a * b[o] for a, b in zip(cut, whole)), 2**16)
            assert result[o] == round(exact)  # half to even
