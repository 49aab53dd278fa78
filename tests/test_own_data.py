"""`vdd train --data FOLDER`: what is found in a folder, what follows, and a run from it."""

import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from etils import epath
from PIL import Image
from tiny import ROOT, load_module

from vdd import own_data, tasks, train
from vdd.data import frame_folders, video_io
from vdd.errors import UserError
from vdd.training import timing

FACES = own_data.Found("clips", 90, 30, 0, 480, 640, Fraction(25), (75,) * 90, False)

# As small as it gets; flags of a user, so they win over what was chosen.
TINY = [
    "model.encoder.stem=(8,)",
    "model.encoder.width=16",
    "model.encoder.num_layers=1",
    "model.encoder.num_heads=2",
    "model.encoder.mlp_dim=16",
    "model.encoder.num_content_tokens=2",
    "model.denoiser.readout.width=8",
    "model.denoiser.readout.num_flows=4",
    "model.denoiser.readout.num_blocks=1",
    "model.denoiser.readout.motion_channels=2",
    "model.denoiser.network.channels=(8,)",
    "model.denoiser.network.embedding=16",
    "model.denoiser.network.num_heads=2",
    "model.denoiser.network.attention_levels=()",
    "data.augment=none",
    "train.batch_size=2",
    "eval.batch_size=2",
]


def square(seed: int, frames: int = 14, side: int = 40) -> np.ndarray:
    """A square of some colour on its way, uint8 [t h w 3]."""
    rng = np.random.default_rng(seed)
    video = np.full((frames, side, side + 8, 3), 30, np.uint8)
    places = np.cumsum(rng.integers(-3, 4, (frames, 2)), axis=0) % (side - 10)
    for frame, (top, left) in zip(video, places, strict=True):
        frame[top : top + 10, left : left + 10] = rng.integers(60, 256, 3)
    return video


@pytest.fixture(scope="module")
def gifs(tmp_path_factory):
    """Three GIFs of two people each, and of a third; a picture and a note beside them."""
    folder = tmp_path_factory.mktemp("own") / "shapes"
    for person in range(3):
        for number in range(3):
            path = folder / f"person{person}" / f"{number}.gif"
            video_io.write_clip(path, square(3 * person + number), fps=10)
    (folder / "note.txt").write_text("mine")
    (folder / "person0" / "broken.gif").write_bytes(b"GIF89a, not")
    return folder


def test_a_folder_of_gifs_is_looked_at(gifs):
    found = own_data.look(gifs)
    assert found[:3] == ("clips", 10, 3)
    assert (found.skipped, found.height, found.width) == (1, 40, 48)
    assert (found.fps, found.lengths, found.alpha) == (10, (14,) * 9, False)


def test_alpha_is_seen(tmp_path):
    for number in range(3):
        frames = [Image.fromarray(np.full((8, 8, 4), k * 9, np.uint8), "RGBA") for k in range(9)]
        path = tmp_path / f"{number}.webp"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=100 + number)
    assert own_data.look(tmp_path).alpha


def test_what_follows_from_small_short_clips(gifs):
    chosen = own_data.choose(own_data.look(gifs))
    assert chosen.recipe == "talking_head.py:small"
    assert (chosen.size, chosen.fps, chosen.frames, chosen.stride) == (64, 10, 12, 6)
    assert (chosen.every, chosen.split_by, chosen.test) == ((1,), "identity", 0)
    assert chosen.windows == 10
    assert chosen.batch <= chosen.windows


def test_what_follows_from_faces():
    chosen = own_data.choose(FACES)
    assert (chosen.size, chosen.fps, chosen.frames) == (128, Fraction(25, 2), 20)
    assert chosen.every == (1,), "75 frames are 37 at half the rate"
    assert (chosen.validation, chosen.test, chosen.batch) == (0.1, 0.1, 8)
    assert own_data.choose(FACES._replace(lengths=(250,) * 90)).every == (1, 2, 3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"fps": Fraction(24)}, {"fps": Fraction(12), "frames": 20}),
        ({"fps": Fraction(60), "lengths": (300,)}, {"fps": Fraction(12), "frames": 20}),
        ({"lengths": (24,)}, {"fps": Fraction(25), "frames": 20}),
        ({"lengths": (9,)}, {"fps": Fraction(25), "frames": 8}),
        ({"width": 100}, {"size": 64}),
        ({"identities": 1, "clips": 7}, {"split_by": "clip", "validation": 0.286, "test": 0.0}),
        ({"identities": 1, "clips": 3}, {"split_by": "clip", "validation": 0.333, "test": 0.0}),
    ],
)
def test_what_else_follows(change, expected):
    chosen = own_data.choose(FACES._replace(**change))
    assert {key: getattr(chosen, key) for key in expected} == expected


def test_clips_of_seven_frames_are_too_short():
    with pytest.raises(UserError, match="7 frames are too short"):
        own_data.choose(FACES._replace(lengths=(7, 7, 7, 100)))


@pytest.mark.parametrize("width", [100, 640])
def test_what_is_chosen_can_be_built(width):
    config = load_module("talking_head").get_config("small")
    chosen = own_data.choose(FACES._replace(width=width))
    config.lock().update_from_flattened_dict(own_data.changes(chosen))
    tasks.find(config.task).build(config)
    if width == 640:
        usual = load_module("talking_head").get_config("small")
        assert config.model.to_dict() == usual.model.to_dict()
        assert config.rates.to_dict() == usual.rates.to_dict()


def test_much_is_not_held_in_memory():
    few, many = FACES, FACES._replace(clips=9000)
    sources = [own_data.changes(own_data.choose(x))["data.source"] for x in (few, many)]
    assert sources == ["in_memory", "grain"]


def test_what_is_no_data_is_told(tmp_path, gifs):
    (tmp_path / "empty").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.gif").write_bytes((gifs / "person0" / "0.gif").read_bytes())
    (tmp_path / "broken").mkdir()
    for number in range(3):
        (tmp_path / "broken" / f"{number}.gif").write_bytes(b"GIF89a" + bytes(number))
    for name, said in {
        "nowhere": "no such folder",
        "one/a.gif": "not a folder",
        "empty": "no videos, GIFs, folders of frames or sprite sheets",
        "one": "one clip only",
        "broken": "nothing in it can be read",
    }.items():
        with pytest.raises(UserError, match=said):
            own_data.look(tmp_path / name)


def test_sheets_are_told_by_the_folders_of_their_collection(tmp_path, capsys):
    Image.new("RGBA", (832, 1344)).save(tmp_path / "hero.png")
    with pytest.raises(UserError, match="no folder body/male or body/female"):
        own_data.look(tmp_path)
    (tmp_path / "body" / "male").mkdir(parents=True)
    given = own_data.arguments(str(tmp_path), None, steps=7)
    assert own_data.look(tmp_path).kind == own_data.SHEETS
    assert given[0].endswith("/universal_lpc.py")
    assert {f"--config.data.art_dir={tmp_path}", "--config.train.num_steps=7"} <= set(given)
    assert "sprite sheets on LPC's grid" in capsys.readouterr().out


def test_folders_of_frames_are_clips(tmp_path):
    for number in range(4):
        folder = tmp_path / "own" / f"clip{number}"
        folder.mkdir(parents=True)
        for index, frame in enumerate(square(number, frames=11)):
            Image.fromarray(frame).save(folder / f"frame{index}.png")
    found = own_data.look(tmp_path / "own")
    assert found[:3] == (own_data.FRAMES, 4, 4)
    assert found.lengths == (11,) * 4
    before = sorted(tmp_path.rglob("*"))
    joined = frame_folders.joined(tmp_path / "own", tmp_path / "joined")
    _, first, second, _ = sorted(joined.glob("*.apng"))
    video = video_io.read_clip(second)
    np.testing.assert_array_equal(video, square(2, frames=11), "frame10 comes after frame9")
    assert set(before) < set(tmp_path.rglob("*"))
    written = second.stat().st_mtime_ns
    Image.new("RGB", (48, 40), "red").save(tmp_path / "own" / "clip1" / "frame0.png")
    shutil.rmtree(tmp_path / "own" / "clip0")
    frame_folders.joined(tmp_path / "own", tmp_path / "joined")
    assert second.stat().st_mtime_ns == written
    assert not first.exists()
    changed, same, _ = sorted(joined.glob("*.apng"))
    assert same == second
    assert video_io.read_clip(changed)[0, 0, 0].tolist() == [255, 0, 0]


def test_a_preview_beside_folders_of_frames_is_not_the_data(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
        for index, frame in enumerate(square(0, frames=8)):
            Image.fromarray(frame).save(tmp_path / name / f"{index}.png")
    video_io.write_clip(tmp_path / "preview.gif", square(0), 10)
    assert own_data.look(tmp_path)[:2] == (own_data.FRAMES, 3)


def test_a_run_in_the_folder_is_refused(gifs, monkeypatch):
    monkeypatch.chdir(gifs)
    for workdir in (None, "run", str(gifs)):
        with pytest.raises(UserError, match="nothing is written"):
            own_data.arguments(".", workdir)
    own_data.arguments(str(gifs), f"{gifs}.run")


def test_a_run_that_has_begun_keeps_its_steps(gifs, tmp_path):
    (tmp_path / "config.json").write_text('{"train": {"num_steps": 300}}')
    assert "--config.train.num_steps=300" in own_data.arguments(str(gifs), str(tmp_path))
    assert "--config.train.num_steps=7" in own_data.arguments(str(gifs), str(tmp_path), 7)


def test_steps_fill_the_minutes_and_stay_when_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(own_data, "prepared", lambda *_: None)
    monkeypatch.setattr(train, "build", lambda _: (None, None))
    monkeypatch.setattr(tasks.find("disentangler"), "batches", lambda *_: None)
    monkeypatch.setattr(timing, "seconds_per_step", lambda *_: 0.5)
    config = load_module("talking_head").get_config("small")
    train.make_ready(config, epath.Path(tmp_path), "folder", 4.0)
    assert (config.train.num_steps, config.train.eval_every) == (480, 120)
    (tmp_path / "config.json").write_text('{"train": {"num_steps": 77}}')
    train.make_ready(config, epath.Path(tmp_path), "folder", 4.0)
    assert config.train.num_steps == 77


def run(*given, cwd) -> subprocess.CompletedProcess:
    command = (sys.executable, "-m", "vdd.main", *map(str, given))
    path = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=os.environ | path, capture_output=True, text=True)


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.process
def test_a_folder_becomes_a_run_and_stays_as_it_was(gifs, tmp_path):
    mine, overrides = content(gifs), [f"--config.{key}" for key in TINY]
    done = run("--data", gifs, "--steps", 2, *overrides, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "found 10 clips of 3 identities" in done.stdout
    assert "chosen: the middle square at 64 x 64 pixels, 10 frames a second" in done.stdout
    workdir = tmp_path / "runs" / "shapes"
    report = json.loads((workdir / "eval" / "2.json").read_text())
    assert (report["dataset"], report["split"]) == ("video_folder", "validation")
    assert report["reconstruction"]["psnr"] > 5
    assert (workdir / "report.md").exists()
    config = json.loads((workdir / "config.json").read_text())
    assert config["data"]["data_dir"] == "runs/shapes.data"
    assert config["train"]["batch_size"] == 2, "the user's own flag wins over the three chosen"
    assert content(gifs) == mine
    video_io.write_clip(gifs / "person0" / "new.gif", square(99), fps=10)
    grown = run("--data", gifs, "--steps", 2, *overrides, cwd=tmp_path)
    (gifs / "person0" / "new.gif").unlink()
    assert grown.returncode == 2
    assert "data set of other files: give another --workdir" in grown.stderr
    again = run("--data", gifs, "--steps", 2, *overrides, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "runs/shapes.data is prepared already" in again.stdout
    assert "runs/shapes is trained to step 2 already" in again.stdout
