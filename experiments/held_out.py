"""Lays clips of people out for three questions: what of the footage, of the people, of others?

    python experiments/held_out.py CLIPS OUT [--unseen 0.1] [--last 0.3] [--seed 0]
    python -m vdd.data.prepare --source OUT --out DATA --split-by folder ...

CLIPS holds one clip of each person. OUT/train has the first part of most clips, OUT/validation the
last part of the same ones (what was not seen of people who were), OUT/test whole clips of people
who are in neither. Between first and last part a second is left out. A clip whose last part would
be shorter than `--least` seconds is for training alone.
"""

import argparse
import itertools
import sys
from pathlib import Path

from vdd.data import video_io, video_writer
from vdd.data.video_folder.clips import find_clips
from vdd.data.video_folder.splits import assign
from vdd.errors import UserError


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--unseen", type=float, default=0.1, help="fraction of the people")
    parser.add_argument("--last", type=float, default=0.3, help="fraction of a clip")
    parser.add_argument("--least", type=float, default=2.1, help="seconds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        found = find_clips(options.clips).clips
        if options.out.exists() and any(options.out.iterdir()):
            raise UserError(f"{options.out}: already there; name a new or an empty folder")
        people = assign(
            (clip.identity for clip in found),
            {"validation": 0.0, "test": options.unseen},
            options.seed,
        )
        for clip in found:
            whole = people[clip.identity] == "test"
            shares = (0.0, 0.0) if whole else (options.last, options.least)
            parts = cut(options.clips / clip.path, *shares)
            for split, frames in (("test", parts[0]),) if whole else zip(
                ("train", "validation"), parts, strict=False
            ):  # fmt: skip
                write(options.clips / clip.path, frames, options.out / split / clip.identity)
    except UserError as error:
        print(f"held_out: {error}", file=sys.stderr)
        return 2
    return 0


def cut(path: Path, last: float, least: float) -> list[range]:
    """The frames of the first part of a clip, and of the last one unless that is too short."""
    clip = video_io.probe_clip(path)
    fps = clip.fps or 25.0
    tail = round(last * clip.frames)
    gap = round(fps)
    if not tail or tail < least * fps or tail + gap >= clip.frames:
        return [range(clip.frames)]
    return [range(clip.frames - tail - gap), range(clip.frames - tail, clip.frames)]


def write(path: Path, frames: range, folder: Path) -> None:
    """These frames of a clip as a clip of their own, in `folder`."""
    out = folder / f"{path.stem}.mp4"
    if out.exists():
        raise UserError(f"{path}: another clip of that name and person was written to {out}")
    with (
        video_io.open_clip(path) as whole,
        video_writer.writing_clip(out, whole.fps or 25.0) as clip,
    ):
        for frame in itertools.islice(whole.frames, frames.start, frames.stop):
            clip.write(frame)
    print(f"{out}: frames {frames.start} to {frames.stop - 1}")


if __name__ == "__main__":
    sys.exit(main())
