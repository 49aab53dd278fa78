"""The content code: what swaps do not need leaves it, and the model around it stays as it was."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from vdd import apply
from vdd.compression import content_code
from vdd.compression.content_code import Clips, Settings
from vdd.compression.rereading import Readings
from vdd.errors import UserError
from vdd.method.content import ContentCode

QUICK = Settings(
    num_numbers=4, width=32, num_steps=300, batch_size=32, price=1e-2, learning_rate=3e-3,
    weight_decay=0.0, restarts=1,
)  # fmt: skip
SHORT = Settings(num_numbers=4, width=8, num_steps=5, batch_size=4, restarts=1)


encode = jax.jit(apply.encode, static_argnums=0)


def people_in_action():
    """Contents of 4 persons in 4 actions, two tokens of 4: person, then action, and of swaps."""
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=2)))
    person, action = np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4)

    def tokens(action):
        return np.stack([np.tile(signs[person], 2), np.tile(signs[action], 2)], axis=1)

    content = [tokens((action + turn) % 4) for turn in range(4)]
    codes = np.random.default_rng(0).integers(0, 8, (16, 4, 2))
    return person, Clips(jnp.asarray(np.stack(content, 1), jnp.float32), jnp.asarray(codes))


def readings_of(clips):
    nothing = np.zeros((16, 3, 4, 2), int)
    return Readings(np.asarray(clips.content), np.asarray(clips.codes), nothing, nothing)


def numbers_of(code, learned, tokens):
    return np.round(tiny.call(code, learned, ContentCode.to_numbers, tokens))


def test_a_code_keeps_the_person_and_drops_the_action():
    model, params = tiny.get_model(seed=2)  # one whose frames differ by who is seen
    person, clips = people_in_action()
    coded, learned = content_code.learn(model, params, readings_of(clips), QUICK, False)
    numbers = numbers_of(coded.content_code, learned["content_code"], clips.content[:, 0])
    firsts = np.stack([numbers[person == one][0] for one in range(4)])
    assert len(np.unique(firsts, axis=0)) == 4
    # All but those that lie where numbers are rounded up or down.
    assert np.mean(numbers == firsts[person]) > 0.9


def test_what_the_loss_is_made_of():
    model, params = tiny.get_model()
    _, clips = people_in_action()
    code = ContentCode(num_numbers=3, width=8, shape=(2, 4))
    learned = jax.jit(code.init)(jax.random.key(0), clips.content[:, 0])["params"]
    none = Settings(
        num_steps=10, batch_size=64, price=0.0, agreement_weight=0.0, commitment_weight=0.0
    )

    @functools.partial(jax.jit, static_argnums=0)
    def at(settings, step, readings):
        key = jax.random.key(1)
        seen = clips._replace(content=readings)
        return content_code.loss(learned, model, code, settings, params, seen, key, step)

    def more(step, readings=clips.content, **weights):
        changed = dataclasses.replace(none, **weights)
        return float(at(changed, step, readings) - at(none, step, readings))

    assert float(at(none, 0, clips.content)) > 0.0
    # The price rises fivefold, and the commitment from nothing, between 40 and 80 % of the steps.
    early, late = more(4, price=1.0), more(8, price=1.0)
    assert early == pytest.approx(more(0, price=1.0))
    assert late == pytest.approx(5 * early, rel=1e-3)
    assert more(6, price=1.0) == pytest.approx(3 * early, rel=1e-3)
    assert more(4, commitment_weight=1.0) == 0.0
    assert 0.0 < more(8, commitment_weight=1.0) <= 3 * 0.25
    late = more(10, commitment_weight=1.0)
    assert 2.0 * more(6, commitment_weight=1.0) == pytest.approx(late, rel=0.01)
    assert more(0, agreement_weight=1.0) > 0.0
    same = jnp.tile(clips.content[:, :1], (1, 4, 1, 1))
    assert more(0, same, agreement_weight=1.0) == 0.0


def test_what_a_clip_says_of_itself_is_never_a_target():
    model, params = tiny.get_model()
    _, clips = people_in_action()
    code = ContentCode(num_numbers=3, width=8, shape=(2, 4))
    learned = jax.jit(code.init)(jax.random.key(0), clips.content[:, 0])["params"]
    # A code that says nothing: only targets matter then.
    learned = jax.tree.map(jnp.zeros_like, learned)
    settings = Settings(batch_size=64, price=0.0, agreement_weight=0.0, commitment_weight=0.0)

    @jax.jit
    def loss(readings):
        seen = clips._replace(content=readings)
        key = jax.random.key(1)
        return content_code.loss(learned, model, code, settings, params, seen, key, 0)

    before = loss(clips.content)
    assert loss(clips.content.at[:, 0].multiply(3.0)) == before
    assert loss(clips.content.at[:, 1].multiply(3.0)) != before


def test_learning_adds_the_code_and_changes_nothing_else():
    model, params = tiny.get_model()
    readings = readings_of(people_in_action()[1])
    coded, learned = content_code.learn(model, params, readings, SHORT, False)
    again, relearned = content_code.learn(model, params, readings, SHORT, False)
    jax.tree.map(np.testing.assert_array_equal, learned, relearned)
    assert coded == again
    code = learned["content_code"]
    unchanged = {name: part for name, part in learned.items() if name != "content_code"}
    jax.tree.map(np.testing.assert_array_equal, unchanged, params)

    video = tiny.random_video(6, 4)
    content = encode(coded, learned, video).content
    expected = tiny.call(coded.content_code, code, None, encode(model, params, video).content)
    np.testing.assert_allclose(content, expected.tokens, atol=1e-5)
    bits = jax.jit(apply.content_bits, static_argnums=0)(coded, learned, video)
    np.testing.assert_allclose(bits, expected.bits, rtol=1e-4)


def test_of_several_codes_the_one_with_the_least_loss_is_kept(monkeypatch):
    model, params = tiny.get_model()
    _, clips = people_in_action()
    codes, measure = [], content_code._final_loss

    def spy(*given):
        codes.append(given[-1])
        return measure(*given)

    monkeypatch.setattr(content_code, "_final_loss", spy)
    settings = dataclasses.replace(SHORT, seed=1, restarts=3)
    coded, kept = content_code.learn(model, params, readings_of(clips), settings, False)
    assert len(codes) == 3

    @jax.jit
    def loss(learned, key):
        return content_code.loss(
            learned, model, coded.content_code, SHORT, params, clips, key, SHORT.num_steps
        )

    keys = jax.random.split(jax.random.key(0), 60)
    losses = [np.mean([loss(code, key) for key in keys]) for code in codes]
    best = int(np.argmin(losses))
    assert best == 1  # or the first or the last would do
    jax.tree.map(np.testing.assert_array_equal, kept["content_code"], codes[best])


def test_no_code_at_all_is_refused():
    with pytest.raises(ValueError, match="restarts=0"):
        Settings(restarts=0)


def test_a_code_that_diverges_is_not_returned():
    model, params = tiny.get_model()
    readings = readings_of(people_in_action()[1])
    broken = readings._replace(content=readings.content * np.nan)
    with pytest.raises(UserError, match="diverged"):
        content_code.learn(model, params, broken, SHORT, False)
