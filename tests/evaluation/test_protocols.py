"""The protocols, on models whose figures are known beforehand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from world import World, random_clips

from vdd import apply
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import gallery
from vdd.evaluation.inference import Functions
from vdd.evaluation.measure import Measure
from vdd.evaluation.sprites import protocol as sprites

KEYS = {
    "sampler": {"name", "steps", "nfe"},
    "reconstruction": {
        "motion_acc", "body_acc", "bottomwear_acc", "topwear_acc", "hair_acc", "psnr", "ssim",
    },
    "transfer": {
        "motion_acc", "body_acc", "bottomwear_acc", "topwear_acc", "hair_acc", "content_acc",
        "joint_acc", "leak_acc", "num_pairs",
    },
    "cdsvae_protocol": {"acc", "inception_score", "h_y_given_x", "h_y"},
    "judge": {"motion_acc", "content_acc"},
    "bitrate": {
        "target_bits_per_frame", "entropy_bits_per_frame", "joint_entropy_bits_per_frame",
        "coded_bits_per_frame", "codebook_usage", "content_bits_per_clip",
    },
    "leakage": {
        "motion_from_content_acc", "content_from_motion_acc", "chance_motion", "chance_content",
    },
}  # fmt: skip


def evaluate(world: World, functions: Functions, train=None, batch_size: int = 32) -> dict:
    how = Measure(
        7, "random", target_bits_per_frame=5.0, sampler=Sampler("heun", 3), batch_size=batch_size,
        show_progress=False,
    )  # fmt: skip
    return sprites.evaluate(functions, train, world.clips, world.judge, how)


def test_a_model_that_does_all_right(world):
    report = evaluate(world, world.model())
    transfer = report["transfer"]
    for name in ("motion", "body", "bottomwear", "topwear", "hair", "content", "joint"):
        assert transfer[f"{name}_acc"] == 1
    assert transfer["leak_acc"] == 0
    assert transfer["num_pairs"] == report["num_clips"] == len(world.clips.motion)
    assert report["reconstruction"]["ssim"] == pytest.approx(1)
    protocol = report["cdsvae_protocol"]
    assert protocol["acc"] == 1
    assert protocol["inception_score"] == pytest.approx(9)
    assert protocol["h_y"] == pytest.approx(math.log(9))
    assert report["sampler"] == {"name": "heun", "steps": 3, "nfe": 5}


def test_a_model_that_heeds_only_content_leaks(world):
    report = evaluate(world, world.model(heeds_motion=False))
    assert report["transfer"]["leak_acc"] == 1
    assert report["transfer"]["motion_acc"] == report["transfer"]["joint_acc"] == 0
    assert report["transfer"]["content_acc"] == 1
    assert report["cdsvae_protocol"]["acc"] == 0
    assert report["reconstruction"]["motion_acc"] == 1


def test_rates_of_known_codes(world):
    bitrate = evaluate(world, world.model())["bitrate"]
    assert bitrate["entropy_bits_per_frame"] == pytest.approx(math.log2(9))
    assert bitrate["joint_entropy_bits_per_frame"] == pytest.approx(math.log2(9))
    assert bitrate["codebook_usage"] == 1
    assert bitrate["content_bits_per_clip"] == 10
    assert bitrate["target_bits_per_frame"] == 5
    assert bitrate["coded_bits_per_frame"] is None


def test_the_report_has_the_agreed_keys(world):
    report = evaluate(world, world.model())
    assert {"step", "dataset", "split", "num_clips"} | KEYS.keys() == report.keys()
    for section, keys in KEYS.items():
        assert keys <= report[section].keys()
    assert report["leakage"]["motion_from_content_acc"] is None


def test_leaks_are_found_where_they_are():
    """The content of this model holds the motion class, its codes hold nothing of the content."""
    both = random_clips(48)
    character = np.tile(np.arange(48), 9)
    train, test = (type(both)(*(part[rows] for part in both))
                   for rows in (character < 40, character >= 40))  # fmt: skip
    world = World(both)
    how = Measure(0, "random", sampler=Sampler(), show_progress=False)
    report = sprites.evaluate(world.model(), train, test, world.judge, how)
    leakage = report["leakage"]
    # It stands there as a one among zeros, for a linear probe to read; guessing finds a ninth.
    assert leakage["motion_from_content_acc"] > 0.95
    assert leakage["motion_from_motion_acc"] == 1
    # Every character is seen in every motion: the best that can be said is what most of them wear.
    worn = test.attributes.T
    most = np.mean([np.bincount(labels).max() / len(labels) for labels in worn])
    assert leakage["content_from_motion_acc"] <= most + 1e-6
    assert set(leakage["per_attribute"]) == {"body", "bottomwear", "topwear", "hair"}


def noisy_model(world: World) -> Functions:
    """Whether a sample heeds content or motion is decided by its random key."""
    right, wrong = world.model(), world.model(heeds_motion=False)

    def sample(keys, content, motion):
        heeds = np.asarray(jax.vmap(jax.random.bernoulli)(keys))
        both = (model.sample(keys, content, motion) for model in (right, wrong))
        return np.where(heeds[:, None, None, None, None], *both)

    return right._replace(sample=sample)


def test_samples_do_not_depend_on_the_batch_size(world):
    model = noisy_model(world)
    one, other = (evaluate(world, model, batch_size=size) for size in (5, 32))
    assert one == other
    assert 0.2 < one["transfer"]["leak_acc"] < 0.8


def test_all_batches_have_one_shape(world):
    model, shapes = world.model(), set()

    def sample(keys, content, motion):
        shapes.add(content.shape)
        return model.sample(keys, content, motion)

    evaluate(world, model._replace(sample=sample), batch_size=50)
    assert len(shapes) == 1


def test_quick_figures_are_of_the_same_swaps(world):
    model = noisy_model(world)
    full = evaluate(world, model)["transfer"]
    quick = sprites.quick_evaluate(
        model, world.clips, world.judge, num_pairs=len(world.clips.motion), batch_size=7
    )
    assert quick["swap_leak_acc"] == full["leak_acc"]
    assert quick["swap_joint_acc"] == full["joint_acc"]
    few = sprites.quick_evaluate(world.model(), world.clips, world.judge, num_pairs=10)
    assert few["swap_motion_acc"] == 1


def test_pixels_round_trip():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16, 1).repeat(3, -1)
    video = pixels / np.float32(127.5) - 1
    np.testing.assert_array_equal(apply.to_uint8(jnp.asarray(video)), pixels)
    assert apply.to_uint8(jnp.full((1, 1, 1, 1, 3), 1.3)).max() == 255


def test_pictures_show_the_swaps(world, tmp_path):
    from PIL import Image

    from vdd.data import video_io

    drawn = gallery.draw(world.model(), world.clips, gallery.epath.Path(tmp_path), batch_size=16)
    assert {picture.file for picture in drawn} == {path.name for path in tmp_path.iterdir()}
    for picture in drawn:
        with Image.open(tmp_path / picture.file) as image:
            assert image.size[0] > 200
    assert len(video_io.read_clip(tmp_path / "swaps.gif")) == 8


def test_the_cast_is_of_unlike_characters(world):
    cast = gallery._choose(random_clips(20), seed=0)
    clips = random_clips(20)
    assert sorted(clips.motion[cast.motion]) == list(range(9))
    rows = [tuple(clips.attributes[i]) for i in (*cast.content, *cast.motion)]
    assert len(set(rows)) == 15


def test_a_model_without_codes(world):
    """It shows the content's own motion."""
    model = world.model(heeds_motion=False)

    def encode(video):
        encoded = model.encode(video)
        return encoded._replace(codes=encoded.codes[..., :0])

    functions = Functions(encode, model.sample, None)
    how = Measure(0, "random", batch_size=32, show_progress=False)
    report = sprites.evaluate(functions, world.clips, world.clips, world.judge, how)
    assert report["sampler"] is None
    assert report["cdsvae_protocol"]["acc"] == 0
    assert report["transfer"]["leak_acc"] == 1
    bits = report["bitrate"]
    assert bits["entropy_bits_per_frame"] is bits["codebook_usage"] is None
    assert bits["content_bits_per_clip"] == 10
    assert report["leakage"]["motion_from_motion_acc"] == 1  # read from the motion vectors
