"""The model that the package ships, and that it is shipped."""

import json
import re
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest
from PIL import Image
from tiny import ROOT

import vdd
from vdd import apply, cli, fingerprint, priors, runs
from vdd.data import sprites, video_io
from vdd.diffusion.samplers import Sampler
from vdd.models import prior_sampling
from vdd.training.parameters import load_params

FOLDER = ROOT / "vdd" / "pretrained" / "sprites"
LPC = FOLDER.with_name("universal_lpc")
MACHINE_PATH = re.compile(rb"/(home|root|tmp|work|Users|mnt|data)/")


def files(folder=FOLDER):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_it_is_small_and_tells_of_no_machine_it_was_made_on():
    prior = [path for path in files() if path.is_relative_to(FOLDER / "prior")]
    sizes = [sum(path.stat().st_size for path in some) for some in (prior, files())]
    assert sizes[0] <= 3e6
    assert sizes[1] - sizes[0] <= 13e6
    assert not [path for path in files() if MACHINE_PATH.search(path.read_bytes())]
    run = vdd.load("sprites")
    assert run.config.data.art == "builtin"  # no licence but the package's own travels with it
    assert run.config.data.art_dir is run.config.data.data_dir is None


def test_what_is_loaded_is_told_in_a_line():
    assert repr(vdd.load("sprites")) == (
        "Run('sprites', step 8000, sprites/builtin, 6.35 bits a frame, 11,801,789 parameters)"
    )
    assert repr(priors.load_prior("sprites")) == (
        "PriorRun(step 1200, of the codes of 'sprites' at step 8000, 1,091,088 parameters)"
    )


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("sprites", "bf063445241dcfd7"),
        ("sprites/prior", "177606a4c28b3006"),
        ("universal_lpc", "f072c6e33920a564"),
        ("universal_lpc/prior", "48cc00a201d47145"),
    ],
)
def test_the_parameters_are_those_that_the_figures_were_measured_with(name, digest):
    """Whatever the format of their files; trained anew, they have new figures, too."""
    _, params = load_params(runs.PRETRAINED / name)
    assert fingerprint.digest({}, params).hex() == digest


def test_swaps_of_unseen_characters_look_like_the_clips_they_ought_to_be():
    run = vdd.load("sprites")
    clips = sprites.load_arrays("builtin", "test")
    rng = np.random.default_rng(0)
    content = rng.permutation(len(clips.motion))[:18]
    motion = np.array([np.flatnonzero(clips.motion == i % 9)[i * 7] for i in range(18)])
    wanted = [
        np.flatnonzero(
            (clips.motion == clips.motion[m])
            & (clips.attributes == clips.attributes[c]).all(1)
        )[0]
        for c, m in zip(content, motion)
    ]  # fmt: skip
    sampler = Sampler(**run.config.eval.sampler)
    transfer = jax.jit(apply.transfer, static_argnums=(0, 5))
    video = transfer(
        run.model, run.params, jax.random.key(0), clips.video[content], clips.video[motion], sampler
    )
    made = np.round((np.asarray(video) + 1.0) * 127.5)
    error = np.square(made - clips.video[wanted]).mean((1, 2, 3, 4))
    quality = 10.0 * np.log10(255.0**2 / error)
    report = json.loads((FOLDER / "eval" / f"{run.step}.json").read_text())
    assert np.mean(quality) == pytest.approx(report["transfer"]["psnr"], abs=1.5)
    assert np.min(quality) > 20.0


def test_its_prior_goes_on_with_a_motion_as_the_motion_goes_on():
    run = vdd.load("sprites")
    prior = priors.load_prior_of(run, "sprites")
    clips = sprites.load_arrays("builtin", "test")
    rows = np.arange(0, len(clips.motion), len(clips.motion) // 18)[:18]
    codes = jax.jit(apply.encode, static_argnums=0)(run.model, run.params, clips.video[rows]).codes
    given, keys = (prior.model, prior.params), jax.random.split(jax.random.key(0), 18)
    draw = jax.jit(prior_sampling.sample_codes, static_argnums=(0, 3))
    drawn = draw(*given, keys, 8, codes[:, :3])
    # Two codewords may stand for one pose: what counts is how it is drawn.
    likely = np.mean(np.asarray(drawn) == np.asarray(codes))
    assert likely > 0.95
    bits = jax.jit(prior.model.apply)({"params": prior.params}, codes)
    log_p = np.take_along_axis(
        np.asarray(jax.nn.log_softmax(bits)), np.asarray(codes)[..., None], -1
    )
    assert -log_p.sum((1, 2, 3)).mean() / np.log(2) == pytest.approx(np.log2(9), abs=0.8)


def test_the_model_card_has_the_figures_of_the_report():
    card = (FOLDER / "README.md").read_text()
    report = json.loads((FOLDER / "eval" / f"{vdd.load('sprites').step}.json").read_text())
    swaps = report["transfer"]
    assert f"step {report['step']}" in card
    assert "Apache-2.0" in card
    prior = priors.load_prior("sprites")
    rates = json.loads((FOLDER / "prior" / "eval" / f"{prior.step}.json").read_text())["bitrate"]
    rows = dict(re.findall(r"^\| ([^|]+?) \| ([\d.]+)", card, re.MULTILINE))
    for name, section, key, scale in (
        ("swaps: motion", swaps, "motion_acc", 100),
        ("swaps: attributes", swaps, "content_acc", 100),
        ("swaps: all five", swaps, "joint_acc", 100),
        ("swaps: PSNR", swaps, "psnr", 1),
        ("reconstructions: PSNR", report["reconstruction"], "psnr", 1),
        ("bits a frame", report["bitrate"], "joint_entropy_bits_per_frame", 1),
        ("bits a frame, with the prior", rates, "prior_bits_per_frame", 1),
        ("bits of content a clip", report["bitrate"], "content_bits_per_clip", 1),
        ("motion from content", report["leakage"], "motion_from_content_acc", 100),
        ("attributes from codes", report["leakage"], "content_from_motion_acc", 100),
    ):
        digits = len(rows[name].partition(".")[2])
        assert float(rows[name]) == round(scale * section[key], digits), name


def test_the_command_that_the_examples_name_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["examples", "clips"]) == 0
    command = capsys.readouterr().out.splitlines()[-1].split()
    assert cli.main(command[1:]) == 0
    assert video_io.read_clip("swap.gif").shape == (8, 64, 64, 3)


@pytest.mark.process
def test_a_wheel_holds_all_of_it(tmp_path):
    command = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {str(path.relative_to(ROOT)) for path in (*files(), *files(LPC))} <= held
    assert {f"vdd/configs/{path.name}" for path in ROOT.glob("configs/*.py")} <= held
    assert runs.pretrained() == ["sprites", "universal_lpc"]
    tops = {name.split("/")[0] for name in held}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"vdd"}


def test_the_model_of_others_art_is_small_and_has_its_licence_beside_it():
    assert sum(path.stat().st_size for path in files(LPC)) <= 16e6
    assert not [path for path in files(LPC) if MACHINE_PATH.search(path.read_bytes())]
    assert (LPC / "LICENSE").read_text().startswith("Creative Commons Legal Code")
    assert "Johannes Sj" in (LPC / "AUTHORS").read_text()
    assert "CC-BY-SA 3.0" in (LPC / "README.md").read_text()


@pytest.mark.process
def test_five_frames_become_a_whole_sheet(tmp_path, capsys):
    content, out = LPC / "examples" / "idle.png", tmp_path / "hero.png"
    asked = ["sheet", "universal_lpc", "--content", str(content), "--layout=5x1", f"--out={out}"]
    assert cli.main(asked) == 0
    assert "all 178 cells made up" in capsys.readouterr().out
    sheet = np.asarray(Image.open(out))
    assert sheet.shape == (21 * 64, 13 * 64, 4)
    given = np.asarray(Image.open(content))[:, :64]
    drawn = sheet[10 * 64 : 11 * 64, :64]  # walking towards us, where it stands still
    opaque = [frame[..., 3] >= 128 for frame in (given, drawn)]
    assert (opaque[0] & opaque[1]).sum() / (opaque[0] | opaque[1]).sum() > 0.9
    error = given[opaque[0]].astype(float) - drawn[opaque[0]]
    # dB over the figure; grey in its place has about 10.
    assert 10 * np.log10(255**2 / np.square(error[:, :3]).mean()) > 15
