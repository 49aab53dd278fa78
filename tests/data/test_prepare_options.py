"""Options of `vdd.data.prepare`: mistakes in them, faces, latents, formats."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("av")
import videos
from preparing import codes, contents, report, run

from vdd.data import video_folder
from vdd.data.video_folder import splits


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--source=/nonesuch"], "no such folder"),
        (["--source={file}"], "not a folder"),
        (["--source={empty}"], "no clip gives a window"),
        (["--validation=0.6", "--test=0.6"], "together less than 1"),
        (["--workers=-1"], "--workers"),
        (["--latents", "--size=20"], "a --size that 8 divides"),
        (["--latents"], "--weights=DIR"),
        (["--latents", "--weights=/nonesuch"], "nonesuch"),
        (["--out={file}/out"], "Not a directory"),
    ],
)
def test_what_a_user_can_mend_is_one_line(three, tmp_path, options, words, monkeypatch):
    monkeypatch.delenv("VDD_WEIGHTS", raising=False)
    stand_in_autoencoder(monkeypatch)
    (tmp_path / "empty").mkdir()
    places = {"file": three / "0.mp4", "empty": tmp_path / "empty"}
    ran = run(three, tmp_path / "out", *(option.format(**places) for option in options))
    assert ran.status == 2
    assert ran.err.count("\n") == 1
    assert words in ran.err


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--size=0", "--size: '0' is not a whole number from 1 to 16384"),
        ("--frames=x", "--frames: 'x' is not a whole number"),
        ("--fps=0", "--fps: 0 is not from 0 to 1000"),
        ("--fps=fast", "--fps: fast is no frame rate"),
        ("--workers=x", "--workers"),
        ("--test=nan", "fractions from 0 to 1"),
        ("--sizes=3", "unrecognized arguments: --sizes=3 (see vdd prepare --help)"),
        ("--source=s3://videos", "s3:// is not read or written here"),
        ("--source=gs://videos", "gs://videos: videos are read, and data sets made, on this"),
        ("--out=gs://data", "gs://data: videos are read, and data sets made, on this machine"),
        ("--out=https://host/data", "https:// is not read or written here"),
    ],
)
def test_options_are_checked_in_one_line(three, tmp_path, option: str, words: str, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = run(three, tmp_path / "out", option)
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert words in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["three"]


def test_where_there_are_no_clips_nothing_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "empty.mp4").write_bytes(b"")
    ran = run(tmp_path / "in", tmp_path / "out")
    assert (ran.status, "an empty file" in ran.out) == (2, True)
    assert not (tmp_path / "out").exists()


class Box(NamedTuple):
    top: int
    left: int
    size: int


def test_the_square_follows_the_face(tmp_path, monkeypatch):
    """The stand-in for a face is a red square, which lies on the left; one clip has none."""
    frames = videos.counted(20)
    with_face = [frame.copy() for frame in frames]
    for frame in with_face:
        frame[20:52, 4:36] = (255, 0, 0)
    videos.encode(tmp_path / "in" / "face.mp4", with_face)
    videos.encode(tmp_path / "in" / "none.mp4", frames)

    def stable_box(pictures: Iterator[np.ndarray]) -> Box | None:
        red = [picture[..., 0] > 1.5 * picture[..., 1] for picture in pictures]
        places = np.argwhere(np.any(red, axis=0)) if red else np.zeros((0, 2))
        if not len(places):
            return None
        top, left = places.min(0)
        return Box(int(top), int(left), int(places[:, 0].max() - top + 1))

    put(monkeypatch, "vdd.data", "faces", stable_box=stable_box, import_dlib=lambda: None)
    assert run(tmp_path / "in", tmp_path / "out", "--face-crop", "--test=0").status == 0
    video = video_folder.load_windows(tmp_path / "out", "train").video
    assert video is not None
    assert video[..., 3:-3, 3:-3, 0].min() > 200
    assert video[..., 3:-3, 3:-3, 1:].max() < 60
    (skipped,) = report(tmp_path / "out")["skipped"]
    assert skipped == {"path": "none.mp4", "reason": "no face is seen"}


def test_faces_without_their_extra_are_told_at_once(three, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)  # as if it were not installed
    ran = run(three, tmp_path / "out", "--face-crop")
    told = "vdd: finding faces needs dlib: pip install 'vdd-video[face]'\n"
    assert (ran.status, ran.err) == (2, told)
    assert not (tmp_path / "out").exists()


def put(monkeypatch, package: str, name: str, **functions: Any) -> None:
    """A stand-in for a module."""
    module = types.ModuleType(f"{package}.{name}")
    module.__dict__.update(functions)
    monkeypatch.setitem(sys.modules, f"{package}.{name}", module)
    monkeypatch.setattr(f"{package}.{name}", module, raising=False)


class MeanPixels:
    """Stands in for an autoencoder: a latent is the mean of its 8x8 pixels."""

    encode = staticmethod(lambda images: images)  # the method that is asked for, by itself

    def apply(self, params, images, method):
        assert method is self.encode
        b, h, w, c = images.shape
        return params * images.reshape(b, h // 8, 8, w // 8, 8, c).mean((2, 4))


def stand_in_autoencoder(monkeypatch) -> None:
    import vdd.models.latents  # noqa: F401 - it imports what is replaced

    def load(kind: str, *, encoder: str, decoder: str):
        assert kind == "tiny"
        return MeanPixels(), 2.0

    put(monkeypatch, "vdd.models", "autoencoder", load=load)


def test_latents_lie_beside_the_pixels(three, tmp_path, monkeypatch):
    from vdd.data.video_folder import latents

    stand_in_autoencoder(monkeypatch)
    latents.load_encoder.cache_clear()
    for name in latents._FILES.values():
        (tmp_path / name).write_bytes(b"")
    out = tmp_path / "out"
    assert run(three, out, "--latents", f"--weights={tmp_path}").status == 0
    for split in splits.SPLITS:
        windows = video_folder.load_windows(out, split)
        assert windows.video is not None
        assert windows.latents is not None
        assert (windows.latents.dtype, windows.latents.shape[1:]) == (np.float16, (10, 3, 3, 3))
        images = windows.video.reshape(-1, 10, 3, 8, 3, 8, 3).astype(float).mean((3, 5))
        np.testing.assert_allclose(windows.latents, 2 * (images / 127.5 - 1), atol=2e-3)
    latents.load_encoder.cache_clear()


def test_an_interruption_costs_no_latents(three, tmp_path, monkeypatch):
    from vdd.data.video_folder import latents

    stand_in_autoencoder(monkeypatch)
    latents.load_encoder.cache_clear()
    for name in latents._FILES.values():
        (tmp_path / name).write_bytes(b"")
    out, encode, left = tmp_path / "out", latents.encode, [2]

    def interrupted(video, weights):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return encode(video, weights)

    monkeypatch.setattr(latents, "encode", interrupted)
    assert run(three, out, "--latents", f"--weights={tmp_path}").status == 130
    left[0] = 99
    assert run(three, out, "--latents", f"--weights={tmp_path}").status == 0
    whole = sum(len(video_folder.load_windows(out, split).clip) for split in splits.SPLITS)
    assert 99 - left[0] == whole - 2 > 0
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "video_folder"]
    latents.load_encoder.cache_clear()


def test_latents_can_be_added_to_what_is_prepared(three, tmp_path, monkeypatch):
    from vdd.data.video_folder import latents

    stand_in_autoencoder(monkeypatch)
    latents.load_encoder.cache_clear()
    for name in latents._FILES.values():
        (tmp_path / name).write_bytes(b"")
    out = tmp_path / "out"
    assert run(three, out).status == 0
    assert video_folder.load_windows(out, "train").latents is None
    before = contents(out)
    assert run(three, out, "--latents", f"--weights={tmp_path}").status == 0
    assert video_folder.load_windows(out, "train").latents is not None
    after = contents(out)
    assert all(after[name] == data for name, data in before.items() if "/video/" in name)
    latents.load_encoder.cache_clear()


def test_beam_writes_the_same_records(three, tmp_path):
    pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install 'vdd-video[beam]'")
    assert run(three, tmp_path / "plain").status == 0
    ran = run(three, tmp_path / "beam", "--beam=runner=DirectRunner")
    assert ran.status == 0, ran.err
    for split in splits.SPLITS:
        one, other = (
            video_folder.load_windows(tmp_path / name, split) for name in ("plain", "beam")
        )
        for expected, actual in zip(one, other):
            np.testing.assert_array_equal(actual, expected)


def test_without_beam_it_is_asked_for(three, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    ran = run(three, tmp_path / "out", "--beam")
    assert (ran.status, "pip install 'vdd-video[beam]'" in ran.err) == (2, True)


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_both_formats_hold_the_same(three, tmp_path, file_format: str):
    out = tmp_path / file_format
    assert run(three, out, f"--format={file_format}", "--test=0").status == 0
    assert sorted(codes(out, "train")) == sorted(
        [list(range(first, first + 10)) for first in clip_firsts(out)]
    )


def clip_firsts(out: Path) -> list[int]:
    clips = [clip for clip in report(out)["clips"] if clip["split"] == "train"]
    return [100 * int(clip["path"][0]) + first for clip in clips for first in (0, 10)]
