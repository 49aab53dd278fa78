"""`vdd info`: what a run, a clip or a .vdd file holds."""

import argparse

from etils import epath

from vdd import hub
from vdd.commands import options, work
from vdd.errors import UserError, check_address

SUMMARY = "what a run, a clip or a .vdd file holds"
EXAMPLE = "vdd info runs/sprites"
NOUNS = options.NOUNS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("path", metavar="RUN|CLIP")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    lines = None if hub.is_address(arguments.path) else _describe_file(arguments.path)
    if lines is None:
        with work.working("reading the run"):
            from vdd import summary

            lines = summary.describe(arguments.path)
    print("\n".join(lines))


def _describe_file(name: str) -> list[str] | None:
    """Lines about a clip or a .vdd file; None for what is a run, or ought to be."""
    from vdd.codec import description
    from vdd.data import video_io

    check_address(name)
    path = epath.Path(name)
    if description.is_coded_clip(path):
        return list(description.describe(path))
    is_run = (path / "config.json").exists()
    if path.is_dir() and not is_run and not video_io.list_pictures(path):
        from vdd import runs  # not sooner: it takes seconds

        is_run = name in runs.pretrained()
        if not is_run:
            raise UserError(f"{path}: neither a run (no config.json) nor a folder of pictures")
    if is_run or not (path.exists() or path.suffix.lower() in video_io.INPUT_ENDINGS):
        return None
    clip = video_io.probe_clip(path)
    fps = f" at {clip.fps:.3g} frames a second" if clip.fps else ""
    return [f"{path}: {clip.frames} frames of {clip.width}x{clip.height}{fps}"]
