"""Programs that are kept whole between runs, so that a command neither traces nor compiles them.

JAX's cache keeps what has been compiled. But before it is asked, Python goes through the whole
model again, which takes longer than to draw a clip. So a command keeps its programs themselves, as
files of the user's cache, under a digest of all that they depend on: the code of this package, what
compiled it, the machine, JAX's settings, the model, and the shapes. Like those of JAX's cache they
are machine code, to be run as it is.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import platform
import threading
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import flax
import jax
import jax.core
import jaxlib
from etils import epath
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache
from jaxtyping import PyTree

from vdd import files
from vdd.errors import UserError

T = TypeVar("T")

_PACKAGE = Path(__file__).parent
_compiling = threading.Lock()
_place: list[epath.Path] = []  # the folder, where programs are kept


def keep(folder: epath.Path) -> None:
    """From now on programs are kept in this folder."""
    _place[:] = [folder]


class Kept(Generic[T]):
    """`jax.jit` of a function whose first arguments are static, its programs kept between runs.

    So it is after `keep`, on one device. Otherwise, and within other programs, it is `jax.jit`.
    """

    def __init__(self, function: Callable[..., T], num_static: int):
        functools.update_wrapper(self, function)
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._jitted = jax.jit(function, static_argnums=range(num_static))
        self._num_static = num_static
        self._programs: dict[Hashable, Callable[..., T]] = {}

    def __call__(self, *arguments: PyTree) -> T:
        """What the function gives."""
        given = arguments[self._num_static :]
        leaves, tree = jax.tree.flatten(given)
        within = any(isinstance(leaf, jax.core.Tracer) for leaf in leaves)
        if within or not _place or jax.device_count() > 1:
            return self._jitted(*arguments)
        shapes = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        key = (arguments[: self._num_static], tree, shapes)
        if key not in self._programs:
            depends_on = f"{self._name} {key!r} {_surroundings()}"
            name, digest = self._name.rpartition(".")[2], hashlib.sha256(depends_on.encode())
            place = _place[0] / f"{name}-{digest.hexdigest()}"
            self._programs[key] = self._find(place, arguments)
        return self._programs[key](*given)

    def _find(self, path: epath.Path, arguments: tuple) -> Callable[..., T]:
        """The program of a file, or one that is compiled and written there."""
        if program := _read(path):
            return program
        with _without_cache():
            program = self._jitted.lower(*arguments).compile()
        with contextlib.suppress(UserError, ValueError, NotImplementedError):  # no room, no way
            data = pickle.dumps(serialize_executable.serialize(program))
            files.write(files.own(path.parent) / path.name, data, overwrite=True)
        return program


def kept(num_static: int) -> Callable[[Callable[..., T]], Kept[T]]:
    """`Kept` as a decorator."""
    return functools.partial(Kept, num_static=num_static)


def _read(path: epath.Path) -> Callable[..., PyTree] | None:
    """The program of a file; None where there is none, or it cannot be loaded."""
    if files.is_ours(path):
        with contextlib.suppress(Exception):  # whatever it is, the program can be compiled anew
            return serialize_executable.deserialize_and_load(*pickle.loads(path.read_bytes()))
    return None


@contextlib.contextmanager
def _without_cache() -> Iterator[None]:
    """Compile in earnest: XLA does not write whole again what it has from JAX's cache."""
    with _compiling:
        used = jax.config.values["jax_enable_compilation_cache"]
        _use_cache(False)
        try:
            yield
        finally:
            _use_cache(used)


def _use_cache(used: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", used)
    compilation_cache.reset_cache()  # it asks only once whether it is to be used


@functools.cache
def _surroundings() -> str:
    """What a program depends on beside its arguments: the code, its compilers, and the machine."""
    code = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        code.update(path.read_bytes())
    device = jax.devices()[0]
    machine = (device.platform, device.device_kind, device.client.platform_version, _processor())
    versions = (jax.__version__, jaxlib.__version__, flax.__version__)
    settings = (jax.config.values, os.environ.get("XLA_FLAGS"))
    return repr((code.hexdigest(), versions, machine, settings))


def _processor() -> tuple[str, ...]:
    """What sets this machine's processors apart: a home may be that of many machines."""
    told = [platform.machine(), platform.processor(), str(os.cpu_count())]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
        told += [line for line in lines if line.startswith(("model name", "flags", "Features"))]
    return tuple(told)
