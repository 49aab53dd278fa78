"""Clips on the page: of the data set, or files that somebody has dropped there."""

import dataclasses
import functools
import importlib.util
import secrets
from fractions import Fraction

import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from vdd.data import datasets, drawn_faces, picture_files, scaling, sheet_files, sprites
from vdd.errors import UserError
from vdd.run import Run
from vdd.serve.reading import Answer, Reader, Request

GALLERY = 18  # clips
_SPLIT = "test"


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip, and the line of Python that reads it.

    Either a file, or frames of a data set.
    """

    name: str
    call: str  # of a module of `vdd.data`: gives uint8 [1 t h w c]; knows `run`
    path: epath.Path | None = None
    layout: str = ""
    face: bool = False
    frames: UInt8[np.ndarray, "t h w c"] | None = None
    id: str = dataclasses.field(default_factory=lambda: secrets.token_hex(8))


def of_file(
    path: epath.Path, name: str, layout: str, face: bool = False, frames: int | None = None
) -> Clip:
    """A file that was dropped; `name` is what it was called where it came from.

    The line reads so many `frames`, where that is told.
    """
    size, first = "run.model.latents.size[:2]", "[None]" if frames is None else f"[None, :{frames}]"
    if face and not layout:
        # Where the face is, is looked up in just these frames.
        given = f"run.model.latents.size[0], run.ground, frames={frames}"
        call = f"framing.read_face({name!r}, {given})[None]"
    elif layout:
        where = f"sheet_files.parse({layout!r})"
        call = f"sheet_files.read_clip({name!r}, {size}, run.ground, {where}).video{first}"
    else:
        call = f"video_io.read_clip({name!r}, {size}, ground=run.ground){first}"
    return Clip(name, call, path, layout, face)


def finds_faces(run: Run) -> bool:
    """Whether files may be cropped to a face: for models of videos, with the extra `face`."""
    height, width, _ = run.model.latents.size
    of_videos = datasets.is_filmed(run.config.data) and height == width
    return of_videos and importlib.util.find_spec("dlib") is not None


def read(clip: Clip, run: Run, reader: Reader | None) -> Answer:
    """The frames of a clip as a model takes them; a file needs a reader.

    Raises:
        UserError: a file cannot be read; what is wrong is told by its name, not its place.
    """
    size = run.model.latents.size[:2]
    if clip.frames is not None:
        images = map(Image.fromarray, clip.frames)
        stills = [picture_files.PictureFrame(image, Fraction(0), Fraction(0)) for image in images]
        video = np.stack(list(scaling.scaled(iter(stills), size, run.ground)))
        return Answer(video, None, "")
    assert reader is not None  # it is a file
    try:
        answer = reader.read(Request(str(clip.path), size, run.ground, clip.layout, clip.face))
    except UserError as error:
        raise UserError(_without(str(error), clip)) from error
    return answer._replace(told=_without(answer.told, clip))


def as_read(clip: Clip, answer: Answer) -> Clip:
    """A clip with the line of Python that reads just what was read."""
    if clip.path is None:
        return clip
    face, frames = answer.square is not None, len(answer.video)
    return dataclasses.replace(of_file(clip.path, clip.name, clip.layout, face, frames), id=clip.id)


def _without(text: str, clip: Clip) -> str:
    """What was said, without a place on this machine."""
    return " ".join(text.replace(f"{clip.path}: ", "").replace(str(clip.path), clip.name).split())


class Gallery:
    """Clips of a run's data set, from a split that no training sees.

    Where the data are not there, it is the examples that lie with the run, else what the package
    draws itself: characters (`vdd examples`), or heads.
    """

    def __init__(self, run: Run):
        self._config, self._size = run.config.data, run.model.latents.size[:2]
        self._examples: list[Clip] = []
        try:
            self.count = datasets.count_clips(self._config, _SPLIT)
        except (UserError, OSError, ValueError, KeyError):
            self._examples = _examples(run)
            self._heads = datasets.is_filmed(self._config)
            self._config = None
            drawn = drawn_faces.COUNT if self._heads else len(_characters())
            self.count = len(self._examples) or drawn

    def chosen(self) -> list[int]:
        """Rows to show: a few from all over the split, where neighbours may be alike."""
        return np.linspace(0, self.count - 1, min(self.count, GALLERY)).astype(int).tolist()

    def spread(self, count: int) -> list[int]:
        """So many rows, to count on."""
        rng = np.random.default_rng(0)
        return rng.choice(self.count, min(count, self.count), replace=False).tolist()

    def any(self) -> int:
        """A row, at random."""
        return secrets.randbelow(self.count)

    def clip(self, row: int) -> Clip:
        """The clip in that row."""
        if self._examples:
            return self._examples[row]
        if self._config is not None:
            call = f'datasets.load_clip(run.config.data, "{_SPLIT}", {row})[None]'
            name, video = f"{_SPLIT} clip {row}", datasets.load_clip(self._config, _SPLIT, row)
        elif self._heads:
            given = f"{row}, {drawn_faces.FRAMES}, {min(self._size)}"
            call = f"drawn_faces.clip({given})[None]"
            name = f"drawn head {row}"
            video = _head(row, min(self._size))
        else:
            call = f'sprites.load_arrays("builtin", "{_SPLIT}").video[[{row}]]'
            name, video = f"{_SPLIT} clip {row}", _characters()[row]
        return Clip(name, call, frames=video)


@functools.lru_cache(drawn_faces.COUNT)  # the gallery is gone through more than once
def _head(seed: int, side: int) -> UInt8[np.ndarray, "t side side 3"]:
    return drawn_faces.clip(seed, side=side)


def _characters() -> UInt8[np.ndarray, "n t h w c"]:
    return sprites.load_arrays("builtin", _SPLIT).video


def _examples(run: Run) -> list[Clip]:
    """The strips of cells in the folder `examples` of a run."""
    height, width, _ = run.model.latents.size
    found = []
    for path in sorted((epath.Path(run.home or run.name) / "examples").glob("*.png")):
        with path.open("rb") as file, Image.open(file) as image:
            layout = f"{image.width // width}x{image.height // height}"
        video = sheet_files.read_clip(
            path, (height, width), run.ground, sheet_files.parse(layout)
        ).video
        named = dataclasses.replace(
            of_file(path, f"{run.name}/examples/{path.name}", layout), path=None, frames=video
        )
        found.append(named)
    return found
