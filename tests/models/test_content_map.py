import jax
import numpy as np
import pytest
import tiny

from vdd import apply
from vdd.method.disentangler import Disentangler
from vdd.models.content_map import ContentMap
from vdd.models.readout import ConvolutionalReadout

MAP = ContentMap(side=2, channels=(6, 8))
LATENTS = tiny.normal(0, 2, 5, 4, 4, 3)
PARAMS = tiny.perturbed(jax.eval_shape(MAP.init, jax.random.key(0), LATENTS)["params"])
CHANGES = {
    "model.content": {"kind": "map", "dim": 5, "side": 2, "channels": (8, 8)},
    "model.denoiser.readout": {
        "kind": "convolutions", "channels": (8, 6), "num_blocks": 1, "motion_channels": 3,
    },
}  # fmt: skip


@jax.jit
def read(latents):
    return MAP.apply({"params": PARAMS}, latents)


def test_a_place_of_the_map_reads_the_frames_about_that_place():
    content = read(LATENTS)
    assert content.shape == (2, 4, 8)
    by_latents = jax.jit(jax.jacrev(lambda x: read(x)[0].sum(-1)))(LATENTS)
    seen = np.abs(by_latents).max(-1) > 0  # place, clip, frame, row, column
    assert not seen[:, 1].any()  # a clip does not depend on its batch
    assert seen[:, 0].any((2, 3)).all()  # every frame
    assert seen[0, 0, :, 0, 0].all()
    assert seen[3, 0, :, 3, 3].all()


def test_the_order_of_frames_does_not_matter_nor_how_often_a_clip_is_shown():
    latents = np.asarray(LATENTS)
    np.testing.assert_allclose(read(latents[:, ::-1]), read(LATENTS), atol=1e-5)
    twice = np.concatenate([latents, latents], axis=1)
    np.testing.assert_allclose(read(twice), read(LATENTS), atol=1e-5)


def test_the_frame_that_shows_a_place_best_decides():
    """With a steep weight the map is that of one frame."""
    shown = jax.tree.map(lambda x: 1e4 * np.asarray(x), PARAMS["shown"])
    content = np.asarray(tiny.call(MAP, {**PARAMS, "shown": shown}, None, LATENTS))
    latents = np.asarray(LATENTS)
    alone = np.stack([np.asarray(read(latents[:, t : t + 1])) for t in range(5)], axis=1)
    gap = np.abs(alone - content[:, None]).max(-1).min(1)
    assert gap.max() < 1e-4


def test_sizes_that_do_not_fit_are_refused_when_the_model_is_built():
    def model(changes):
        return Disentangler.from_config(tiny.get_config(CHANGES | changes).model)

    assert model({}).encoder.num_contents == 4
    for changes, told in (
        (
            {"model.content": {"kind": "map", "dim": 5, "side": 3, "channels": (8,)}},
            "draws from 4 content tokens, and content has 9",
        ),
        ({"model.content": {"kind": "heap", "dim": 5}}, "unknown content 'heap'"),
        ({"model.content": {"kind": "tokens", "dim": 5}}, "content has 2: see model.content"),
    ):
        with pytest.raises(ValueError, match=told):
            model(changes)
    with pytest.raises(ValueError, match="cannot be halved to 3x3"):
        MAP.copy(side=3).halvings(4, 4)
    with pytest.raises(ValueError, match="do not make latents of 4x4"):
        ConvolutionalReadout((8, 8, 8, 8), 1, 2, shape=(4, 4, 3))


@pytest.fixture(scope="module")
def model_and_params():
    return tiny.get_model(CHANGES)


def test_content_goes_through_the_model_as_places(model_and_params):
    model, params = model_and_params
    video = tiny.random_video(2, 3)
    encoding = jax.jit(apply.encode, static_argnums=0)(model, params, video)
    assert encoding.content.shape == (2, 4, 5)


def test_what_changes_at_a_place_of_the_map_changes_the_picture_thereabouts():
    drawer = ConvolutionalReadout((4, 4), 1, 2, shape=(16, 16, 3))
    content, motion = np.zeros((1, 64, 5), np.float32), np.ones((1, 2, 6), np.float32)
    other = content.copy()
    other[:, 0] += 1.0
    shapes = jax.eval_shape(drawer.init, jax.random.key(0), content, motion)["params"]
    draw = jax.jit(drawer.apply)
    params = {"params": tiny.perturbed(shapes)}
    moved, plain = (np.asarray(draw(params, x, motion)) for x in (other, content))
    change = np.abs(moved - plain).max((0, 1, 4))
    assert change[:2, :2].min() > 0.0
    assert not change[8:].any()  # farther than the convolutions look
    assert not change[:, 8:].any()


def test_motion_is_a_picture_of_its_own_at_each_place():
    drawer = ConvolutionalReadout((4, 4), 1, 2, shape=(4, 4, 3))
    content, motion = np.zeros((1, 4, 5), np.float32), tiny.normal(1, 1, 2, 6)
    shapes = jax.eval_shape(drawer.init, jax.random.key(0), content, motion)["params"]
    drawn = np.asarray(tiny.call(drawer, tiny.perturbed(shapes), None, content, motion))
    assert drawn.shape == (1, 2, 4, 4, 3)
    spread = drawn.std((2, 3))
    assert spread.min() > 1e-3  # not the same everywhere, though content is
    assert np.abs(drawn[:, 0] - drawn[:, 1]).max() > 1e-3
