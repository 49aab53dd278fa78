"""`vdd.data.prepare`: any folder becomes a data set, and what cannot be used is told."""

import os
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")
import videos
from PIL import Image
from preparing import Ran, codes, report, run

from vdd.data import video_folder
from vdd.data.picture_files import MAX_PIXELS
from vdd.data.video_folder import splits


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
