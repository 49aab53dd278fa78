import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import vdd
from vdd import startup


@pytest.mark.parametrize(("env", "kept"), [({}, True), ({"JAX_COMPILATION_CACHE_DIR": ""}, False)])
def test_compiled_programs_are_kept_unless_told_otherwise(monkeypatch, tmp_path, env, kept):
    updates = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(startup.jax.config, "update", lambda *args: updates.append(args))
    startup.keep_compiled_programs(env)
    place = str(tmp_path / ".cache" / "vdd" / "xla")
    assert updates == ([("jax_compilation_cache_dir", place)] if kept else [])


PACKAGE = Path(vdd.__file__).parent

# Page faults of taking and freeing 64 MiB ten times; there are 32 pages in it or more.
FAULTS = """
import ctypes, resource
from vdd.startup import keep_freed_memory
keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
for i in range(11):
    place = libc.malloc(1 << 26)
    libc.memset(place, 1, 1 << 26)
    libc.free(place)
    if i == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc alone")
@pytest.mark.parametrize(
    ("env", "kept"),
    [
        ({"JAX_PLATFORMS": "cpu"}, True),
        pytest.param(
            {"JAX_PLATFORMS": ""},
            True,
            marks=pytest.mark.skipif(
                any(map(importlib.util.find_spec, ("jax_plugins", "libtpu"))),
                reason="an accelerator's plug-in is installed",
            ),
        ),
        ({"JAX_PLATFORMS": "", "PLUGIN": "jax_plugins"}, False),
        ({"JAX_PLATFORMS": "cuda,cpu"}, False),
        ({"JAX_PLATFORMS": "cpu", "VDD_KEEP_FREED_MEMORY": "0"}, False),
    ],
)
def test_freed_memory_is_kept_on_cpus_unless_told_otherwise(env, kept, tmp_path):
    paths = [str(PACKAGE.parent)]
    if "PLUGIN" in env:
        (tmp_path / "jax_plugins").mkdir()
        paths.append(str(tmp_path))
    env = os.environ | env | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, "-c", FAULTS], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    faults = int(done.stdout)
    assert faults < 32 if kept else faults >= 320, faults
