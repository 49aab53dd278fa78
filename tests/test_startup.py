from pathlib import Path

import pytest

from vdd import startup


@pytest.mark.parametrize(("env", "kept"), [({}, True), ({"JAX_COMPILATION_CACHE_DIR": ""}, False)])
def test_compiled_programs_are_kept_unless_told_otherwise(monkeypatch, env, kept):
    updates = []
    monkeypatch.setattr(startup.jax.config, "update", lambda *args: updates.append(args))
    startup.keep_compiled_programs(env)
    home = str(Path("~/.cache/vdd/xla").expanduser())
    assert updates == ([("jax_compilation_cache_dir", home)] if kept else [])
