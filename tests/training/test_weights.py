"""The parameters of an exported run: one file, in which damage is told."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vdd import safetensors
from vdd.errors import UserError
from vdd.training import weights
from vdd.training.parameters import load_params


def params():
    rng = np.random.default_rng(0)
    packed = {"int8": rng.integers(-9, 9, (4, 3), np.int8), "scale": np.full((1, 3), 0.5, "f4")}
    halves = {"kernel": jnp.asarray(rng.normal(size=(2, 3)), jnp.bfloat16), "bias": np.float16(2)}
    return {
        "encoder": {"embed": {"kernel": packed}, "head": halves},
        "use": np.arange(3, dtype="i4"),
    }


def test_what_is_written_is_read_in_its_dtypes_and_loaded_in_float32(tmp_path):
    weights.write(tmp_path, 7, params())
    step, read = weights.read(tmp_path)
    assert step == 7
    assert jax.tree.structure(read) == jax.tree.structure(params())
    for ours, theirs in zip(jax.tree.leaves(params()), jax.tree.leaves(read), strict=True):
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
        np.testing.assert_array_equal(np.asarray(ours, "f4"), np.asarray(theirs, "f4"))
    step, loaded = load_params(tmp_path)
    assert step == load_params(tmp_path, 7)[0] == 7
    whole = params()["encoder"]["embed"]["kernel"]["int8"] * np.float32(0.5)
    np.testing.assert_array_equal(loaded["encoder"]["embed"]["kernel"], whole)
    assert {x.dtype.name for x in jax.tree.leaves(loaded)} == {"float32", "int32"}
    with pytest.raises(UserError, match=r"no checkpoint of step 6 in .*: there is \[7\]"):
        load_params(tmp_path, 6)


def test_the_same_parameters_are_the_same_bytes(tmp_path):
    for name in "ab":
        weights.write(tmp_path / name, 7, params())
    assert len({(tmp_path / name / weights.FILE).read_bytes() for name in "ab"}) == 1


def test_damage_is_told_in_a_line(tmp_path):
    weights.write(tmp_path, 7, params())
    file = tmp_path / weights.FILE
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    arrays, notes = safetensors.read_noted(file)
    other = tmp_path / "other"

    def written(tensors, **notes):
        safetensors.write(other, tensors, **notes)
        return other.read_bytes()

    note = json.loads(notes["vdd"])
    for data, words in (
        (flipped, "damaged"),
        (whole[: len(whole) // 2], "not a whole safetensors file"),
        (b"", "not a whole safetensors file"),
        (written(arrays), "not written by vdd export"),
        (written(arrays, vdd="{}"), "not written by vdd export"),
        (written(arrays, vdd="[7]"), "not written by vdd export"),
        (written(arrays, vdd=json.dumps({**note, "digest": "0"})), "damaged"),
        (written({"a": np.ones(2), "a.b": np.ones(2)}, **notes), "damaged|not written by"),
    ):
        file.write_bytes(data)
        with pytest.raises(UserError, match=words) as raised:
            load_params(tmp_path)
        assert "\n" not in str(raised.value)
        assert str(file) in str(raised.value)
