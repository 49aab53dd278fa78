"""What a command does before it computes: compiled programs are kept, and so is freed memory."""

import ctypes
import importlib.metadata
import importlib.util
import os
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
            from vdd import programs  # which imports more than some commands need

            jax.config.update("jax_compilation_cache_dir", str(cache / "xla"))
            programs.keep(cache / "programs")


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


def keep_freed_memory(env: Mapping[str, str] = os.environ) -> None:
    """Make glibc's malloc keep what is freed, in one heap, where JAX computes on CPUs.

    XLA takes its scratch memory from malloc at every call on a CPU. Pieces of that size are mapped
    and unmapped each time, and the kernel clears every page anew: a fifth of a training step. The
    price is memory that goes back to the system only when the process ends.

    Has to come before JAX starts its threads. Does nothing with another C library, where JAX may
    find an accelerator, or if VDD_KEEP_FREED_MEMORY=0.
    """
    if env.get("VDD_KEEP_FREED_MEMORY") == "0" or not _computes_on_cpus():
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        mmap_max, trim_threshold, arena_max = -4, -1, -8  # malloc.h
        library.mallopt(mmap_max, 0)
        library.mallopt(trim_threshold, -1)
        library.mallopt(arena_max, 1)


def _computes_on_cpus() -> bool:
    """Whether JAX is told to, or has nothing else; asking JAX itself would start its threads."""
    if platforms := jax.config.jax_platforms:
        return platforms.split(",")[0] == "cpu"
    plugins = [name for name in ("jax_plugins", "libtpu") if importlib.util.find_spec(name)]
    return not plugins and not importlib.metadata.entry_points(group="jax_plugins")
