"""A run with its clips: what several clients share, and what each has dropped."""

import collections
import dataclasses
import threading
from typing import NamedTuple

from vdd.errors import UserError
from vdd.run import Run
from vdd.serve.client import Client
from vdd.serve.clips import Clip, Gallery, as_read, read
from vdd.serve.limits import Limits
from vdd.serve.out import Coder
from vdd.serve.reading import Answer, Reader
from vdd.serve.studio import COUNTED, Read, Studio, Word
from vdd.serve.work import Progress, Steps

_ROWS_KEPT = 64
_ROW = "row-"


class Shown(NamedTuple):
    """A clip as a run takes it, and what it reads in it."""

    clip: Clip
    answer: Answer
    read: Read


class Room:
    """One of the runs that are served."""

    def __init__(self, name: str, run: Run, limits: Limits):
        self.name, self.studio = name, Studio(name, run, limits.drawn_bytes)
        self.coder = Coder(self.studio)
        self.motions = _motions_of(run)
        self._gallery: Gallery | None = None
        self._rows: collections.OrderedDict[str, Shown] = collections.OrderedDict()
        self._lock = threading.Lock()

    def warm_up(self) -> Steps[None]:
        """What the first who comes would wait for: programs are compiled, the gallery is read."""
        shown = yield from self.rows()
        read = shown[0].read
        yield from self.studio.draw(read.content, read.codes)
        yield from self.studio.draw(read.content, read.codes[:1])
        self.studio.prior_bits(read.codes)
        yield from self.words()

    def gallery(self) -> Steps[Gallery]:
        """Clips of the data set; the first time this takes a while."""
        if self._gallery is None:
            yield Progress(0, 1, "opening the data set")
            with self._lock:
                if self._gallery is None:
                    self._gallery = Gallery(self.studio.run)
        return self._gallery

    def rows(self) -> Steps[list[Shown]]:
        """The clips of the gallery, read."""
        gallery = yield from self.gallery()
        chosen, shown = gallery.chosen(), []
        for number, row in enumerate(chosen):
            yield Progress(number, len(chosen), "reading the gallery")
            shown.append((yield from self.row(row)))
        return shown

    def words(self) -> Steps[list[Word]]:
        """The codes that the data set uses, by use."""
        gallery, run = (yield from self.gallery()), self.studio.run
        videos = (read(gallery.clip(row), run, None).video for row in gallery.spread(COUNTED))
        return (yield from self.studio.words(videos))

    def row(self, row: int | None) -> Steps[Shown]:
        """A clip of the data set by its place; None: at random."""
        gallery = yield from self.gallery()
        row = gallery.any() if row is None else row
        name = f"{_ROW}{row}"
        with self._lock:
            known = self._rows.get(name)
        if known is None:
            clip = dataclasses.replace(gallery.clip(row), id=name)
            known = yield from self.take(clip, read(clip, self.studio.run, None))
            with self._lock:
                self._rows[name] = known
                while len(self._rows) > _ROWS_KEPT:
                    self._rows.popitem(last=False)
        return known

    def take(self, clip: Clip, answer: Answer) -> Steps[Shown]:
        """Reads what is seen in a clip."""
        return Shown(as_read(clip, answer), answer, (yield from self.studio.read(answer.video)))

    def find_row(self, name: str) -> int | None:
        """The place in the data set that the name of a clip stands for; None for other clips.

        Raises:
            UserError: there is no such place.
        """
        if not name.startswith(_ROW):
            return None
        number = name.removeprefix(_ROW)
        with self._lock:
            count = self._gallery.count if self._gallery else 0
        if not number.isdecimal() or len(number) > 9 or int(number) >= count:
            raise UserError("that clip is not in the gallery: choose another")
        return int(number)

    def open(self, client: Client, name: str, reader: Reader) -> Steps[Answer]:
        """The frames of a file that was dropped, for the threads that read files."""
        yield Progress(0, 1, "reading the file")
        return read(client.find(name), self.studio.run, reader)


def _motions_of(run: Run) -> dict[str, list[list[int]]]:
    """The named motions that lie with a run; none where there are none of this model."""
    try:
        return {name: codes.tolist() for name, codes in run.motions.items()}
    except UserError:
        return {}
