"""Named motions of a run: the codes that stand for `slash_left`, say, whoever plays it.

They lie with the run in `motions.json`. `make` reads them from clips of the data set in which
several characters play each motion; a frame's code is the one that most of them get.
"""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
from etils import epath
from jaxtyping import Int, UInt8

from vdd import files, priors, runs
from vdd.config import Config
from vdd.data import datasets
from vdd.errors import UserError
from vdd.values import Json, Report

FILE = "motions.json"
CHARACTERS = 32  # who play each motion, unless told otherwise


class NoMotionsError(UserError):
    """A run has no motions, where some are looked for."""


class OtherMotionsError(UserError):
    """Motions are of the codes of another model."""


@dataclasses.dataclass(frozen=True)
class Motion:
    """A named motion as codes."""

    name: str
    fps: float
    loop_from: int | None  # the first frame of what is repeated; None: it is played once
    codes: Int[np.ndarray, "t n"]
    agreement: float  # fraction of characters whose code is this one, mean over frames


class Read(Protocol):
    """What a run has read in clips."""

    @property
    def codes(self) -> Int[np.ndarray, "b t n"]:
        """The codes of their motion."""
        ...


class Reading(priors.Coding, Protocol):
    """A run that reads clips: a `vdd.run.Run`."""

    @property
    def windows(self) -> tuple[int, int]:
        """Frames that are read together, and how many of them two windows share."""
        ...

    def encode(self, clips: UInt8[np.ndarray, "b t h w c"], /) -> Read:
        """Content, motion and codes of clips."""
        ...


@dataclasses.dataclass(frozen=True)
class Library:
    """The motions of a run."""

    name: str  # by which a command names one of them: `lpc:slash_left`
    source: priors.Source  # whose codes they are
    characters: int  # who played each
    motions: Mapping[str, Motion]

    def find(self, library: str, name: str) -> Motion:
        """The motion of a name, as `named` gives it.

        Raises:
            UserError: there is none.
        """
        if library != self.name or name not in self.motions:
            there = ", ".join(f"{self.name}:{other}" for other in self.motions)
            raise UserError(f"there is no motion {library}:{name}; there are {there}")
        return self.motions[name]


def named(text: str) -> tuple[str, str] | None:
    """The library and the motion that `lpc:slash_left` names; None for any other text."""
    match = re.fullmatch(r"([a-z]\w+):(\w+)", text)
    return (match[1], match[2]) if match and not epath.Path(text).exists() else None


def make(run: Reading, path_or_name: epath.PathLike, characters: int = CHARACTERS) -> Library:
    """Reads the motions of a run's data set.

    Args:
        run: the `vdd.run.Run` that `path_or_name` names.
        path_or_name: of the run.
        characters: who play each motion.

    Raises:
        UserError: the data set names no motions, or cannot be read.
    """
    check(run.config.data)
    played = datasets.find_played(run.config.data, characters)
    assert played is not None
    motions = {one.name: _read(run, one) for one in played.motions}
    return Library(played.name, priors.source_of(run, path_or_name), characters, motions)


def check(data: Config) -> None:
    """Raise a UserError for a `config.data` that names no motions; says which model has some."""
    if not datasets.names_motions(data):
        able = (name for name in runs.pretrained() if (runs.PRETRAINED / name / FILE).exists())
        other = " or ".join(able)
        raise NoMotionsError(
            f"the data set {data.dataset} names no motions; take {other}, which has some"
        )


def _read(run: Reading, played: datasets.Played) -> Motion:
    clips, place = windowed(played.video, run.windows[0])
    codes, agreement = vote(run.encode(clips).codes[:, place])
    return Motion(played.name, played.fps, played.loop_from, codes, agreement)


def windowed(
    video: UInt8[np.ndarray, "b t h w c"], window: int
) -> tuple[UInt8[np.ndarray, "b s h w c"], slice]:
    """Clips that are at least as long as a window, and where in them the motion lies.

    A shorter motion is played over and over, so that one occurrence lies in the middle and every
    frame has neighbours on both sides, as in training.
    """
    length = video.shape[1]
    size = max(length, window)
    start = (size - length) // 2
    return video[:, (np.arange(size) - start) % length], slice(start, start + length)


def vote(codes: Int[np.ndarray, "b t n"]) -> tuple[Int[np.ndarray, "t n"], float]:
    """Of each frame the code, of all groups together, that most clips have; and how many do.

    Returns:
        the codes, and the fraction of clips that have them, mean over frames. Of codes that are as
        frequent as each other it is the smallest.
    """
    chosen, shares = [], []
    for frame in range(codes.shape[1]):
        found, counts = np.unique(codes[:, frame], axis=0, return_counts=True)
        chosen.append(found[counts.argmax()])
        shares.append(counts.max() / len(codes))
    return np.stack(chosen).astype(np.int32), float(np.mean(shares))


def load(run: priors.Coding, path_or_name: epath.PathLike) -> Library:
    """The motions that lie with a run.

    Raises:
        NoMotionsError: there are none; says whether they can be made, or which model has some.
        OtherMotionsError: they are of the codes of another model.
        UserError: the file is broken.
    """
    library = read(runs.find(path_or_name))
    if library is None:
        check(run.config.data)
        raise NoMotionsError(f"{path_or_name} has no {FILE}: make it with vdd motions")
    source, book = library.source, run.model.quantizer.codebook
    if not source.is_of(run):
        raise OtherMotionsError(
            f"{path_or_name}: its {FILE} is of {source.run}, step {source.step}, and not of step"
            f" {run.step} of this run: make it anew with vdd motions"
        )
    for motion in library.motions.values():
        codes = motion.codes
        known = 0 <= codes.min() <= codes.max() < book.num_codes
        if not known or codes.shape[1] != book.num_groups:
            raise UserError(f"{path_or_name}: {FILE} is damaged: {motion.name} is not of its codes")
    return library


def read(path: epath.Path) -> Library | None:
    """What the file in a run directory holds; None where there is none.

    Raises:
        UserError: it is broken.
    """
    file = path / FILE
    if not file.exists():
        return None
    try:
        held = json.loads(file.read_text())
        motions = {one["name"]: _from_json(one) for one in held["motions"]}
        source = priors.Source(**held["source"])
        return Library(held["name"], source, int(held["characters"]), motions)
    except (OSError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{file}: cannot be read ({reason})") from error


def _from_json(one: Report) -> Motion:
    codes = np.array(one["codes"])
    if codes.ndim != 2 or not codes.size or codes.dtype.kind != "i":
        raise ValueError(f"the codes of {one['name']} are not whole numbers [frames, groups]")
    loop = one["loop_from"] if one["loop_from"] is None else int(one["loop_from"])
    if loop is not None and not 0 <= loop < len(codes):
        raise ValueError(f"{one['name']} is repeated from a frame that it does not have")
    return Motion(one["name"], float(one["fps"]), loop, codes.astype(np.int32), one["agreement"])


def write(library: Library, path: epath.Path) -> epath.Path:
    """Writes the file into a run directory; where.

    Raises:
        UserError: it cannot be written, or there is somebody else's.
    """
    motions = [
        {**dataclasses.asdict(motion), "codes": motion.codes.tolist()}
        for motion in library.motions.values()
    ]
    head = {"name": library.name, "source": dataclasses.asdict(library.source)}
    return files.write(path / FILE, _text({**head, "characters": library.characters}, motions))


def _text(head: Report, motions: list[Json]) -> str:
    """JSON with a line a motion."""
    lines = ",\n".join(f"    {json.dumps(motion)}" for motion in motions)
    return f'{json.dumps(head, indent=2)[:-2]},\n  "motions": [\n{lines}\n  ]\n}}\n'


def export(run: runs.Trained, source: epath.Path, target: epath.Path) -> None:
    """Copies the motions of a run to its export, without a word of the machine they were made on.

    Motions of another step stay behind.

    Raises:
        UserError: the file is broken, or cannot be written.
    """
    library = read(source)
    if library is not None and library.source.is_of(run):
        origin = dataclasses.replace(library.source, run=epath.Path(library.source.run).name)
        write(dataclasses.replace(library, source=origin), target)


def describe(library: Library) -> Iterator[str]:
    """Lines of text about all motions."""
    yield f"motions     {len(library.motions)}, played by {library.characters} characters"
    for motion in library.motions.values():
        how = f"{len(motion.codes)} frames at {motion.fps:g} a second"
        loop = "" if motion.loop_from is None else f", repeated from frame {motion.loop_from} on"
        name = f"{library.name}:{motion.name}"
        yield f"  {name:20} {how}{loop}; {motion.agreement:.0%} of the characters agree"
