"""Named motions: voted codes that lie with a run."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tiny

import vdd
from vdd import cli, motions, runs
from vdd.data import datasets
from vdd.data.datasets import Played, PlayedMotions
from vdd.errors import UserError


def vdd_command(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def played(characters, channels):
    """Two motions, of 3 and 6 frames: shorter and longer than a window of the tiny model."""
    rng = np.random.default_rng(characters)
    for name, frames, loop in (("nod", 3, None), ("walk", 6, 1)):
        shape = (characters, frames, 64, 64, channels)
        yield Played(name, 10.0, loop, rng.integers(0, 256, shape, np.uint8))


@pytest.fixture
def named(lpc_run, tmp_path, monkeypatch):
    """A copy of a run whose data set names two motions."""
    run = shutil.copytree(lpc_run, tmp_path / "run")
    channels = vdd.load(run).model.latents.size[2]

    def find_played(config, characters):
        assert config.dataset == "universal_lpc"
        return PlayedMotions("toy", played(characters, channels))

    monkeypatch.setattr(datasets, "find_played", find_played)
    return run


@pytest.mark.parametrize(("length", "window"), [(3, 4), (6, 16), (13, 16), (1, 16), (16, 16)])
def test_a_motion_has_neighbours_of_its_own_on_both_sides(length, window):
    video = np.arange(length, dtype=np.uint8)[None, :, None, None, None]
    clips, place = motions.windowed(video, window)
    shown = clips[0, :, 0, 0, 0]
    assert len(shown) == window
    assert shown[place].tolist() == list(range(length))
    assert set(np.diff(shown.astype(int)) % length) <= {1 % length}, "it is played in a loop"
    before, after = place.start, window - place.stop
    assert 0 <= after - before <= 1


def test_a_motion_as_long_as_a_window_is_read_as_it_is():
    video = tiny.random_video(2, 6)
    clips, place = motions.windowed(video, 4)
    np.testing.assert_array_equal(clips[:, place], video)
    assert clips.shape == video.shape


def test_the_vote_is_on_all_groups_together():
    # By groups alone (0, 0) would win: it is nobody's code.
    frame = np.array([[0, 1], [0, 1], [1, 0], [2, 0], [0, 2]])
    codes, agreement = motions.vote(np.stack([frame, frame[::-1] * 0], axis=1))
    assert codes.tolist() == [[0, 1], [0, 0]]
    assert agreement == pytest.approx((2 / 5 + 1) / 2)


def test_the_vote_does_not_depend_on_the_order_of_the_characters():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, (8, 5, 2))
    first, share = motions.vote(codes)
    second, other = motions.vote(codes[rng.permutation(8)])
    np.testing.assert_array_equal(first, second)
    assert share == other


def test_a_library_goes_round_and_holds_what_the_model_reads(named, capsys):
    status, said, complained = vdd_command(capsys, "motions", named, "--characters", 1)
    assert (status, complained) == (0, "")
    assert "toy:walk" in said
    run = vdd.load(named)
    clips = {one.name: one.video for one in played(1, run.model.latents.size[2])}
    assert run.motions.keys() == {"nod", "walk"}
    np.testing.assert_array_equal(run.motions["walk"], run.encode(clips["walk"]).codes[0])
    alone = run.encode(clips["nod"][:, [0, 1, 2, 0]]).codes[0, :3]
    np.testing.assert_array_equal(run.motions["nod"], alone)
    library = motions.load(run, named)
    assert library.motions["walk"].loop_from == 1
    assert library.motions["nod"].agreement == 1.0  # of one character
    assert library.source.step == run.step == 7
    # It is ours: the list of the folder says so, and it can be made anew.
    assert "motions.json" in (named / ".vdd.sha256").read_text()
    assert vdd_command(capsys, "motions", named, "--characters", 3)[0] == 0
    assert motions.load(run, named).characters == 3
    said = vdd_command(capsys, "info", named)[1]
    assert "motions     2, played by 3 characters" in said
    assert "toy:walk             6 frames at 10 a second, repeated from frame 1 on" in said


def test_a_named_motion_is_played(named, tmp_path, capsys):
    assert vdd_command(capsys, "motions", named, "--characters", 1)[0] == 0
    run, out = vdd.load(named), tmp_path / "out.npy"
    content = np.random.default_rng(0).integers(0, 256, (2, *run.model.latents.size), np.uint8)
    np.save(tmp_path / "content.npy", content)
    arguments = ["transfer", named, "--content", tmp_path / "content.npy", "--steps", 0]
    arguments += ["--out", out, "--motion"]
    status, said, complained = vdd_command(capsys, *arguments, "toy:nod")
    assert (status, complained) == (0, "")
    assert "3 frames of 64x64 at 10 frames a second" in said
    expected = run.decode(run.encode(content[None]).content, run.motions["nod"][None], steps=0)
    np.testing.assert_array_equal(np.load(out), expected[0])
    assert vdd_command(capsys, *arguments, "toy:nod", "--frames", 2)[0] == 0
    np.testing.assert_array_equal(np.load(out), expected[0, :2])
    for name, words in (
        ("toy:dance", "there is no motion toy:dance; there are toy:nod, toy:walk"),
        ("lpc:nod", "there is no motion lpc:nod; there are toy:nod, toy:walk"),
        ("nod", "no such file"),
    ):
        status, _, complained = vdd_command(capsys, *arguments, name)
        assert (status, complained.count("\n")) == (2, 1)
        assert words in complained
    status, _, complained = vdd_command(capsys, *arguments, "toy:nod", "--relative")
    assert (status, complained.count("\n")) == (2, 1)
    assert "--relative needs a clip" in complained


def test_an_export_takes_its_motions_along(named, tmp_path, capsys):
    assert vdd_command(capsys, "motions", named, "--characters", 2)[0] == 0
    assert vdd_command(capsys, "export", named, tmp_path / "small")[0] == 0
    here, there = vdd.load(named), vdd.load(tmp_path / "small")
    for name, codes in here.motions.items():
        np.testing.assert_array_equal(there.motions[name], codes)
    text = (tmp_path / "small" / "motions.json").read_text()
    assert str(tmp_path) not in text
    # Those of another step are of other codes, and stay.
    assert vdd_command(capsys, "export", named, tmp_path / "old", "--step", 3)[0] == 0
    assert not (tmp_path / "old" / "motions.json").exists()


def changed(library, **values):
    return dataclasses.replace(library, source=dataclasses.replace(library.source, **values))


def test_motions_of_another_model_are_refused_in_one_line(named, tmp_path, capsys):
    assert vdd_command(capsys, "motions", named, "--characters", 1)[0] == 0
    run = vdd.load(named, 3)
    with pytest.raises(UserError, match=r"is of .*, step 7, and not of step 3 .*vdd motions"):
        _ = run.motions
    library = motions.load(vdd.load(named), named)
    motions.write(changed(library, fingerprint="0" * 16, run="other"), runs.find(named))
    with pytest.raises(motions.OtherMotionsError, match="is of other, step 7"):
        _ = vdd.load(named).motions
    status, said, _ = vdd_command(capsys, "info", named)
    assert status == 0
    assert "motions     " in said
    assert "is of other" in said


def test_a_run_without_motions_says_how_to_make_them(lpc_run):
    with pytest.raises(motions.NoMotionsError, match=r"has no motions.json: .*vdd motions"):
        _ = vdd.load(lpc_run).motions


def held(**changes):
    """A file as it ought to be, but for changes of the first motion."""
    source = {"run": "a", "step": 7, "fingerprint": "0" * 16, "num_groups": 6, "num_codes": 3}
    motion = {"name": "nod", "fps": 10.0, "loop_from": None, "codes": [[0] * 6], "agreement": 1.0}
    return {"name": "toy", "source": source, "characters": 1, "motions": [motion | changes]}


def test_a_damaged_library_is_one_line(named, capsys):
    path, run = runs.find(named), vdd.load(named)
    whole = held()
    whole["source"]["fingerprint"] = motions.priors.source_of(run, named).fingerprint
    texts = [
        json.dumps(whole)[:-9],
        *(json.dumps({k: v for k, v in whole.items() if k != key}) for key in whole),
        json.dumps(whole | {"source": {"step": 7}}),
    ]
    for changes in (
        {"codes": [[0, 1], [2]]}, {"codes": []}, {"codes": [[0.5] * 6]}, {"codes": [0] * 6},
        {"loop_from": 1}, {"fps": "fast"},
        {"codes": [[3] * 6]}, {"codes": [[-1] * 6]}, {"codes": [[0] * 5]},  # no codes of this model
    ):  # fmt: skip
        texts.append(json.dumps(whole | {"motions": held(**changes)["motions"]}))
    for text in texts:
        (path / motions.FILE).write_text(text)
        with pytest.raises(UserError, match=r"motions.json") as told:
            motions.load(run, named)
        assert "\n" not in str(told.value)
    # What somebody has changed is not ours.
    status, _, complained = vdd_command(capsys, "motions", named, "--characters", 1)
    assert (status, complained.count("\n")) == (2, 1)
    assert "not as vdd wrote it" in complained
    assert (path / motions.FILE).read_text() == texts[-1]
    (path / motions.FILE).write_text(json.dumps(whole))
    assert motions.load(run, named).motions["nod"].codes.shape == (1, 6)


def test_data_without_names_and_installed_models_are_refused(tiny_run, capsys):
    none = "the data set sprites names no motions; take universal_lpc, which has some"
    for run, words in ((tiny_run, none), ("sprites", none), ("universal_lpc", "is installed")):
        status, _, complained = vdd_command(capsys, "motions", run)
        assert (status, complained.count("\n")) == (2, 1)
        assert words in complained


def test_a_model_without_named_motions_names_one_that_has_some(tiny_run, tmp_path, capsys):
    clip = tmp_path / "clip.npy"
    np.save(clip, tiny.random_video(1, 4)[0])
    for command in (
        ("transfer", tiny_run, "--motion", "lpc:walk_left", "--out", tmp_path / "o.npy"),
        ("sheet", "sprites", "--out", tmp_path / "o.png"),  # which has cells of 64x64
    ):
        status, _, complained = vdd_command(capsys, *command, "--content", clip)
        assert (status, complained.count("\n")) == (2, 1)
        assert "take universal_lpc" in complained
        assert "vdd motions" not in complained
    assert motions.read(runs.find("universal_lpc")) is not None, "which is named"
