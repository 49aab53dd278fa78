"""A Hub that stands in for the real one, and a model on it."""

import sys

import hub_stub
import pytest

from vdd import hub
from vdd.export import export


def _forget_the_library() -> None:
    """It reads its settings from the environment as it is imported."""
    for name in [name for name in sys.modules if name.split(".")[0] == "huggingface_hub"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def stub(tmp_path_factory):
    with hub_stub.serve() as server, pytest.MonkeyPatch.context() as patch:
        for name in ("HF_TOKEN", "HF_HUB_CACHE", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        patch.setenv("HF_ENDPOINT", server.url)
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        patch.setenv("HF_HUB_DISABLE_XET", "1")  # its server is another, and not to be stood in for
        patch.setenv("NO_PROXY", "127.0.0.1")
        _forget_the_library()
        yield server
    _forget_the_library()


@pytest.fixture(autouse=True)
def _nothing_found_before(monkeypatch):
    monkeypatch.setattr(hub, "_found", {})


@pytest.fixture(scope="module")
def exported(tiny_run, tmp_path_factory) -> dict[str, bytes]:
    """The files of a small model."""
    folder = tmp_path_factory.mktemp("exported") / "small"
    export(tiny_run, folder)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    held = {path.relative_to(folder).as_posix(): data for path, data in files.items()}
    return {name: data for name, data in held.items() if name != ".vdd.sha256"}
