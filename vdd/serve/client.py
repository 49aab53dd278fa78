"""Who is at the page: a browser's tab, known by a number, with the files it has dropped.

All of it is in memory and in a temporary folder, and goes with the server, or earlier.
"""

import collections
import secrets
import time
from typing import TYPE_CHECKING

from etils import epath

from vdd import files
from vdd.errors import UserError
from vdd.serve.clips import Clip
from vdd.serve.kept import Kept
from vdd.serve.limits import Limits

if TYPE_CHECKING:
    from vdd.serve.rooms import Shown

_Key = tuple[str, str, str]  # the tab, the clip, the run

_UNKNOWN = "this page is not known here any more: load it again"


class Client:
    """One tab."""

    def __init__(self, folder: epath.Path, limits: Limits, read: "Kept[_Key, Shown]"):
        self.id = secrets.token_hex(16)
        self.seen = time.monotonic()
        self.gone = False
        self._folder, self._limits, self._read = folder, limits, read
        self._clips: collections.OrderedDict[str, Clip] = collections.OrderedDict()
        self._files: collections.OrderedDict[str, tuple[float, int]] = collections.OrderedDict()

    def new_file(self, ending: str) -> epath.Path:
        """A place for a file; its name says nothing of what the file was called."""
        return self._folder / f"{self.id[:8]}-{secrets.token_hex(8)}{ending}"

    def add(self, clip: Clip) -> None:
        """Keeps a clip; the oldest goes where there are many.

        Raises:
            UserError: whoever sent it has gone meanwhile.
        """
        self._clips[clip.id] = clip
        if clip.path is not None:
            self._files[clip.id] = (time.monotonic(), files.size_of(clip.path))
        while len(self._clips) > (0 if self.gone else self._limits.clips):
            self.forget(next(iter(self._clips)))
        if self.gone:
            raise UserError(_UNKNOWN)

    def forget(self, name: str) -> None:
        """Lets a clip go, and its file."""
        clip = self._clips.pop(name, None)
        self._files.pop(name, None)
        self._read.forget(lambda key: key[:2] == (self.id, name))
        if clip is not None and clip.path is not None:
            files.remove(clip.path)

    def held(self) -> int:
        """Bytes of its files."""
        return sum(size for _, size in self._files.values())

    def oldest(self) -> tuple[float, str] | None:
        """Its oldest file, and when that came; None without any."""
        return next(((came, name) for name, (came, _) in self._files.items()), None)

    def find(self, name: str) -> Clip:
        """The clip of that name.

        Raises:
            UserError: it has gone, or was never there.
        """
        if name not in self._clips:
            raise UserError("that clip is no longer there: choose it again")
        return self._clips[name]

    def kept(self, clip: str, run: str) -> "Shown | None":
        """What a run has read in a clip; None where it has not."""
        return self._read.get((self.id, clip, run))

    def keep(self, clip: str, run: str, read: "Shown", size: int) -> None:
        """Keeps what a run has read in a clip, so many bytes, while the clip and room are there."""
        if clip in self._clips:
            self._read.put((self.id, clip, run), read, size)

    def close(self) -> None:
        """Removes all of its files; nothing is added any more."""
        self.gone = True
        for name in list(self._clips):
            self.forget(name)


class Clients:
    """All tabs that are known."""

    def __init__(self, folder: epath.Path, limits: Limits):
        self._folder, self._limits = folder, limits
        self._known: dict[str, Client] = {}
        self._read: Kept[_Key, Shown] = Kept(limits.read_bytes)

    def new(self) -> tuple[Client, Client | None]:
        """A new one, and the one that had to go for it, if any."""
        gone = None
        if len(self._known) >= self._limits.clients:
            gone = min(self._known.values(), key=lambda client: client.seen)
            del self._known[gone.id]
            gone.close()
        client = Client(self._folder, self._limits, self._read)
        self._known[client.id] = client
        return client, gone

    def find(self, name: str) -> Client:
        """The client of that number.

        Raises:
            UserError: it is not known, or not any more.
        """
        client = self._known.get(name)
        if client is None:
            raise UserError(_UNKNOWN)
        client.seen = time.monotonic()
        return client

    def make_room(self) -> None:
        """Lets files go where there are too many bytes of them; whoever's, the oldest first."""
        while sum(client.held() for client in self._known.values()) > self._limits.files_bytes:
            found = [(client.oldest(), client) for client in self._known.values()]
            (_, name), owner = min(
                ((old, client) for old, client in found if old is not None), key=lambda one: one[0]
            )
            owner.forget(name)

    def close(self) -> None:
        """Removes all files."""
        for client in self._known.values():
            client.close()
        self._known.clear()
