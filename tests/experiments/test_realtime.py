"""`experiments/realtime.py` in its tiny form."""

import importlib
import importlib.util

import numpy as np
import pytest
from tiny import ROOT

from vdd.data import video_io

pytestmark = pytest.mark.experiment


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script = importlib.import_module("realtime")
    monkeypatch.setattr(script, "keep_compiled_programs", lambda env: None)
    return script


def rows_of(output: str) -> dict[str, list[float]]:
    """The figures of all tables by what they are of."""
    rows = [line.strip("| ").split(" | ") for line in output.splitlines() if "| " in line]
    return {name: [float(x) for x in cells] for name, *cells in rows if name not in ("what", "---")}


def test_stream_page_and_network_are_timed(script, tiny_run, capsys):
    script.main(["--run", str(tiny_run), "--only", "stream", "page", "torch", "--tiny"])
    output = capsys.readouterr().out
    assert "cpu" in output.splitlines()[0]
    rows = rows_of(output)
    names = ["a frame: read, quantise, draw", "draw it alone, the mean", "draw it alone, 16 steps"]
    names += ["from a changed code to the picture", "a pass of the UNet, JAX"]
    has_torch = importlib.util.find_spec("torch") is not None
    assert ("PyTorch is not installed" in output) != has_torch
    for name in names:
        wall, _, rate = rows[name]
        assert wall > 0
        assert rate * wall == pytest.approx(1000, rel=0.05)


def test_camera_and_video_are_timed_by_a_run_on_faces(script, tiny_run, capsys):
    script.main(["--faces", str(tiny_run), "--only", "camera", "video", "--tiny"])
    rows = rows_of(capsys.readouterr().out)
    for name in ("from a frame of the camera to the picture", "read", "write", "whole"):
        assert rows[name][0] > 0  # not of processors, whose clock may stand still so long
    assert rows["into codes"][0] >= 0  # a difference of two times


def test_the_untrained_run_draws_finer_places(script):
    run = script.untrained_video_run()
    assert run.model.latents.shape == (32, 32, 48)
    still = script.clip(run, 1)[None]
    assert run.transfer(still, still).shape == still.shape


def test_the_parts_of_a_start_are_timed(script, tiny_run, capsys, tmp_path):
    clips = [str(tmp_path / f"{name}.gif") for name in ("who", "how")]
    for place in clips:
        video_io.write_clip(place, np.zeros((3, 16, 16, 3), np.uint8), fps=8)
    script.main(["--run", str(tiny_run), "--phases", *clips])
    rows = rows_of(capsys.readouterr().out)
    assert list(rows) == [
        "Python and imports", "devices", "load the model", "read the clips",
        "load programs and draw", "draw again", "write",
    ]  # fmt: skip
    assert rows["Python and imports"][0] > rows["draw again"][0] > 0


def test_every_change_of_a_code_is_another_code(script):
    changed = script.changes([[0, 1], [2, 3]], 8)
    before = [[0, 1], [2, 3]]
    for i in range(20):
        codes = next(changed)
        differ = [a != b for a, b in zip(codes, before)]
        assert differ == [i % 2 == 0, i % 2 == 1]
        assert all(0 <= code < 8 for row in codes for code in row)
        before = codes
