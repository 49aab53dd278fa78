"""What a command does before it computes: it looks for a device, and keeps compiled programs."""

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
