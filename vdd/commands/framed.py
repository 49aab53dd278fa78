"""`--frame` and `--paste-back`: which square of a clip a model sees, and the way back."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from vdd.commands import work
from vdd.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from vdd.data.faces import Box
    from vdd.data.sheet_files import Layout
    from vdd.data.video_io import Clip
    from vdd.run import Run

FACE, AS_IS = "face", "as-is"


class Scene(NamedTuple):
    """What is drawn is pasted into this.

    Attributes:
        frame: a photo, or the first frame of a clip, uint8 [h w 3].
        square: the part of it that the model sees.
    """

    frame: "np.ndarray"
    square: "Box"

    def around(self, pieces: "Iterable[Iterable[np.ndarray]]") -> "Iterator[Iterable[np.ndarray]]":
        """Drawn pieces of a clip, each frame within the scene."""
        from vdd.data import framing

        return framing.paste_all(pieces, self.frame, self.square)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How clips are framed for the model, and whether the result goes back into the photo."""
    how = f"`{FACE}`: the square around the face, of both clips (extra face); or their middle"
    parser.add_argument("--frame", choices=(FACE, AS_IS), default=AS_IS, help=how)
    back = "paste the result into the photo, or the content clip's first frame"
    parser.add_argument("--paste-back", action="store_true", help=back)


def check(arguments: argparse.Namespace, layout: "Layout | None") -> None:
    """Tells before any work what cannot be done; `layout` is of a sheet, or None.

    Raises:
        UserError: the content is a sheet; faces are wanted of a model of drawn clips; the extra
            `face` is not installed.
    """
    from vdd import runs
    from vdd.data import datasets, faces

    if layout and (told := _told(arguments)):
        raise UserError(f"{told} needs a photo or a clip as --content, not a sprite sheet")
    if arguments.frame == FACE:
        name = work.run_named(arguments)
        data = runs.load_config(runs.find(name)).data
        if not datasets.is_filmed(data):
            raise UserError(
                f"--frame {FACE}: {name} has learned from drawn clips ({data.dataset}), not from"
                f" people: leave it out, or say --frame {AS_IS}"
            )
        faces.import_dlib()


def read_content(
    arguments: argparse.Namespace, run: "Run", layout: "Layout | None", frames: int
) -> "tuple[np.ndarray, Scene | None]":
    """The first frames of the content as the model sees them, and the scene to paste into.

    Raises:
        UserError: a model that draws no squares, or transparency; no face is seen.
    """
    import numpy as np

    from vdd.data import framing, video_io

    path, told = arguments.content, _told(arguments)
    if not told:
        return work.read_content(run, path, layout, frames)[0], None
    height, width, channels = run.model.latents.size
    if height != width:
        raise UserError(f"{told}: this model draws {width}x{height} pixels, which is no square")
    if arguments.paste_back and channels == 4:
        raise UserError("--paste-back: this model draws with transparency, not into photos")
    if arguments.frame == FACE:
        square = _find(path, frames)
    else:
        with video_io.open_clip(path) as clip:
            square = framing.middle(*clip.size)
        _tell(path, "the square in its middle", square)
    with framing.open_square(path, square, height, run.ground) as clip:
        video = np.stack(list(islice(clip.frames, frames)))
    if not arguments.paste_back:
        return video, None
    return video, Scene(framing.first_frame(path, run.ground), square)


def open_motion(arguments: argparse.Namespace, run: "Run") -> "AbstractContextManager[Clip]":
    """The motion clip as the model sees it.

    Raises:
        UserError: no face is seen.
    """
    from vdd.data import framing

    path = arguments.motion
    if arguments.frame == AS_IS:
        return work.open_fitted(run, path)
    square = _find(path, arguments.frames)
    return framing.open_square(path, square, run.model.latents.size[0], run.ground)


def _find(path: str, frames: int | None) -> "Box":
    """The square around the face in the first frames of a clip."""
    from vdd.data import framing

    with work.working(f"looking for the face in {path}"):
        square = framing.face_square(path, frames)
    _tell(path, "the square of its face", square)
    return square


def _tell(path: str, which: str, square: "Box") -> None:
    top, left, side = square
    print(f"{path}: {which} is {side}x{side} pixels, {left} from the left and {top} from the top")


def _told(arguments: argparse.Namespace) -> str:
    """The option that needs a square of the content; none where that is read as it is."""
    if arguments.paste_back:
        return "--paste-back"
    return f"--frame {FACE}" if arguments.frame == FACE else ""
