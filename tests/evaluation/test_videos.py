"""The report on real videos, on bars that move before people who are patches of noise."""

import json
from typing import NamedTuple

import jax
import numpy as np
import pytest
from etils import epath

from vdd.data import video_io
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import report
from vdd.evaluation.faces import Faces, Observed
from vdd.evaluation.inference import Encoded, Functions
from vdd.evaluation.measure import Measure
from vdd.evaluation.sprites import protocol as sprites
from vdd.evaluation.videos import figures as of_videos
from vdd.evaluation.videos import gallery as video_gallery
from vdd.evaluation.videos import protocol as videos

FRAMES, SIZE = 5, 16
OFF = 10  # what the model gets wrong in each pixel


class Clips(NamedTuple):
    video: np.ndarray
    clip: np.ndarray
    identity: np.ndarray
    start: np.ndarray
    end: np.ndarray


def render(person: int, places: np.ndarray) -> np.ndarray:
    """A person's own dark noise, and a white bar at a column for each frame."""
    ground = np.random.default_rng(person).integers(0, 100, (SIZE, SIZE, 3), dtype=np.uint8)
    ground[0, 0] = person
    video = np.repeat(ground[None], len(places), axis=0)
    for frame, place in zip(video, places):
        frame[1:, place] = 240
    return video


def places_of(video: np.ndarray) -> np.ndarray:
    return video[:, 5, :, 0].argmax(axis=1)


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Nine windows of four clips of three people."""
    clip = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
    identity = np.array([0, 0, 0, 1, 1, 2, 2, 2, 1])
    places = np.random.default_rng(0).integers(0, SIZE, (9, FRAMES))
    video = np.stack([render(*pair) for pair in zip(identity, places)])
    return Clips(video, clip, identity, np.arange(9.0), np.arange(1, 10.0))


def model(
    heeds_motion: bool = True, groups: int = 1, noise: int = 0, batch_size: int = 4
) -> Functions:
    """Draws the content's person at the motion's places, too bright by OFF and a random amount."""

    def encode(video):
        person = video[:, 0, 0, 0, 0].astype(float)
        codes = np.stack([places_of(clip) for clip in video])[..., None].repeat(groups, -1)
        return Encoded(person[:, None, None], codes.astype(float), codes, np.full(len(video), 9.0))

    def sample(keys, content, motion):
        assert len(keys) == len(content) == len(motion) == batch_size
        places = motion[..., 0].astype(int) if heeds_motion else np.zeros(motion.shape[:2], int)
        made = np.stack([render(int(who), at) for who, at in zip(content[:, 0, 0], places)])
        brighter = np.asarray(jax.vmap(lambda key: jax.random.randint(key, (), 0, noise + 1))(keys))
        made[:, :, 1:] += (OFF + brighter).astype(np.uint8)[:, None, None, None, None]
        return made

    return Functions(encode, sample, num_codewords=SIZE)


def observe(video: np.ndarray) -> Observed:
    """Four points around the bar; who it is, by a pixel that tells it."""
    square = np.array([[0, 0], [0, 2], [2, 0], [2, 2]], float)
    who = np.eye(3)[video[0, 0, 0, 0]]
    return Observed(square + places_of(video)[:, None, None], who)


FACES = Faces(observe, {"detector": "none", "landmarks": "bars", "identity": "pixel"})


def evaluate(functions: Functions, windows: Clips, faces=None, **settings):
    how = Measure(7, "bars", **{"batch_size": 4, "show_progress": False, **settings})
    return videos.evaluate(functions, windows, how, faces)


@pytest.fixture(scope="module")
def figures(clips):
    return evaluate(model(), clips, faces=FACES, sampler=Sampler())


def test_the_report_counts_what_was_measured(figures):
    assert figures["num_clips"] == 4
    assert figures["num_windows"] == 9
    assert figures["num_identities"] == 3
    transfer = figures["transfer"]
    assert transfer["within_clip"]["num_pairs"] == 8
    assert transfer["across_identities"]["num_pairs"] == 9
    assert transfer["num_pairs"] == 17
    assert figures["real"] == {"same_clip_similarity": 1, "other_identity_similarity": 0}
    assert figures["networks"] == FACES.networks


def test_relative_motion_of_a_clip_is_measured_from_where_its_content_rests(clips, figures):
    absolute = model()

    def rest(video):
        return np.stack([places_of(clip)[0] for clip in video])

    def encode_from(video, whose):
        read = absolute.encode(video)
        content = np.concatenate([read.content, rest(video)[:, None, None]], axis=2)
        return read._replace(content=content, motion=read.motion - rest(whose)[:, None, None])

    def sample(keys, content, motion):
        places = np.clip(motion + content[:, :, 1:], 0, SIZE - 1)
        return absolute.sample(keys, content[:, :, :1], places)

    relative = Functions(
        lambda video: encode_from(video, video), sample, SIZE, encode_from=encode_from
    )
    found, without = (
        evaluate(functions, clips)["transfer"]["within_clip"]["psnr"]
        for functions in (relative, relative._replace(encode_from=None))
    )
    assert found == pytest.approx(figures["transfer"]["within_clip"]["psnr"])
    assert without < found - 1


def test_samples_are_compared_with_what_they_ought_to_be(figures):
    expected = 20 * np.log10(255 / OFF) - 10 * np.log10((SIZE - 1) / SIZE)
    within, across = (figures["transfer"][name] for name in ("within_clip", "across_identities"))
    for section in (figures["reconstruction"], within, figures["transfer"]):
        assert section["psnr"] == pytest.approx(expected)
        assert 0.5 < section["ssim"] < 1
    assert across["psnr"] is None
    assert across["ssim"] is None
    assert within["psnr_mean_frame_held"] < within["psnr"]
    assert (
        across["psnr_mean_frame_held"] is figures["reconstruction"]["psnr_mean_frame_held"] is None
    )
    for section in (figures["reconstruction"], within, across):
        assert section["cross_error"] == 0
        assert section["identity_similarity"] == 1
        assert section["faces_found"] == 1
    assert within["motion_error"] == figures["reconstruction"]["motion_error"] == 0
    assert across["motion_error"] is None
    assert across["driving_similarity"] == 0
    assert within["flicker"] == pytest.approx(1, abs=0.02)


def test_stills_are_the_last_frame_and_the_mean():
    video = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 3), np.uint8)
    stills = of_videos.held(video, 3)
    for still in stills.values():
        np.testing.assert_array_equal(still, np.repeat(still[:1], 3, axis=0))
    np.testing.assert_array_equal(stills["psnr_last_frame_held"][0], video[-1])
    assert np.abs(stills["psnr_mean_frame_held"][0] - video.mean(0)).max() <= 0.5


def test_a_model_that_stands_still_is_found_out(clips, figures):
    still = evaluate(model(heeds_motion=False), clips, faces=FACES)
    for name in ("within_clip", "across_identities"):
        section, good = still["transfer"][name], figures["transfer"][name]
        assert section["flicker"] == 0
        assert section["cross_error"] > 1
        assert section["identity_similarity"] == 1
        assert good["cross_error"] == 0
    assert still["transfer"]["within_clip"]["motion_error"] > 1
    assert still["transfer"]["psnr"] < figures["transfer"]["psnr"] - 5


def test_the_report_has_the_keys_of_the_sprites_report(figures):
    from world import World, random_clips

    world = World(random_clips(4))
    how = Measure(7, "", sampler=Sampler(), show_progress=False)
    fixed = sprites.evaluate(world.model(), None, world.clips, world.judge, how)
    assert set(fixed) <= set(figures)
    extra = {"inception_score", "h_y_given_x"}  # the judge's on real clips
    for name, section in fixed.items():
        if isinstance(section, dict):
            left = extra if name == "judge" else set()
            assert set(section) - left <= set(figures[name]), name
    assert figures["transfer"]["joint_acc"] is None
    assert figures["judge"]["motion_acc"] is None


def test_the_report_can_be_written_and_read(figures, tmp_path):
    path = report.json_path(tmp_path, figures, "test")
    report.write_json(path, figures)
    assert json.loads(path.read_text()) == figures


def test_without_networks_their_figures_are_none(clips):
    figures = evaluate(model(), clips)
    assert {*figures["networks"].values(), *figures["real"].values()} == {None}
    across = figures["transfer"]["across_identities"]
    assert {name for name, value in across.items() if value is not None} == {"num_pairs", "flicker"}
    assert figures["transfer"]["psnr"] is not None


def test_windows_of_one_person_and_lone_clips_have_no_pairs(clips):
    video = clips.video[[0, 3]][:, :2]
    one = Clips(video, np.array([0, 1]), np.array([4, 4]), np.zeros(2), np.ones(2))
    transfer = evaluate(model(), one)["transfer"]
    assert transfer["num_pairs"] == 0
    assert transfer["psnr"] is None
    assert transfer["across_identities"]["flicker"] is None


def test_rates(clips, figures):
    places = np.concatenate([places_of(video) for video in clips.video])
    share = np.bincount(places)[np.unique(places)] / places.size
    rate = figures["bitrate"]
    assert rate["entropy_bits_per_frame"] == pytest.approx(-np.sum(share * np.log2(share)))
    assert rate["codebook_usage"] == len(share) / SIZE
    assert rate["content_bits_per_clip"] == 9
    twice = evaluate(model(groups=2), clips, target_bits_per_frame=160.0)["bitrate"]
    assert twice["entropy_bits_per_frame"] == pytest.approx(2 * rate["entropy_bits_per_frame"])
    assert twice["target_bits_per_frame"] == 160


def test_a_joint_entropy_is_told_only_where_tuples_come_again():
    rng = np.random.default_rng(0)

    def rate(codes):
        encoded = Encoded(np.zeros((8, 1, 1)), codes.astype(float), codes, np.zeros(8))
        return videos.bitrate(encoded, Functions(None, None, 32), None, np.arange(8) % 2)

    few = rate(rng.integers(0, 2, (8, 50, 3)))
    assert few["joint_entropy_bits_per_frame"] == pytest.approx(3, abs=0.1)
    many = rate(rng.integers(0, 32, (8, 50, 64)))
    assert many["joint_entropy_bits_per_frame"] is None
    assert many["entropy_bits_per_frame"] > 300


def test_bits_that_only_say_who_it_is_are_told():
    rng = np.random.default_rng(0)
    moves, who = rng.integers(0, 4, (8, 50, 2)), np.arange(8) % 2

    def rate(codes):
        encoded = Encoded(np.zeros((8, 1, 1)), codes.astype(float), codes, np.zeros(8))
        return videos.bitrate(encoded, Functions(None, None, 8), None, who)

    for codes, wanted in ((moves, 4), (moves + 4 * who[:, None, None], 6)):
        told = rate(codes)
        assert told["entropy_bits_per_frame"] == pytest.approx(wanted, abs=0.05)
        assert told["entropy_given_identity_bits_per_frame"] == pytest.approx(4, abs=0.05)


def test_figures_depend_on_the_seed_and_not_on_the_batch(clips):
    def psnr(batch_size, seed=0):
        functions = model(noise=5, batch_size=batch_size)
        figures = evaluate(functions, clips, batch_size=batch_size, seed=seed)
        return [figures[name]["psnr"] for name in ("reconstruction", "transfer")]

    assert psnr(1) == psnr(4) == psnr(16)
    assert psnr(4) != psnr(4, seed=1)


def test_pictures(clips, tmp_path):
    pytest.importorskip("av", reason="needs the extra `video`")
    folder = epath.Path(tmp_path) / "samples"
    drawn = video_gallery.draw(model(), clips, folder, batch_size=4, fps=10)
    names = [picture.file for picture in drawn]
    assert names == [*(f"transfer_{i}.mp4" for i in range(3)), "transfers.png",
                     "reconstructions.png"]  # fmt: skip
    assert sorted(names) == sorted(path.name for path in folder.iterdir())
    info = video_io.probe_clip(folder / "transfer_0.mp4")
    assert info.frames == FRAMES
    assert info.fps == pytest.approx(10)
    assert info.height >= 192
    assert info.width > 3 * 192
    driving = int(drawn[0].caption.split("of window ")[1].split(";")[0])
    assert drawn[0].caption.startswith("Window 0 ")
    assert clips.identity[driving] != clips.identity[0]
    sheet = video_io.read_clip(folder / "transfers.png")[0]
    shown = [sheet[60:252, left : left + 192] for left in (16, 222)]  # source, driving
    for panel, row in zip(shown, (0, driving)):
        np.testing.assert_array_equal(panel, clips.video[row, 0].repeat(12, 0).repeat(12, 1))
    assert sheet.shape[0] > 3 * 192
    assert sheet.shape[1] > FRAMES * info.width


def test_pictures_of_a_single_window(clips, tmp_path):
    one = Clips(*(part[:1] for part in clips))
    drawn = video_gallery.draw(model(), one, epath.Path(tmp_path), batch_size=4)
    assert [picture.file for picture in drawn] == ["reconstructions.png"]
