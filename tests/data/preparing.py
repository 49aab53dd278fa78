"""`vdd.data.prepare` as a command, and what it has made."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("av")
import videos

from vdd.data import prepare, video_folder

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


def contents(out: Path) -> dict[str, bytes]:
    """All files of a data set, the report without what the clock decides."""
    files = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
    made = json.loads(files.pop("report.json"))
    for key in ("decoding", "seconds", "sha256"):
        made.pop(key)
    return {**files, "report.json": json.dumps(made).encode()}
