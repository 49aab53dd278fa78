"""What is counted of the memory of a training, and the script in its tiny form."""

import importlib

import jax
import jax.numpy as jnp
import pytest
from tiny import ROOT


@pytest.fixture
def memory(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("memory")


def array(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def test_what_is_kept_is_counted_once(memory):
    def loss(w, x):
        return jnp.sum(jnp.sin(x @ w))

    # The cosine [3 7], and x, which is an argument.
    assert memory.residual_bytes(loss, array(5, 7), array(3, 5)) == 4 * 3 * 7
    half = array(5, 7, dtype=jnp.bfloat16), array(3, 5, dtype=jnp.bfloat16)
    assert memory.residual_bytes(loss, *half) == 2 * 3 * 7


def test_a_loop_keeps_something_of_every_turn(memory):
    def loss(w, x, turn):
        return jnp.sum(jax.lax.scan(lambda x, _: (turn(x, w), None), x, length=10)[0])

    def turn(x, w):
        return jnp.sin(jnp.sin(x @ w))

    shapes = array(6, 6), array(3, 6)
    plain = memory.residual_bytes(lambda *args: loss(*args, turn), *shapes)
    again = memory.residual_bytes(lambda *args: loss(*args, jax.checkpoint(turn)), *shapes)
    assert again == 10 * 4 * 3 * 6  # what each turn begins with
    assert plain == 3 * again  # that, and two cosines


@pytest.mark.experiment
@pytest.mark.process
def test_memory_of_devices_is_told(memory, capsys):
    memory.main(["--tiny"])
    machine, title, *table = capsys.readouterr().out.splitlines()
    assert "cpu" in machine
    assert "sprites.py:smoke" in title
    names, _, four = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table)
    row = dict(zip(names, four, strict=True))
    assert (row.pop("data x fsdp"), row["devices"]) == ("1 x 4", "4")
    row = {name: float(text) for name, text in row.items()}
    assert row["gradients"] == row["averages"] == row["parameters"] > 0
    # What is measured, not learned, has no moments; figures have one digit.
    assert row["moments"] == pytest.approx(2 * row["parameters"], abs=0.25)
    assert row["batch"] == pytest.approx(8 * 8 * 64 * 64 * 3 / 4 / 2**20, abs=0.1)
    # What is counted of the state is what the compiler is given.
    state = sum(row[name] for name in ("parameters", "moments", "averages", "batch"))
    assert row["state and batch"] == pytest.approx(state, abs=0.3)
    assert row["activations"] > row["parameters"]
    assert row["scratch"] > 0
