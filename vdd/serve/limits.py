"""How much is taken of whoever asks: in bytes, pixels, frames, seconds, and how many at once."""

from typing import NamedTuple


class Limits(NamedTuple):
    """The bounds of a server; small ones make tests quick."""

    upload_bytes: int = 64 << 20  # of a file
    question_bytes: int = 1 << 20  # of any other request's body
    pixels: int = 1 << 24  # of a frame, 4096 x 4096
    frames: int = 600  # that are read of a file, or drawn
    read_seconds: float = 20.0  # that reading a file may take
    head_seconds: float = 10.0  # that the head of a request may take to arrive
    body_seconds: float = 60.0  # that a body may take to arrive
    clips: int = 24  # that are kept of a client; the oldest go
    files_bytes: int = 2 << 30  # of files of all clients; the oldest go
    read_bytes: int = 512 << 20  # of frames of these files, of all clients; they are read again
    clients: int = 64  # known at once; the one that has been idle for longest goes
    jobs: int = 12  # of a client, waiting or at work
    drawn_bytes: int = 256 << 20  # of pictures that are kept, of each run
    reader_bytes: int = 4 << 30  # of address space of the process that reads files


LIMITS = Limits()
