"""All drawings of the collection in memory: read once a process, and kept on disk."""

import contextlib
import functools
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Int

from vdd import files
from vdd.data.universal_lpc import sheets
from vdd.data.universal_lpc.sheets import Drawing, Unusable
from vdd.data.universal_lpc.wardrobe import Wardrobe, behind, part_of
from vdd.errors import UserError

_VERSION = 1  # of how drawings are kept; raise it when they, or what is left out, change


class Art(NamedTuple):
    """What can be drawn."""

    wardrobe: Wardrobe
    drawings: Mapping[str, Drawing]  # by the name of the sheet
    left_out: tuple[str, ...]  # a line for each sheet of a part that is of no use, and why
    fingerprint: str  # SHA-256 of names and bytes of the sheets

    def layers(self, character: Int[np.ndarray, "s"]) -> list[Drawing]:
        """What is drawn of a character, the rearmost first; the cape hangs before and behind."""
        return [self.drawings[name] for name, _ in self._sheets(character)]

    def parts(self, character: Int[np.ndarray, "s"]) -> list[str]:
        """The name of the part that each of `layers` is of."""
        return [part for _, part in self._sheets(character)]

    def _sheets(self, character: Int[np.ndarray, "s"]) -> list[tuple[str, str]]:
        """The sheets of a character, each with its part."""
        names = self.wardrobe.names(character)
        hidden = [(back, name) for name in names if (back := behind(name)) in self.drawings]
        return hidden + [(name, name) for name in names]


def load_art(art_dir: epath.PathLike | None = None) -> Art:
    """The sheets of a folder; a process reads them once.

    Args:
      art_dir: as for `sheets.find_art_dir`.

    Raises:
      UserError: no folder of sheets is named, or what there is dresses nobody.
    """
    return _load(str(sheets.find_art_dir(art_dir)))


@functools.lru_cache(maxsize=1)
def _load(folder: str) -> Art:
    root = epath.Path(folder)
    names = list(_wanted(sheets.sheet_names(root)))
    fingerprint = _fingerprint(root, names)
    kept = files.cache_dir()
    path = kept and kept / f"universal_lpc_{fingerprint[:16]}.npz"
    found = path and _unpack(path)
    if found is None:
        found = _read(root, names)
        if path is not None:
            with contextlib.suppress(UserError):  # no room or no rights: it is read again then
                files.write(path, _pack(*found))
    drawings, left_out = found
    parts = [part for name in drawings if (part := part_of(name))]
    return Art(Wardrobe(parts), drawings, left_out, fingerprint)


def _wanted(names: Sequence[str]) -> Iterator[str]:
    """The sheets of parts, and what hangs behind the body."""
    there = set(names)
    for name in names:
        if part_of(name):
            yield name
            if (back := behind(name)) in there:
                yield back


def _fingerprint(root: epath.Path, names: Sequence[str]) -> str:
    digest = hashlib.sha256(f"{_VERSION}\n".encode())
    for name in names:
        digest.update(f"{name} {hashlib.sha256(_bytes(root, name)).hexdigest()}\n".encode())
    return digest.hexdigest()


def _bytes(root: epath.Path, name: str) -> bytes:
    """A sheet's file; nothing where it cannot be read, which decodes as damaged."""
    with contextlib.suppress(OSError):
        return (root / f"{name}.png").read_bytes()
    return b""


def _read(root: epath.Path, names: Sequence[str]) -> tuple[dict[str, Drawing], tuple[str, ...]]:
    """Drawings by name, and what was left out; equal arrays are kept once."""
    drawings, left_out, known = {}, {}, {}

    def once(array: np.ndarray) -> np.ndarray:
        key = hashlib.sha256(array.tobytes()).digest(), array.dtype.str
        return known.setdefault(key, array)

    for name in names:
        try:
            drawing = sheets.to_drawing(sheets.decode(_bytes(root, name)))
        except Unusable as error:
            left_out[name] = str(error)
        else:
            drawings[name] = Drawing(*map(once, drawing))
    for name, why in _unwearable(drawings, left_out).items():
        left_out[name] = why
        del drawings[name]
    return drawings, tuple(f"{name}.png {why}" for name, why in sorted(left_out.items()))


def _unwearable(drawings: Mapping[str, Drawing], left_out: Mapping[str, str]) -> dict[str, str]:
    """Parts that are of no use though their sheets are sound: half a cape, twins of other parts.

    Equal arrays are one. A twin is as another part of its slot, so that nobody could tell them.
    """
    found, first = {}, {}
    for name in drawings:
        part, back = part_of(name), behind(name)
        if back in left_out:
            found[name] = f"has nothing behind the body: {back}.png {left_out[back]}"
        elif part is not None:
            arrays = (*drawings[name], *drawings.get(back, ()))
            looks = (part.slot, part.sexes, *map(id, arrays))
            if (twin := first.setdefault(looks, name)) != name:
                found[name] = f"is as {twin}.png"
    return found


def _pack(drawings: Mapping[str, Drawing], left_out: Sequence[str]) -> bytes:
    """As an npz file: every array once, and for each drawing which ones it has."""
    arrays: dict[int, np.ndarray] = {id(a): a for drawing in drawings.values() for a in drawing}
    number = {key: n for n, key in enumerate(arrays)}
    index = {name: [number[id(a)] for a in drawing] for name, drawing in drawings.items()}
    head = json.dumps({"drawings": index, "left_out": list(left_out)})
    buffer = io.BytesIO()
    columns: dict[str, Any] = {str(number[key]): array for key, array in arrays.items()}
    np.savez(buffer, head=np.frombuffer(head.encode(), np.uint8), **columns)
    return buffer.getvalue()


def _unpack(path: epath.Path) -> tuple[dict[str, Drawing], tuple[str, ...]] | None:
    """What `_pack` wrote; None where there is nothing, or nothing that can be read."""
    with contextlib.suppress(Exception):  # whatever a damaged archive raises, it is made again
        with np.load(io.BytesIO(path.read_bytes())) as archive:
            head = json.loads(archive["head"].tobytes())
            arrays = {name: archive[name] for name in archive.files}
        drawings = {
            name: Drawing(*(arrays[str(number)] for number in numbers))
            for name, numbers in head["drawings"].items()
        }
        return drawings, tuple(head["left_out"])
    return None
