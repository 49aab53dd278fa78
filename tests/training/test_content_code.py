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
from vdd.errors import UserError
from vdd.models.content import ContentCode
from vdd.training import content_code
from vdd.training.content_code import Clips, Settings

QUICK = Settings(
    num_numbers=4, width=32, num_steps=300, batch_size=32, price=1e-2, learning_rate=3e-3
)
SHORT = Settings(num_numbers=4, width=8, num_steps=5, batch_size=4)


encode = jax.jit(apply.encode, static_argnums=0)


def people_in_action():
    """Contents of 4 persons in 4 actions, two tokens of 4: person, then action, and of swaps."""
    signs = np.array(list(itertools.product((-1.0, 1.0), repeat=2)))
    person, action = np.repeat(np.arange(4), 4), np.tile(np.arange(4), 4)

    def tokens(action):
        return np.stack([np.tile(signs[person], 2), np.tile(signs[action], 2)], axis=1)

    readings = [tokens((action + turn) % 4) for turn in range(4)]
    codes = np.random.default_rng(0).integers(0, 8, (16, 4, 2))
    return person, Clips(jnp.asarray(np.stack(readings, 1), jnp.float32), jnp.asarray(codes))


def numbers_of(code, learned, tokens):
    return np.round(code.apply({"params": learned}, tokens, method="to_numbers"))


def test_a_code_keeps_the_person_and_drops_the_action():
    model, params = tiny.get_model()
    person, clips = people_in_action()
    code, learned = content_code.fit(model, params, clips, QUICK, False)
    numbers = numbers_of(code, learned, clips.readings[:, 0])
    firsts = np.stack([numbers[person == one][0] for one in range(4)])
    assert len(np.unique(firsts, axis=0)) == 4
    np.testing.assert_array_equal(numbers, firsts[person])


def test_what_the_loss_is_made_of():
    model, params = tiny.get_model()
    _, clips = people_in_action()
    code = ContentCode(num_numbers=3, width=8, shape=(2, 4))
    learned = code.init(jax.random.key(0), clips.readings[:, 0])["params"]
    none = Settings(
        num_steps=10, batch_size=64, price=0.0, agreement_weight=0.0, commitment_weight=0.0
    )

    @functools.partial(jax.jit, static_argnums=0)
    def at(settings, step, readings):
        key = jax.random.key(1)
        seen = clips._replace(readings=readings)
        return content_code.loss(learned, model, code, settings, params, seen, key, step)

    def more(step, readings=clips.readings, **weights):
        changed = dataclasses.replace(none, **weights)
        return float(at(changed, step, readings) - at(none, step, readings))

    assert float(at(none, 0, clips.readings)) > 0.0
    # The price rises fivefold, and the commitment from nothing, between 40 and 80 % of the steps.
    early, late = more(4, price=1.0), more(8, price=1.0)
    assert early == pytest.approx(more(0, price=1.0))
    assert late == pytest.approx(5 * early, rel=1e-3)
    assert more(6, price=1.0) == pytest.approx(3 * early, rel=1e-3)
    assert more(4, commitment_weight=1.0) == 0.0
    assert 0.0 < more(8, commitment_weight=1.0) <= 3 * 0.25
    assert more(6, commitment_weight=2.0) == pytest.approx(
        more(10, commitment_weight=1.0), rel=0.01
    )
    assert more(0, agreement_weight=1.0) > 0.0
    same = jnp.tile(clips.readings[:, :1], (1, 4, 1, 1))
    assert more(0, same, agreement_weight=1.0) == 0.0


def test_what_a_clip_says_of_itself_is_never_a_target():
    model, params = tiny.get_model()
    _, clips = people_in_action()
    code = ContentCode(num_numbers=3, width=8, shape=(2, 4))
    learned = code.init(jax.random.key(0), clips.readings[:, 0])["params"]
    # A code that says nothing: only targets matter then.
    learned = jax.tree.map(jnp.zeros_like, learned)
    settings = Settings(batch_size=64, price=0.0, agreement_weight=0.0, commitment_weight=0.0)

    @jax.jit
    def loss(readings):
        seen = clips._replace(readings=readings)
        key = jax.random.key(1)
        return content_code.loss(learned, model, code, settings, params, seen, key, 0)

    before = loss(clips.readings)
    assert loss(clips.readings.at[:, 0].multiply(3.0)) == before
    assert loss(clips.readings.at[:, 1].multiply(3.0)) != before


def test_learning_adds_the_code_and_changes_nothing_else():
    model, params = tiny.get_model()
    video = tiny.random_video(6, 4)
    coded, learned = content_code.learn(model, params, video, SHORT, False)
    again, relearned = content_code.learn(coded, learned, video, SHORT, False)
    jax.tree.map(np.testing.assert_array_equal, learned, relearned)
    assert coded == again
    code = learned.pop("content_code")
    jax.tree.map(np.testing.assert_array_equal, learned, params)

    content = encode(coded, {**learned, "content_code": code}, video).content
    plain = encode(model, params, video)
    expected = coded.content_code.apply({"params": code}, plain.content)
    np.testing.assert_allclose(content, expected.tokens, atol=1e-5)
    bits = apply.content_bits(coded, {**learned, "content_code": code}, video)
    np.testing.assert_allclose(bits, expected.bits, rtol=1e-4)


def test_readings_are_of_the_clips_content_and_of_its_swaps():
    model, params = tiny.get_model()
    video = tiny.random_video(70, 4)  # more than go into a batch
    clips = content_code.read(model, params, video, SHORT, False)
    plain = encode(model, params, video)
    np.testing.assert_allclose(clips.readings[:, 0], plain.content, atol=1e-5)
    np.testing.assert_array_equal(clips.codes, plain.codes)

    def again(other):
        motion = plain.motion[other][None]
        parts = {"params": params}
        swap = model.apply(parts, plain.content[3][None], motion, method="mean_frame")
        features = model.apply(parts, swap, method="encode").content
        return model.apply(parts, features, method="compress").tokens[0]

    others = jnp.delete(jnp.arange(70), 3)
    possible = jax.jit(jax.vmap(again))(others)
    for reading in clips.readings[3, 1:]:
        assert np.abs(possible - reading[None]).max(axis=(1, 2)).min() < 1e-3


def test_a_code_needs_a_coarse_head_and_clips():
    model, params = tiny.get_model()
    with pytest.raises(UserError, match="too few"):
        content_code.learn(model, params, tiny.random_video(1, 4), SHORT, False)
    model, params = tiny.get_model({"model.coarse.width": 0})
    with pytest.raises(UserError, match="coarse head"):
        content_code.learn(model, params, tiny.random_video(4, 4), SHORT, False)
