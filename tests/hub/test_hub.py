"""Models on the Hugging Face Hub: read, pushed, and what goes wrong told in a line."""

import json
import shutil
import sys
from pathlib import Path

import hub_stub
import numpy as np
from asking import command

import vdd
from vdd import fingerprint, hub, priors, runs
from vdd.export import export
from vdd.training import weights


def same(ours, theirs) -> bool:
    return fingerprint.digest({}, ours) == fingerprint.digest({}, theirs)


def test_a_model_is_loaded_and_its_commit_is_told(stub, exported, tiny_run, capsys):
    other = {**exported, "notes/huge.pkl": b"pickle", "pytorch_model.bin": b"pickle"}
    sha = stub.commit("ann/first", other)
    run = vdd.load("hf://ann/first")
    assert capsys.readouterr().out == f"hf://ann/first@{sha}\n"
    assert repr(run).startswith(f"Run('hf://ann/first@{sha}', step 7")
    assert run.model == vdd.load(tiny_run).model
    asked = [path for _, path, _ in stub.asked if path.startswith("/ann/first/resolve")]
    assert {path.split(f"{sha}/")[1] for path in asked} == exported.keys()
    # All that names the run means what was loaded, without another question.
    count = len(stub.asked)
    assert priors.source_of(run, "hf://ann/first").run == f"hf://ann/first@{sha}"
    assert runs.find("hf://ann/first") == runs.find(run.home)
    assert len(stub.asked) == count
    # Loaded again, it is what it is by then.
    later = stub.commit("ann/first", exported)
    vdd.load("hf://ann/first")
    assert capsys.readouterr().out == f"hf://ann/first@{later}\n"


def test_a_revision_is_a_commit_a_tag_or_a_branch(stub, exported, tmp_path, tiny_run, capsys):
    export(tiny_run, tmp_path / "three", 3)
    old = {**exported, "model.safetensors": (tmp_path / "three/model.safetensors").read_bytes()}
    sha = stub.commit("ann/second", old, "v1")
    stub.commit("ann/second", exported)
    for revision in ("v1", sha):
        assert vdd.load(f"hf://ann/second@{revision}").step == 3
        assert capsys.readouterr().out == f"hf://ann/second@{sha}\n"
    assert vdd.load("hf://ann/second").step == 7
    capsys.readouterr()
    hub._found.clear()
    status, said, _ = command(capsys, "info", "hf://ann/second@v1")
    assert status == 0
    assert said.startswith(f"hf://ann/second@{sha}\n")
    assert "trained     3 of" in said


def test_what_is_pushed_is_the_export_and_loads_as_it(stub, tmp_path, capsys, monkeypatch):
    """The shipped model that has all that an exported run can have."""
    monkeypatch.setenv("HF_TOKEN", hub_stub.TOKEN)
    folder = tmp_path / "lpc"
    stub.commit("bob/lpc", {"eval/1.json": b"{}", "photo.png": b"his"})
    status, said, _ = command(capsys, "export", "universal_lpc", folder, "--push", "bob/lpc")
    sha = stub.refs["bob/lpc"]["main"]
    assert status == 0
    assert f"hf://bob/lpc@{sha}: step 9000" in said
    pushed = stub.head("bob/lpc")
    # What no export has stays, what it no longer has goes.
    assert pushed.pop("photo.png") == b"his"
    expected = {
        "config.json", "model.safetensors", "motions.json", "README.md", "LICENSE", "AUTHORS",
        "eval/9000_test.json", "eval/9000_test_parts.json", "prior/config.json",
        "prior/model.safetensors", "prior/source.json", "prior/eval/2500.json",
    }  # fmt: skip
    assert pushed.keys() == expected
    for name, data in pushed.items():
        assert (folder / name).read_bytes() == data
    card = pushed["README.md"].decode()
    assert card.startswith("---\nlicense: cc-by-sa-3.0\nlibrary_name: vdd\ntags:\n- vdd\n")
    assert "pose right | 70.1 %" in card
    run, ours = vdd.load("hf://bob/lpc"), vdd.load("universal_lpc")
    assert same(run.params, ours.params)
    assert same(run.prior.params, ours.prior.params)
    np.testing.assert_array_equal(run.motions["slash_left"], ours.motions["slash_left"])
    capsys.readouterr()
    # Nothing is written among what was downloaded.
    assert "downloaded: export it" in command(capsys, "motions", "hf://bob/lpc")[2]
    assert runs.is_others(runs.find("hf://bob/lpc"))


def test_a_card_is_made_of_the_run_and_a_licence_is_asked_for(
    stub, tiny_run, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("HF_TOKEN", hub_stub.TOKEN)
    run = shutil.copytree(tiny_run, tmp_path / "run")
    (run / "eval").mkdir()
    report = {"step": 7, "split": "test", "num_clips": 9, "transfer": {"psnr": 21.5}}
    (run / "eval" / "7.json").write_text(json.dumps(report))
    assert command(capsys, "export", run, "--push", "bob/made")[0] == 0
    card = stub.head("bob/made")["README.md"].decode()
    assert card.startswith("---\nlicense: apache-2.0\n")  # that of the built-in art
    assert "9 clips of the test split\n  transfer          psnr 21.5\n" in card
    assert "**Data.** sprites/builtin" in card

    config = json.loads((run / "config.json").read_text())
    config["data"] = {"dataset": "video_folder", "data_dir": "prepared", "frames": 8}
    (run / "config.json").write_text(json.dumps(config))
    status, _, complained = command(capsys, "export", run, "--push", "bob/videos")
    assert status == 2
    assert "Say --license ID" in complained
    assert "bob/videos" not in stub.commits
    pushed = command(capsys, "export", run, "--push", "bob/videos", "--license", "cc-by-4.0")
    assert pushed[0] == 0
    assert b"license: cc-by-4.0\n" in stub.head("bob/videos")["README.md"]
    # A card that lies with the run goes along as it is.
    (run / "README.md").write_text("---\nlicense: mit\n---\n\nmine\n")
    assert command(capsys, "export", run, "--push", "bob/videos")[0] == 0
    assert stub.head("bob/videos")["README.md"] == b"---\nlicense: mit\n---\n\nmine\n"
    assert "says its licence" in command(capsys, "export", run, tmp_path / "x", "--license=mit")[2]


def test_without_a_right_to_write_nothing_is_pushed(stub, tiny_run, capsys):
    status, _, complained = command(capsys, "export", tiny_run, "--push", "eve/mine")
    assert status == 2
    assert complained.startswith("vdd: hf://eve/mine: no right for it to be written (`hf auth")
    assert "eve/mine" not in stub.commits


def test_what_the_hub_refuses_is_told_in_a_line(stub, exported, capsys):
    stub.commit("ann/gated", exported)
    stub.gated.add("ann/gated")
    stub.commit("ann/empty", {"pytorch_model.bin": b"pickle"})
    stub.commit("ann/half", {name: exported[name] for name in ("config.json", "README.md")})
    for address, words in (
        ("hf://ann/none", "there is no such model, or it is private"),
        ("hf://ann/gated", "its owner lets in who asks"),
        ("hf://ann/half@v9", "there is no such revision"),
        ("hf://ann/empty", "not a model that vdd can read (it has no config.json)"),
        ("hf://ann/half", "not a model that vdd can read (it has no model.safetensors)"),
        ("hf://ann", "a model on the Hub is hf://owner/name"),
        ("hf://ann/../x", "a model on the Hub is hf://owner/name"),
        ("hf://ann/half@../v1", "a model on the Hub is hf://owner/name"),
    ):
        status, _, complained = command(capsys, "info", address)
        assert status == 2
        assert complained.startswith(f"vdd: {address}: ")
        assert words in complained


def test_a_download_that_breaks_off_is_begun_again(stub, exported, monkeypatch, capsys):
    stub.commit("ann/broken", exported)
    monkeypatch.setattr(stub, "broken", "model.safetensors")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between tries
    status, _, complained = command(capsys, "info", "hf://ann/broken")
    assert status == 2
    assert "the connection broke off" in complained
    # Offline, half a model is no model.
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["huggingface_hub.constants"], "HF_HUB_OFFLINE", True)
        assert "not downloaded whole before" in command(capsys, "info", "hf://ann/broken")[2]
    monkeypatch.setattr(stub, "broken", "")
    assert vdd.load("hf://ann/broken").step == 7


def test_offline_what_was_downloaded_before_will_do(stub, exported, monkeypatch, capsys):
    sha = stub.commit("ann/offline", exported)
    constants = sys.modules["huggingface_hub.constants"]
    with hub_stub.nobody() as address:
        monkeypatch.setattr(constants, "ENDPOINT", address)
        status, _, complained = command(capsys, "info", "hf://ann/offline")
        assert status == 2
        assert "the Hub cannot be reached" in complained
        monkeypatch.setattr(constants, "ENDPOINT", stub.url)
        vdd.load("hf://ann/offline")
        monkeypatch.setattr(constants, "ENDPOINT", address)
        capsys.readouterr()
        for name in ("hf://ann/offline", f"hf://ann/offline@{sha}"):
            vdd.load(name)
            assert capsys.readouterr().out == f"hf://ann/offline@{sha}\n"


def test_without_the_extra_a_line_names_it(monkeypatch, tiny_run, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for arguments in (["info", "hf://ann/first"], ["export", tiny_run, "--push", "ann/first"]):
        status, _, complained = command(capsys, *arguments)
        assert status == 2
        assert "pip install 'vdd-video[hub]'" in complained
    assert "name a FOLDER, or --push" in command(capsys, "export", tiny_run)[2]
    assert "owner/name" in command(capsys, "export", tiny_run, "--push", "ann")[2]
    assert command(capsys, "export", tiny_run, tmp_path / "small")[0] == 0


def test_what_an_exported_run_has_is_what_is_asked_for():
    """No name of another kind, and above all nothing that is unpickled."""
    assert set(hub.FILES[:2]) == {"config.json", weights.FILE}
    endings = {Path(name).suffix for name in hub.FILES}
    assert endings == {".json", ".safetensors", ".md", ""}
