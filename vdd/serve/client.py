"""Who is at the page: a browser's tab, known by a number, with the files it has dropped.

All of it is in memory and in a temporary folder, and goes with the server, or earlier.
"""

import collections
import secrets
import time
from typing import Any

from etils import epath

from vdd import files
from vdd.errors import UserError
from vdd.serve.clips import Clip
from vdd.serve.limits import Limits


class Client:
    """One tab."""

    def __init__(self, folder: epath.Path, limits: Limits):
        self.id = secrets.token_hex(16)
        self.seen = time.monotonic()
        self._folder, self._limits = folder, limits
        self._clips: collections.OrderedDict[str, Clip] = collections.OrderedDict()
        self._read: dict[tuple[str, str], Any] = {}

    def new_file(self, ending: str) -> epath.Path:
        """A place for a file; its name says nothing of what the file was called."""
        return self._folder / f"{self.id[:8]}-{secrets.token_hex(8)}{ending}"

    def add(self, clip: Clip) -> None:
        """Keeps a clip; the oldest goes where there are many."""
        self._clips[clip.id] = clip
        while len(self._clips) > self._limits.clips:
            self.forget(next(iter(self._clips)))

    def forget(self, name: str) -> None:
        """Lets a clip go, and its file."""
        clip = self._clips.pop(name, None)
        self._read = {key: value for key, value in self._read.items() if key[0] != name}
        if clip is not None and clip.path is not None:
            files.remove(clip.path)

    def find(self, name: str) -> Clip:
        """The clip of that name.

        Raises:
            UserError: it has gone, or was never there.
        """
        if name not in self._clips:
            raise UserError("that clip is no longer there: choose it again")
        return self._clips[name]

    def kept(self, clip: str, run: str) -> Any:
        """What a run has read in a clip; None where it has not."""
        return self._read.get((clip, run))

    def keep(self, clip: str, run: str, read: Any) -> None:
        """Keeps what a run has read in a clip, as long as the clip is there."""
        if clip in self._clips:
            self._read[clip, run] = read

    def close(self) -> None:
        """Removes all of its files."""
        for name in list(self._clips):
            self.forget(name)


class Clients:
    """All tabs that are known."""

    def __init__(self, folder: epath.Path, limits: Limits):
        self._folder, self._limits = folder, limits
        self._known: dict[str, Client] = {}

    def new(self) -> tuple[Client, Client | None]:
        """A new one, and the one that had to go for it, if any."""
        gone = None
        if len(self._known) >= self._limits.clients:
            gone = min(self._known.values(), key=lambda client: client.seen)
            del self._known[gone.id]
            gone.close()
        client = Client(self._folder, self._limits)
        self._known[client.id] = client
        return client, gone

    def find(self, name: str) -> Client:
        """The client of that number.

        Raises:
            UserError: it is not known, or not any more.
        """
        client = self._known.get(name)
        if client is None:
            raise UserError("this page is not known here any more: load it again")
        client.seen = time.monotonic()
        return client

    def close(self) -> None:
        """Removes all files."""
        for client in self._known.values():
            client.close()
        self._known.clear()
