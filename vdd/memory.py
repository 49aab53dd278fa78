"""Memory that is freed: glibc's malloc keeps it for the next step, or gives it back."""

import ctypes
import gc
import importlib.metadata
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

import jax

_STATM = Path("/proc/self/statm")


def keep_freed_memory(env: Mapping[str, str] = os.environ) -> None:
    """Make glibc's malloc keep what is freed, in one heap, where JAX computes on CPUs.

    XLA takes its scratch memory from malloc at every call on a CPU. Pieces of that size are mapped
    and unmapped each time, and the kernel clears every page anew: a fifth of a training step. The
    price is memory that goes back to the system only by what follows here.

    Has to come before JAX starts its threads. Does nothing with another C library, where JAX may
    find an accelerator, or if VDD_KEEP_FREED_MEMORY=0.
    """
    if env.get("VDD_KEEP_FREED_MEMORY") == "0" or not _computes_on_cpus():
        return
    library = _glibc()
    if library is not None:
        mmap_max, trim_threshold, arena_max = -4, -1, -8  # malloc.h
        library.mallopt(mmap_max, 0)
        library.mallopt(trim_threshold, -1)
        library.mallopt(arena_max, 1)


def give_back_freed_memory() -> None:
    """Hand what is freed back to the system now: a compiler leaves gigabytes behind.

    For after work that will not come again soon. What comes at every step would have to be mapped
    anew. Gives nothing back with another C library.
    """
    gc.collect()  # a compiler's inputs refer to each other in a ring
    _trim()


class Unused:
    """Memory that is kept though no step needs it: a step's scratch now and then finds another
    place in the heap, and the old one stays resident.

    Called after every step, it gives back what is freed whenever the process has grown by `most`
    bytes. What a running step holds stays where it is. A call takes microseconds, giving back a
    tenth of a second. Does nothing where the system does not tell what is resident.
    """

    def __init__(self, most: int = 256 << 20):
        self._most, self._least = most, resident()

    def __call__(self) -> None:
        """Look, and give back if there is much."""
        now = resident()
        if now > self._least + self._most:
            _trim()
            now = self._least = resident()
        self._least = min(self._least, now)


def resident() -> int:
    """Bytes of this process that lie in memory, files apart; 0 where the system does not tell."""
    try:
        _, pages, of_files, *_ = map(int, _STATM.read_bytes().split())
        return (pages - of_files) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _trim() -> None:
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


def _computes_on_cpus() -> bool:
    """Whether JAX is told to, or has nothing else; asking JAX itself would start its threads."""
    if platforms := jax.config.jax_platforms:  # pyright: ignore[reportAttributeAccessIssue]
        return platforms.split(",")[0] == "cpu"
    plugins = [name for name in ("jax_plugins", "libtpu") if importlib.util.find_spec(name)]
    return not plugins and not importlib.metadata.entry_points(group="jax_plugins")
