"""Folders of frames, a clip each: found, and joined into files that `vdd.data.prepare` reads."""

import hashlib
import io
import os
from fractions import Fraction
from pathlib import Path

from etils import epath
from PIL import Image

from vdd import files
from vdd.data import decoding, video_io
from vdd.errors import UserError

FPS = Fraction(25, 2)  # frames a second; pictures have no clock
_FEWEST = 4  # pictures of a folder that is a clip, not an album


def find(source: Path) -> list[tuple[str, str]]:
    """The folders of frames below a folder, by their paths there, and whose each is.

    As with videos that is the first folder below the source.
    """
    found = []
    for where, folders, _ in os.walk(source):
        folders.sort()
        name = os.path.relpath(where, source)
        if name != "." and len(pictures(Path(where))) >= _FEWEST:
            found.append((name, name.split(os.sep)[0]))
    return sorted(found)


def pictures(folder: Path) -> list[Path]:
    """The pictures of a folder in natural order."""
    return [Path(path) for path in video_io.list_pictures(epath.Path(folder))]


def joined(source: Path, out: Path) -> Path:
    """`out`, where each folder of frames is an animated PNG, without loss.

    Its name says what the pictures are. So one that is there already is not made again, and what
    was made of pictures that are gone or changed is removed.

    Raises:
      UserError: a picture cannot be read, or frames of a clip differ in size.
    """
    wanted = set()
    for name, _ in find(source):
        frames = pictures(source / name)
        path = out / f"{name}-{_digest(frames)}.apng"
        wanted.add(path)
        if not path.exists():
            files.write(path, _animation(frames))
    for path in sorted(set(out.rglob("*.apng")) - wanted):
        files.remove(path)
    return out


def _digest(frames: list[Path]) -> str:
    """Of the names, sizes and times of pictures."""
    of = [(path.name, (about := path.stat()).st_size, about.st_mtime_ns) for path in frames]
    return hashlib.sha256(repr(of).encode()).hexdigest()[:16]


def _animation(frames: list[Path]) -> bytes:
    images = [_read(path) for path in frames]
    if len({image.size for image in images}) > 1:
        raise UserError(f"{frames[0].parent}: its frames differ in size")
    buffer = io.BytesIO()
    milliseconds = round(1000 / FPS)
    images[0].save(
        buffer, "PNG", save_all=True, append_images=images[1:], duration=milliseconds, loop=0
    )
    return buffer.getvalue()


def _read(path: Path) -> Image.Image:
    with decoding.open_video(epath.Path(path)) as video:
        frame = next(video.frames)
        return Image.fromarray(frame.scaled(frame.height, frame.width))
