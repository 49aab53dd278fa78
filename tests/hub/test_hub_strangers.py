"""What strangers have put on the Hub is data, and has to fit."""

import json
from pathlib import Path

import numpy as np
import pytest
from asking import command

import vdd
from vdd import hub, safetensors
from vdd.errors import UserError
from vdd.training import weights


def test_what_is_too_large_is_not_asked_for(stub, exported, monkeypatch, capsys):
    stub.commit("eve/large", exported)
    for name, size, words in (
        ("model.safetensors", (4 << 30) + 1, "model.safetensors has 4,295.0 MB, more than 4,295.0"),
        ("config.json", 65 << 20, "config.json has 68.2 MB, more than 67.1 MB"),
    ):
        monkeypatch.setattr(stub, "sizes", {name: size})
        stub.asked.clear()
        status, _, complained = command(capsys, "info", "hf://eve/large")
        assert status == 2
        assert complained.startswith("vdd: hf://eve/large: ")
        assert words in complained
        assert not [path for _, path, _ in stub.asked if "/resolve/" in path]
    monkeypatch.setattr(stub, "sizes", {})
    monkeypatch.setattr(hub, "MOST", hub.Most(in_all=1000))
    assert "more than 0.0 MB in all" in command(capsys, "info", "hf://eve/large")[2]
    # What is not asked for does not count.
    monkeypatch.setattr(hub, "MOST", hub.Most())
    monkeypatch.setattr(stub, "sizes", {"pytorch_model.bin": 1 << 50})
    stub.commit("eve/large", {**exported, "pytorch_model.bin": b"pickle"})
    assert command(capsys, "info", "hf://eve/large")[0] == 0
    monkeypatch.setattr(hub, "_MOST_NAMES", 3)
    hub._found.clear()
    assert "has more than 3 files" in command(capsys, "info", "hf://eve/large")[2]


def test_a_file_that_goes_on_and_on_is_stopped(stub, exported, monkeypatch, capsys):
    stub.commit("eve/endless", {**exported, "README.md": b"endless"})
    monkeypatch.setattr(stub, "endless", "README.md")
    status, _, complained = command(capsys, "info", "hf://eve/endless")
    assert status == 2
    assert "hf://eve/endless: sends more than the" in complained
    assert stub.sent < 64 << 20
    # And where no size was told at all.
    monkeypatch.setattr(hub, "MOST", hub.Most(in_all=200_000))
    monkeypatch.setattr(hub, "_check_sizes", lambda *_: hub.MOST.in_all)
    assert "sends more than the 0.2 MB" in command(capsys, "info", "hf://eve/endless")[2]


def changed(files: dict[str, bytes], path: str, **values) -> dict[str, bytes]:
    """The files, with another value in config.json."""
    config = json.loads(files["config.json"])
    group = config
    for part in path.split("."):
        group = group[part]
    group.update(values)
    return {**files, "config.json": json.dumps(config).encode()}


def test_files_of_a_stranger_are_data_and_have_to_fit(stub, exported, tmp_path, capsys):
    held = safetensors.read_noted(_written(tmp_path / "a", exported["model.safetensors"]))[0]
    tree = {name: np.asarray(x) for name, x in held.items()}
    name = next(name for name in tree if name.startswith("encoder."))

    def with_tensors(tensors) -> dict[str, bytes]:
        weights.write(tmp_path / "b", 7, tensors)
        return {**exported, "model.safetensors": (tmp_path / "b" / weights.FILE).read_bytes()}

    lacking = {key: x for key, x in tree.items() if key != name}
    for files, words in (
        (with_tensors({**tree, name: tree[name][..., :1]}), f"{name} is float32["),
        (with_tensors(lacking), f"{name} is absent and not float32["),
        (with_tensors({**tree, "extra.kernel": np.ones(3, "f4")}), "extra.kernel is float32[3]"),
        (changed(exported, "model.encoder", width=10**6), "not of the model that config.json"),
        (changed(exported, "model.encoder", width=-1), "model.encoder"),
        (changed(exported, "model.encoder", num_heads=0), ""),
        (changed(exported, "model", quantizer={"kind": "os.system"}), "another version"),
        ({**exported, "config.json": b"[" * 100_000}, "cannot be read"),
        ({**exported, "model.safetensors": b"\x80\x04pickle"}, "not a whole safetensors"),
    ):
        stub.commit("eve/files", files)
        hub._found.clear()
        status, _, complained = command(capsys, "info", "hf://eve/files")
        assert status == 2, complained
        assert words in complained


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_a_config_that_was_downloaded_names_no_place_here(stub, exported):
    files = changed(exported, "data", art_dir="/etc", data_dir="gs://eve/data")
    stub.commit("eve/places", changed(files, "train", init_from="/root/runs"))
    config = vdd.load("hf://eve/places").config
    assert config.data.art_dir is config.data.data_dir is config.train.init_from is None


def test_other_addresses_are_refused_with_what_to_say(capsys):
    for address, hint in (
        ("https://example.org/model.tar", "say hf://owner/name, or copy it to this"),
        ("https://huggingface.co/ann/first/tree/main", "say hf://ann/first"),
        ("s3://bucket/model", "say hf://owner/name, or copy it to this"),
        ("file:///tmp/model", "name the file by its path"),
    ):
        with pytest.raises(UserError, match=hint) as raised:
            vdd.load(address)
        assert "\n" not in str(raised.value)
