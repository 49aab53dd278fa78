"""What a command does before it computes: compiled programs are kept, and so is freed memory."""

import contextlib
import ctypes
from collections.abc import Mapping

import jax

from vdd import files
from vdd.errors import UserError


def keep_compiled_programs(env: Mapping[str, str]) -> None:
    """Keep compiled programs between runs, unless JAX has been told where to, or not to.

    Where there is no home, none are kept.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in env:
        cache = files.cache_dir()
        if cache is not None:
            jax.config.update("jax_compilation_cache_dir", str(cache / "xla"))


def check_devices(env: Mapping[str, str]) -> None:
    """Tells before any work whether JAX has what it is to compute on.

    Raises:
      UserError: JAX_PLATFORMS names a platform that is not there, or a device cannot be used.
    """
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:
        wanted = env.get("JAX_PLATFORMS") or ""
        why = " ".join(str(error).split())[:200] or "no device is visible"
        hint = f"; JAX_PLATFORMS={wanted}: unset it, or set it to cpu" if wanted else ""
        raise UserError(f"JAX finds no device to compute on ({why}){hint}") from error


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
