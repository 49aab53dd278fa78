"""What becomes of a clip in a data set: its split, its frames, the square."""

import os
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("av")
import videos
from etils import epath
from PIL import Image
from preparing import codes, report, run

from vdd.data import clock, video_folder
from vdd.data.clock import running_clock
from vdd.data.decoding import open_video
from vdd.data.video_folder import resampling, splits
from vdd.data.video_folder.clips import find_clips
from vdd.errors import UserError


def test_animated_pictures_are_clips_and_stills_are_not(tmp_path):
    (tmp_path / "in").mkdir()
    for number, name in enumerate(("a.webp", "b.png", "c.avif", "d.apng")):
        stills = [Image.fromarray(frame) for frame in videos.counted(12, first=100 * number)]
        form = "PNG" if name == "d.apng" else None
        more = {"quality": 95} if name == "c.avif" else {}
        more |= {"lossless": True} if name == "a.webp" else {}
        path = tmp_path / "in" / name
        stills[0].save(path, form, save_all=True, append_images=stills[1:], duration=40, **more)
        stills[0].save(path.with_name(f"still{path.suffix}"), form)
    (tmp_path / "in" / "broken.webp").write_bytes(b"RIFF")
    os.mkfifo(tmp_path / "in" / "pipe.png")
    assert run(tmp_path / "in", tmp_path / "out", "--test=0", "--validation=0").status == 0
    assert [clip["path"] for clip in report(tmp_path / "out")["clips"]] == [
        "a.webp", "b.png", "c.avif", "d.apng",
    ]  # fmt: skip
    told = sorted(codes(tmp_path / "out", "train"))
    assert told == [list(range(first, first + 10)) for first in (0, 100, 200, 300)]


def test_who_is_seen_is_said_by_the_outer_folder_or_the_inner(tmp_path):
    for i, path in enumerate(("real/ann/a.mp4", "small/ann/b.mp4", "real/bob/c.mp4", "d.mp4")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(bytes([i]))

    def seen(**options):
        return {clip.path: clip.identity for clip in find_clips(tmp_path, **options).clips}

    outer = {"real/ann/a.mp4": "real", "small/ann/b.mp4": "small", "real/bob/c.mp4": "real"}
    assert seen() == {**outer, "d.mp4": "d"}
    inner = {"real/ann/a.mp4": "ann", "small/ann/b.mp4": "ann", "real/bob/c.mp4": "bob"}
    assert seen(innermost=True) == {**inner, "d.mp4": "d"}


def test_folders_can_name_the_splits(tmp_path):
    source, out = tmp_path / "source", tmp_path / "out"
    for i, path in enumerate(
        ("train/ann/a.mp4", "train/loose.mp4", "validation/ann/b.mp4", "test/bob/deep/c.mp4")
    ):
        videos.encode(source / path, videos.counted(10, first=100 * i))
    for path in ("loose.mp4", "other/d.mp4"):
        videos.encode(source / path, videos.counted(10, first=900))
    assert run(source, out, "--split-by=folder").status == 0
    made = report(out)
    clips = {clip["path"]: (clip["split"], clip["identity_name"]) for clip in made["clips"]}
    assert clips == {
        "train/ann/a.mp4": ("train", "ann"),
        "train/loose.mp4": ("train", "loose"),
        "validation/ann/b.mp4": ("validation", "ann"),
        "test/bob/deep/c.mp4": ("test", "bob"),
    }
    assert sorted(codes(out, "train")) == [list(range(10)), list(range(100, 110))]
    identity = {split: video_folder.load_windows(out, split).identity for split in splits.SPLITS}
    assert identity["validation"].tolist()[0] in identity["train"].tolist()
    skipped = {skip["path"]: skip["reason"] for skip in made["skipped"]}
    assert "none of the folders train" in skipped["other/d.mp4"]
    assert skipped["loose.mp4"]
    # Shares say nothing here, so that others are no other data set.
    assert "prepared already" in run(source, out, "--split-by=folder", "--test=0.3").out
    ran = run(source / "other", tmp_path / "none", "--split-by=folder")
    assert (ran.status, "--split-by=folder wants" in ran.err) == (2, True)


def test_splits_are_those_of_the_seed_and_leave_something_to_train_on():
    names = [f"p{i}" for i in range(100)]
    shares = {"validation": 0.1, "test": 0.2}
    zero, again, one = (splits.assign(names, shares, seed) for seed in (0, 0, 1))
    assert zero == again != one
    assert splits.assign(reversed(names), shares, 0) == zero
    held = [list(zero.values()).count(split) for split in splits.SPLITS]
    assert held == [70, 10, 20]
    assert list(splits.assign(["a"], shares, 0).values()) == ["train"]
    assert sorted(splits.assign("ab", shares, 0).values()) == ["test", "train"]
    assert sorted(splits.assign("abc", shares, 0).values()) == ["test", "train", "validation"]
    assert set(splits.assign("abc", {"validation": 0.0, "test": 0.0}, 0).values()) == {"train"}
    with pytest.raises(UserError, match="less than 1"):
        splits.assign(names, {"validation": 0.5, "test": 0.5}, 0)


@pytest.mark.parametrize(
    ("stamps", "fps"),
    [
        ([Fraction(i, 30) for i in range(60)], 25),
        ([Fraction(i, 12) for i in range(24)], 25),
        ([Fraction(i, 25) for i in range(50)], 25),
        ([Fraction(i * 1001, 30000) for i in range(60)], 25),
        ([Fraction(i * i, 400) for i in range(25)], 25),
        ([Fraction(i, 100) + (i % 3) * Fraction(1, 400) for i in range(120)], 8),
    ],
    ids=["30", "12", "25", "29.97", "variable", "jitter"],
)
def test_each_tick_shows_the_frame_nearest_in_time(stamps, fps: int):
    ticks = list(clock.nearest(zip(stamps, stamps), Fraction(fps)))
    assert [tick for tick, _ in ticks] == list(range(len(ticks)))
    assert abs(len(ticks) / fps - float(stamps[-1] + stamps[-1] - stamps[-2])) <= 0.06
    for tick, stamp in ticks:
        nearest = min(abs(other - Fraction(tick, fps)) for other in stamps)
        assert abs(stamp - Fraction(tick, fps)) == nearest


@pytest.mark.parametrize("kind", ["thirty", "twelve", "variable"])
def test_a_file_of_any_rate_is_resampled_by_its_time_stamps(tmp_path, kind: str):
    """The picture tells the frame, the frame its time."""
    rate = {"thirty": 30, "twelve": 12, "variable": None}[kind]
    stamps = [Fraction(i, rate) if rate else Fraction(i * i, 400) for i in range(40)]
    stamps = [stamp for stamp in stamps if stamp < 2]
    videos.encode(
        tmp_path / "in" / "clip.mkv",
        videos.counted(len(stamps)),
        None if rate else stamps,
        fps=rate or 25,
    )
    assert run(tmp_path / "in", tmp_path / "out", "--test=0", "--validation=0").status == 0
    told = sorted(codes(tmp_path / "out", "train"))
    found = [code for window in told for code in window]
    assert len(found) >= 20
    for tick, code in enumerate(found):
        off = abs(stamps[code] - Fraction(tick, 25))
        # Matroska keeps milliseconds.
        assert off <= min(abs(stamp - Fraction(tick, 25)) for stamp in stamps) + Fraction(1, 900)


def test_time_stamps_cannot_ask_for_endless_frames():
    far = [Fraction(0), Fraction(1, 25), Fraction(10**9), Fraction(10**9 + 1)]
    ticks = [tick for tick, _ in clock.nearest(zip(far, far), Fraction(25))]
    assert len(ticks) < 60
    assert ticks == sorted(set(ticks))
    windows = resampling.cut(ticks, 2, 1)
    for window in windows:
        assert ticks[window.first + 1] == ticks[window.first] + 1 == window.tick + 1


def test_a_clock_never_goes_back():
    step = Fraction(1, 25)
    missing = [None, None, None]
    assert list(running_clock(missing, step)) == [0, step, 2 * step]
    anew = [Fraction(5), 5 + step, Fraction(0), step]
    assert list(running_clock(anew, step)) == [5, 5 + step, 5 + 2 * step, 5 + 3 * step]
    behind = [Fraction(1), Fraction(1, 2), 1 + step]
    assert list(running_clock(behind, step)) == [1, 1, 1 + step]
    joined = [i * step for i in (*range(20), *range(20))]
    expected = [*(i * step for i in range(20)), *(i * step for i in range(19, 39))]
    assert list(running_clock(joined, step)) == expected
    disordered = [i * step for i in (0, 4, 2, 1, 3, 8, 6, 5, 7)]
    assert list(running_clock(disordered, step)) == [i * step for i in (0, 4, 4, 4, 4, 8, 8, 8, 8)]


def test_windows_overlap_as_told():
    assert resampling.cut(range(5, 25), 10, 5) == [(0, 5, 1), (5, 10, 1), (10, 15, 1)]
    gap = [0, 1, 2, 7, 8, 9, 10]
    assert resampling.cut(gap, 3, 1) == [(0, 0, 1), (3, 7, 1), (4, 8, 1)]
    assert resampling.cut([], 3, 1) == []


def test_windows_of_wide_spacing_lie_beside_the_others():
    assert resampling.cut(range(8), 3, 4, (1, 2)) == [(0, 0, 1), (4, 4, 1), (0, 0, 2)]
    assert resampling.cut([0, 1, 2, 7, 8, 9, 10], 2, 1, (3,)) == [(3, 7, 3)]


def test_every_other_frame_is_kept_on_request(three, tmp_path):
    assert (
        run(three, tmp_path / "out", "--test=0", "--validation=0", "--every", "2", "1").status == 0
    )
    found = sorted(codes(tmp_path / "out", "train"))
    plain = [[100 * i + first + k for k in range(10)] for i in range(3) for first in (0, 10)]
    wide = [[100 * i + 2 * k for k in range(10)] for i in range(3)]
    assert found == sorted(plain + wide)
    assert (
        "every=[1, 2], not None" in run(three, tmp_path / "out", "--test=0", "--validation=0").err
    )


def test_the_square_is_what_was_asked_for(tmp_path):
    """A white square on black is cut out exactly, made smaller or larger."""
    frame = np.zeros((60, 100, 3), np.uint8)
    frame[10:30, 50:70] = 255
    path = videos.encode(tmp_path / "square.mp4", [frame] * 2)
    with open_video(epath.Path(path)) as video:
        first = next(iter(video.frames))
        kept = resampling.Square(10 / 60, 50 / 100, 20 / 60, 20 / 100)
        for size in (10, 20, 64):
            part = resampling.square(first, kept, size)
            assert part.shape == (size, size, 3)
            assert part[2:-2, 2:-2].min() > 220
        wider = resampling.Square(0, 40 / 100, 40 / 60, 40 / 100)
        assert resampling.square(first, wider, 20)[0].max() < 40
        assert resampling.square(first, wider, 20)[6:14, 6:14].min() > 200
        outside = resampling.Square(0.9, 0.9, 0.5, 0.3)
        assert resampling.square(first, outside, 8).shape == (8, 8, 3)
