"""What a coded clip holds, without the model that it is of: the work of `vdd info`."""

from typing import NamedTuple

from etils import epath

from vdd.codec import basis, container, content
from vdd.codec.entropy_model import PRIOR
from vdd.errors import UserError

ENDING = ".vdd"
_CONTENTS = {
    content.NUMBERS: "a content code",
    content.TOKENS: "content tokens",
    basis.BASIS: "content in a basis",
}


class Size(NamedTuple):
    """Where the bytes of a file are."""

    total: int
    content: int
    motion: int
    chunks: int
    frames: int


def read(path: epath.PathLike) -> bytes:
    """The bytes of a coded clip.

    Raises:
        UserError: no such file, or one that is too large for one.
    """
    path = epath.Path(path)
    if not path.exists():
        raise UserError("no such file")
    if path.is_dir():
        raise UserError("a folder, not a coded clip")
    with path.open("rb") as file:  # of a pipe or a device nobody knows the size
        data = file.read(container.MAX_BYTES + 1)
    if len(data) > container.MAX_BYTES:
        raise UserError(f"more than {container.MAX_BYTES >> 20} MB: not a coded clip")
    return data


def is_coded_clip(path: epath.PathLike) -> bool:
    """Whether a file says of itself that it is a coded clip, or is named like one."""
    path = epath.Path(path)
    if path.is_dir():
        return False
    if path.suffix.lower() == ENDING:
        return True
    if not path.exists():
        return False
    with path.open("rb") as file:
        return file.read(len(container.MAGIC)) == container.MAGIC


def describe(path: epath.PathLike) -> list[str]:
    """What a coded clip holds, in lines of text; no model is needed.

    Raises:
        UserError: it cannot be read at all.
    """
    try:
        data = read(path)
        contents = container.read(data)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    header, size = contents.header, size_of(contents, len(data))
    expected = -(-contents.header.frames // header.chunk_frames)
    prior = header.prior.hex() if header.motion_kind == PRIOR else "none: codes are counted"
    kind = _CONTENTS[header.content_kind]
    state = f"{size.content} bytes, {kind}" if contents.content is not None else "damaged"
    lines = [
        f"coded clip  {path}, {size.total} bytes",
        f"video       {contents.header.frames} frames of {header.width}x{header.height}"
        f" at {header.fps:g} frames a second",
        f"model       {header.model.hex()}, {header.num_groups} groups x {header.num_codes} codes",
        f"prior       {prior}",
        f"content     {state}",
        f"motion      {size.motion} bytes {_rate(size)}",
    ]
    if size.chunks < expected:
        lines.append(f"damaged     {expected - size.chunks} of {expected} chunks are lost")
    return lines


def size_of(contents: container.Contents, total: int) -> Size:
    """Where the bytes of a file are."""
    motion = [chunk.data for chunk in contents.chunks]
    return Size(
        total=total,
        content=len(contents.content or b""),
        motion=sum(map(len, motion)),
        chunks=len(motion),
        frames=sum(chunk.frames for chunk in contents.chunks),
    )


def summary(size: Size) -> str:
    """A line on where the bytes of a file are."""
    rest = size.total - size.content - size.motion
    motion = f"{size.motion} {_rate(size)}"
    return f"{size.total} bytes: content {size.content}, motion {motion}, the rest {rest}"


def _rate(size: Size) -> str:
    chunks = f"{size.chunks} chunk" + "s" * (size.chunks != 1)
    each = 8 * size.motion / max(size.frames, 1)
    return f"in {chunks} ({each:.3g} bits a frame)"
