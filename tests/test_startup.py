import importlib.util
import json
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


@pytest.mark.parametrize("kind", ["a device", "a file", "not writable"])
def test_nothing_is_kept_where_a_home_is_none(monkeypatch, tmp_path, kind):
    """Else JAX warns of every program that it cannot keep, in its own words."""
    updates, home = [], tmp_path / "home"
    if kind == "a file":
        home.write_text("")
    elif kind == "not writable":
        home.mkdir()
        monkeypatch.setattr(os, "access", lambda place, _: str(place) != str(home))
    monkeypatch.setenv("HOME", "/dev/null" if kind == "a device" else str(home))
    monkeypatch.setattr(startup.jax.config, "update", lambda *args: updates.append(args))
    startup.keep_compiled_programs({})
    assert updates == []


PACKAGE = Path(vdd.__file__).parent

# Page faults of taking and freeing 64 MiB ten times; there are 32 pages in it or more. Each case is
# measured in a fork of one process that has imported JAX.
FAULTS = """
import ctypes, json, os, resource, sys
import jax
from vdd.memory import keep_freed_memory
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
def faults(env):
    jax.config.update("jax_platforms", env["JAX_PLATFORMS"])
    sys.path.append(env["PLUGINS"])
    keep_freed_memory(env)
    for i in range(11):
        place = libc.malloc(1 << 26)
        libc.memset(place, 1, 1 << 26)
        libc.free(place)
        if i == 0:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for case in json.loads(sys.argv[1]):
    if not (child := os.fork()):
        print(faults(case), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc alone")
def test_freed_memory_is_kept_on_cpus_unless_told_otherwise(tmp_path):
    (tmp_path / "with" / "jax_plugins").mkdir(parents=True)
    cases = [
        ({"JAX_PLATFORMS": "cpu"}, True),
        ({"JAX_PLATFORMS": "", "PLUGINS": str(tmp_path / "with")}, False),
        ({"JAX_PLATFORMS": "cuda,cpu"}, False),
        ({"JAX_PLATFORMS": "cpu", "VDD_KEEP_FREED_MEMORY": "0"}, False),
    ]
    if not any(map(importlib.util.find_spec, ("jax_plugins", "libtpu"))):  # else: an accelerator's
        cases.append(({"JAX_PLATFORMS": ""}, True))
    asked = json.dumps([{"PLUGINS": str(tmp_path / "none")} | env for env, _ in cases])
    env = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, asked], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for (env, kept), faults in zip(cases, map(int, done.stdout.split()), strict=True):
        assert faults < 32 if kept else faults >= 320, (env, faults)


GIVEN_BACK = """
import ctypes, sys, jax
from vdd.memory import Unused, give_back_freed_memory, keep_freed_memory, resident
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
jax.config.update("jax_platforms", "cpu")
keep_freed_memory({})
give_back = give_back_freed_memory
if sys.argv[1] != "all":
    give_back = Unused(most=int(sys.argv[1]) << 20)
    low = resident()
    give_back()
    assert abs(resident() - low) < 1 << 22  # nothing has grown
places = [libc.malloc(1 << 26) for _ in range(8)]
for place in places:
    libc.memset(place, 1, 1 << 26)
full = resident()
for place in places[:-1]:
    libc.free(place)
kept = resident()
give_back()
print(full >> 20, kept >> 20, resident() >> 20)
"""


@pytest.mark.process
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc's malloc alone")
@pytest.mark.parametrize(("what", "given"), [("all", True), ("300", True), ("900", False)])
def test_freed_memory_is_given_back_when_asked_or_when_there_is_much(what, given):
    env = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", GIVEN_BACK, what], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    full, kept, left = map(int, done.stdout.split())  # MiB, of which 512 were taken
    assert kept > full - 64
    assert (left < full - 384) == given
