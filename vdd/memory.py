"""Memory of the process."""

import contextlib
import ctypes


def keep_freed_memory() -> None:
    """Make glibc's malloc keep what is freed, in one heap; nothing where the C library is another.

    XLA takes its scratch memory from malloc at every call on a CPU. Pieces of that size are mapped
    and unmapped each time, and the kernel clears every page anew: a fifth of a training step.
    """
    mmap_max, trim_threshold, arena_max = -4, -1, -8  # malloc.h
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(mmap_max, 0)
        library.mallopt(trim_threshold, -1)
        library.mallopt(arena_max, 1)
