"""`vdd.data.prepare`: any folder becomes a data set, and what cannot be used is told."""

import contextlib
import io
import json
import os
import struct
import sys
import types
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("av")
import videos
from etils import epath
from PIL import Image

from vdd.data import clock, prepare, video_folder
from vdd.data.clock import running_clock
from vdd.data.decoding import open_video
from vdd.data.picture_files import MAX_PIXELS
from vdd.data.video_folder import examples, resampling, splits, workers
from vdd.data.video_folder import store as stores
from vdd.data.video_folder.clips import find_clips
from vdd.errors import UserError

SMALL = ("--size=24", "--frames=10", "--workers=0")


class Ran(NamedTuple):
    status: int
    out: str
    err: str


def run(source: Path, out: Path, *options: str) -> Ran:
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        status = prepare.main([f"--source={source}", f"--out={out}", *SMALL, *options])
    return Ran(status, printed.getvalue(), errors.getvalue())


def report(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())


def codes(out: Path, split: str) -> list[list[int]]:
    """The numbers that the frames of each window tell."""
    windows = video_folder.load_windows(out, split)
    assert windows.video is not None
    return [[videos.read_code(frame) for frame in window] for window in windows.video]


def good_files(folder: Path) -> dict[str, int]:
    """Files that can be used, and how many windows of 10 frames at 25 a second each gives."""
    encode, counted = videos.encode, videos.counted
    encode(folder / "good.mp4", counted(30))
    encode(folder / "UPPER.MP4", counted(12, first=1))
    encode(folder / "portrait.webm", counted(11, 97, 63), codec="libvpx")
    encode(folder / "sixty.mov", counted(60, first=2), fps=60)
    encode(folder / "twelve.mkv", counted(12), fps=12)
    encode(folder / "old.avi", counted(10), codec="mpeg4")
    encode(folder / "tiny.mp4", counted(10, 2, 2))
    encode(folder / "one line.mp4", counted(10, 2, 300))
    stamps = [Fraction(i * i, 400) for i in range(21)]
    encode(folder / "variable.mkv", counted(21), stamps)
    videos.sound(folder / "sound.mp4", 5.0, counted(20, first=3))
    videos.gif(folder / "anim.gif", counted(12), 40)
    encode(folder / "ann" / "at home" / "a.mp4", counted(20, first=100))
    encode(folder / "ann" / "b.mp4", counted(20, first=200))
    turned = encode(folder / "bob" / "phone.mov", [np.rot90(f) for f in counted(10, first=300)])
    turned.write_bytes(lay_on_its_side(turned.read_bytes()))
    (folder / "notes.txt").write_text("no clip")
    return {
        "good.mp4": 3,
        "UPPER.MP4": 1,
        "portrait.webm": 1,
        "sixty.mov": 2,
        "twelve.mkv": 2,
        "old.avi": 1,
        "tiny.mp4": 1,
        "one line.mp4": 1,
        "variable.mkv": 2,
        "sound.mp4": 2,
        "anim.gif": 1,
        "ann/at home/a.mp4": 2,
        "ann/b.mp4": 2,
        "bob/phone.mov": 1,
    }


def lay_on_its_side(data: bytes) -> bytes:
    """A video whose header asks for a quarter turn clockwise."""
    plain = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    turn = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    track = data.index(b"tkhd")
    return data[:track] + data[track:].replace(plain, turn, 1)


def bad_files(folder: Path) -> dict[str, str]:
    """Files that cannot be used, with a word of the reason."""
    good = (folder / "good.mp4").read_bytes()
    (folder / "text.mp4").write_text("this is no video\n" * 40)
    (folder / "empty.mov").write_bytes(b"")
    (folder / "noise.webm").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "zeros.mp4").symlink_to("/dev/zero")
    (folder / "gone.mp4").symlink_to(folder / "nothing.mp4")
    (folder / "circle.mp4").symlink_to(folder / "circle.mp4")
    (folder / "ann" / "again").symlink_to(folder)
    (folder / "twin.mp4").write_bytes(good)
    (folder / "zlink.mp4").symlink_to(folder / "good.mp4")
    videos.encode(folder / "short.mp4", videos.counted(9, first=4))
    videos.sound(folder / "sound only.mp4")
    (folder / "cut.mp4").write_bytes(good[: len(good) // 2])
    for name, codec in {"cut.mkv": "libx264", "cut.avi": "mpeg4", "cut.webm": "libvpx"}.items():
        whole = videos.encode(folder / name, videos.counted(60), codec=codec)
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    faststart = {"movflags": "faststart"}
    whole = videos.encode(folder / "cut fast.mp4", videos.counted(60), options=faststart)
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    garbled = bytearray(videos.encode(folder / "garbled.mp4", videos.counted(60)).read_bytes())
    at = garbled.index(b"mdat") + 900
    garbled[at : at + 600] = bytes(600)
    (folder / "garbled.mp4").write_bytes(garbled)
    matroska = (folder / "twelve.mkv").read_bytes()
    (folder / "header.mkv").write_bytes(matroska[: matroska.index(b"\x1f\x43\xb6\x75")])
    listing = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{folder}/good.mp4\n#EXT-X-ENDLIST\n"
    (folder / "playlist.mp4").write_text(listing)
    (folder / "list.avi").write_text(f"ffconcat version 1.0\nfile {folder}/good.mp4\n")
    Image.new("RGB", (64, 64)).save(folder / "picture.png")
    (folder / "picture.png").rename(folder / "picture.mkv")
    videos.gif(folder / "still.gif", videos.counted(1), 40)
    videos.gif(folder / "slides.gif", videos.counted(12), 5000)
    moving = (folder / "anim.gif").read_bytes()
    (folder / "cut.gif").write_bytes(moving[: len(moving) * 2 // 3])
    (folder / "huge.gif").write_bytes(moving[:6] + struct.pack("<HH", 9000, 9000) + moving[10:])
    claim = videos.encode(folder / "huge.avi", videos.counted(10), codec="rawvideo").read_bytes()
    small, large = struct.pack("<II", 96, 64), struct.pack("<II", 9000, 9000)
    (folder / "huge.avi").write_bytes(claim.replace(small, large))
    (folder / ".hidden.mp4").write_bytes(good)
    (folder / "new\nline.mp4").write_bytes(good)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.mp4")).write_bytes(good)
    return {
        "text.mp4": "cannot be read (Invalid data",
        "empty.mov": "an empty file",
        "noise.webm": "cannot be read",
        "folder.mp4": "a folder named like a clip",
        "pipe.mp4": "not a regular file",
        "zeros.mp4": "not a regular file",
        "gone.mp4": "cannot be read (No such file",
        "circle.mp4": "cannot be read (Too many levels",
        "ann/again": "a link to a folder that is read already",
        "twin.mp4": "the same bytes as good.mp4",
        "zlink.mp4": "the same bytes as good.mp4",
        "short.mp4": "shorter than a window: 0.36 s of 0.40",
        "sound only.mp4": "has no picture track",
        "cut.mp4": "cannot be read",
        "cut.mkv": "truncated: 1.",
        "cut.avi": "truncated: ",
        "cut.webm": "truncated: 1.",
        "cut fast.mp4": "truncated: 0.",
        "garbled.mp4": "cannot be read",
        "header.mkv": "cannot be read (End of file",
        "playlist.mp4": "cannot be read",
        "list.avi": "cannot be read",
        "picture.mkv": "shorter than a window",
        "still.gif": "shorter than a window",
        "slides.gif": "shorter than a window of 0.40 s between gaps",
        "cut.gif": "cannot be read",
        "huge.gif": f"9000x9000 pixels, more than {MAX_PIXELS}",
        "huge.avi": f"9000x9000 pixels, more than {MAX_PIXELS}",
        ".hidden.mp4": "a hidden file",
        "new\\nline.mp4": "control characters",
        "\\udcff.mp4": "not UTF-8",
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def expected(folder) -> tuple[dict[str, int], dict[str, str]]:
    return good_files(folder), bad_files(folder)


@pytest.fixture(scope="module")
def prepared(folder, expected, tmp_path_factory) -> tuple[Path, Ran]:
    out = tmp_path_factory.mktemp("prepared") / "out"
    return out, run(folder, out, "--test=0.3", "--validation=0.2")


def test_every_file_is_used_or_skipped_with_its_reason(prepared, expected):
    out, ran = prepared
    assert (ran.status, ran.err.count("\n")) == (0, 0), ran.err
    windows, reasons = expected
    assert {clip["path"]: clip["windows"] for clip in report(out)["clips"]} == windows
    skipped = {entry["path"]: entry["reason"] for entry in report(out)["skipped"]}
    assert skipped.keys() == reasons.keys()
    lines = ran.out.splitlines()
    for path, word in reasons.items():
        assert word in skipped[path], (path, skipped[path])
        assert any(path in line and skipped[path] in line for line in lines), path


def test_what_is_stored_can_be_found_again_in_the_videos(prepared):
    out, _ = prepared
    made, rows = report(out), 0
    path_of = {clip["clip"]: clip["path"] for clip in made["clips"]}
    first_of = {"good.mp4": 0, "UPPER.MP4": 1, "sound.mp4": 3, "ann/b.mp4": 200, "anim.gif": 0}
    first_of |= {"ann/at home/a.mp4": 100, "bob/phone.mov": 300, "portrait.webm": 0, "old.avi": 0}
    for split in splits.SPLITS:
        windows = video_folder.load_windows(out, split)
        assert windows.video is not None
        assert windows.video.shape[1:] == (10, 24, 24, 3)
        assert windows.fps == 25
        rows += len(windows.clip)
        for clip, start, told in zip(windows.clip, windows.start, codes(out, split)):
            path = path_of[int(clip)]
            if path in first_of:
                first = first_of[path] + round(25 * float(start))
                assert told == list(range(first, first + 10)), path
    assert rows == sum(clip["windows"] for clip in made["clips"])
    assert made["splits"]["test"]["windows"] == len(video_folder.load_windows(out, "test").clip)
    assert sorted(path.name for path in out.iterdir()) == ["report.json", "video_folder"]


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


def test_no_clip_and_no_identity_is_in_two_splits(prepared):
    out, _ = prepared
    windows = {split: video_folder.load_windows(out, split) for split in splits.SPLITS}
    for field in ("clip", "identity"):
        seen = [set(getattr(own, field).tolist()) for own in windows.values()]
        assert all(seen)
        assert sum(map(len, seen)) == len(set.union(*seen))
    clips = report(out)["clips"]
    of_ann = [clip for clip in clips if clip["identity_name"] == "ann"]
    assert len(of_ann) == 2
    assert len({clip["split"] for clip in of_ann}) == 1


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


def contents(out: Path) -> dict[str, bytes]:
    """All files of a data set, the report without what the clock decides."""
    files = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
    made = json.loads(files.pop("report.json"))
    for key in ("decoding", "seconds"):
        made.pop(key)
    return {**files, "report.json": json.dumps(made).encode()}


@pytest.fixture
def three(tmp_path) -> Path:
    for i in range(3):
        videos.encode(tmp_path / "three" / f"{i}.mp4", videos.counted(23, first=100 * i))
    return tmp_path / "three"


def test_any_number_of_processes_writes_the_same_bytes(three, tmp_path):
    outs = [tmp_path / f"{count}" for count in (0, 2)]
    for out, count in zip(outs, (0, 2)):
        assert run(three, out, f"--workers={count}").status == 0
    assert contents(outs[0]) == contents(outs[1])


def test_an_interrupted_run_goes_on_where_it_was(three, tmp_path, monkeypatch):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(three, whole)
    decode, seen = stores.Store._decode, []

    def interrupted(self, clip):
        seen.append(clip.path)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return decode(self, clip)

    monkeypatch.setattr(stores.Store, "_decode", interrupted)
    assert run(three, cut).status == 130
    assert not (cut / "report.json").exists()
    assert run(three, cut).status == 0
    assert seen == ["0.mp4", "1.mp4", "2.mp4", "2.mp4"]
    assert contents(cut) == contents(whole)
    monkeypatch.setattr(stores.Store, "_decode", None)
    again = run(three, cut)
    assert (again.status, "prepared already" in again.out) == (0, True)


def test_a_clip_that_has_gone_is_skipped(three, tmp_path, monkeypatch):
    decode = stores.Store.decode

    def late(self, clip):
        if clip.path == "1.mp4":
            (three / clip.path).unlink()
        decode(self, clip)

    monkeypatch.setattr(stores.Store, "decode", late)
    assert run(three, tmp_path / "out").status == 0
    (skipped,) = report(tmp_path / "out")["skipped"]
    assert skipped == {"path": "1.mp4", "reason": "cannot be read (No such file or directory)"}


def test_what_an_interrupted_writer_left_is_removed(three, tmp_path, monkeypatch):
    read, count = examples.Windows.__getitem__, []

    def interrupt(self, index):
        count.append(index)
        if len(count) == 4:
            raise KeyboardInterrupt
        return read(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(examples.Windows, "__getitem__", interrupt)
        assert run(three, tmp_path / "cut").status == 130
    assert run(three, tmp_path / "cut").status == 0
    assert [path.name for path in (tmp_path / "cut" / "video_folder").iterdir()] == ["video"]
    run(three, tmp_path / "whole")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


@pytest.mark.parametrize("name", ["downloads", "decoded", "video_folder"])
def test_videos_below_the_output_stay(three, tmp_path, name):
    source = tmp_path / "data" / name
    source.parent.mkdir()
    three.rename(source)
    (source / "video" / "incomplete.notes").mkdir(parents=True)
    (source / "video" / "incomplete.notes" / "a.txt").write_text("mine")
    (tmp_path / "data" / "notes.txt").write_text("mine")
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert run(source, tmp_path / "data").status == 0
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", ["report.json", ".vdd-decoded/a", "video_folder/video/1.0.0/a"])
def test_files_of_somebody_else_are_not_written_over(three, tmp_path, name):
    theirs = tmp_path / "out" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    ran = run(three, tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "already there" in ran.err
    assert theirs.read_text() == "mine"
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == [theirs]


def test_notes_in_what_an_interruption_left_stay(three, tmp_path, monkeypatch):
    def interrupted(self, clip):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stores.Store, "_decode", interrupted)
        assert run(three, tmp_path / "out").status == 130
    (left,) = (tmp_path / "out").iterdir()
    (left / "notes.txt").write_text("mine")
    assert run(three, tmp_path / "out").status == 0
    assert [path.name for path in left.iterdir()] == ["notes.txt"]


def test_another_data_set_has_to_go_elsewhere(three, tmp_path):
    run(three, tmp_path / "out")
    ran = run(three, tmp_path / "out", "--stride=5")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "stride=10, not 5: give another --out" in ran.err
    (three / "1.mp4").unlink()
    assert "other files: give another --out" in run(three, tmp_path / "out").err


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
        ("--test=nan", "shares from 0 to 1"),
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


def test_a_full_disk_is_one_line_and_loses_nothing(three, tmp_path, monkeypatch):
    def full(self, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(stores._Writer, "write", lambda self, data: self._told(full, self, data))
        ran = run(three, tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "No space left on device" in ran.err
    with monkeypatch.context() as patch:
        patch.setattr(examples.Windows, "__getitem__", full)
        ran = run(three, tmp_path / "out")
    assert (ran.status, ran.err.count("\n")) == (2, 1)
    assert "cannot be written (No space left on device" in ran.err
    assert run(three, tmp_path / "out").status == 0


def test_an_unreadable_folder_or_file_is_skipped(three, tmp_path, monkeypatch):
    if os.geteuid() == 0:  # whom no file refuses

        def refused(self, *args, **kwargs):
            if self.name == "1.mp4":
                raise PermissionError(13, "Permission denied", str(self))
            return opened(self, *args, **kwargs)

        opened = Path.open
        monkeypatch.setattr(Path, "open", refused)
    else:
        (three / "1.mp4").chmod(0)
    assert run(three, tmp_path / "out").status == 0
    (skipped,) = report(tmp_path / "out")["skipped"]
    assert skipped == {"path": "1.mp4", "reason": "cannot be read (Permission denied)"}


def crash(clip) -> None:
    """Brings its process down, for one clip."""
    if "1" in clip.path:
        os._exit(11)
    Path(clip.identity, clip.path).write_text("done")


def test_a_clip_that_brings_its_process_down_stops_no_other(tmp_path):
    clips = [workers.Clip(f"{i}", str(tmp_path)) for i in range(4)]
    crashed, count = [], []
    workers.in_processes(crash, clips, 2, count.append, crashed.append)
    assert [clip.path for clip in crashed] == ["1"]
    assert sum(count) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "2", "3"]


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
