"""`experiments/strangers.py`: clips of made-up people, who are seen by an eye of ours."""

import importlib
import json

import numpy as np
import pytest
from tiny import ROOT

from vdd.data import video_io
from vdd.evaluation import faces
from vdd.evaluation.faces import Faces, Observed

pytestmark = pytest.mark.experiment


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    return importlib.import_module("strangers")


def person(number, frames, places):
    """A bright square on a ground that tells who it is; the square is where `places` say."""
    video = np.full((frames, 16, 16, 3), 20 * number, np.uint8)
    for frame, place in zip(video, places):
        frame[4:8, place : place + 4] = 255
    return video


def observe(video):
    """Points around the square, which also lie where a face has them; the ground as embedding."""
    places = np.array([(frame[5, :, 0] == 255).argmax() for frame in video])
    face = np.random.default_rng(0).normal(size=(68, 2))
    landmarks = face[None] + places[:, None, None] * np.array([1.0, 0.0])
    return Observed(landmarks, np.full(3, float(video[0, 0, 0, 0])))


def strangers(script, count=4):
    rng = np.random.default_rng(0)
    clips = []
    for i in range(count):
        places = rng.integers(0, 12, 40)
        video = person(i, 40, places)
        clips.append(script.Stranger(f"p{i}", video[:12], video[12:]))
    return clips


def test_a_perfect_transfer_is_recognised_and_follows(script):
    clips = strangers(script)
    driver = np.array([1, 2, 3, 0])
    rebuilt = [clip.later for clip in clips]
    places = [[(frame[5, :, 0] == 255).argmax() for frame in clip.later] for clip in clips]
    driven = [person(i, 28, places[j]) for i, j in enumerate(driver)]
    see = Faces(observe, {})
    found = script.seen(see, clips, rebuilt, driven, driver)
    recognised = found["recognised"]
    assert recognised["driven"] == recognised["rebuilt"] == recognised["real"] == 1.0
    assert recognised["driven, taken for the driver"] == 0.0
    assert found["follows"]["driven"]["place across"]["correlation"] == pytest.approx(1.0)
    assert found["follows"]["driven"]["place across"]["amplitude"] == pytest.approx(1.0)
    assert found["landmark error"]["rebuilt"]["mean"] == pytest.approx(0.0)
    assert found["landmark error"]["last frame held"]["mean"] > 0.1


def test_a_still_is_recognised_and_does_not_follow(script):
    clips = strangers(script)
    still = [np.repeat(clip.first[-1:], len(clip.later), 0) for clip in clips]
    driver = np.array([1, 2, 3, 0])
    found = script.seen(Faces(observe, {}), clips, still, still, driver)
    assert found["recognised"]["driven"] == 1.0
    follows = found["follows"]["driven"]["place across"]
    assert follows == {"correlation": pytest.approx(0.0), "amplitude": pytest.approx(0.0)}
    assert found["landmark error"]["rebuilt"] == found["landmark error"]["last frame held"]


def test_errors_of_landmarks_are_of_the_same_clips_and_frames(script):
    clips = strangers(script)
    driver = np.array([1, 2, 3, 0])
    black = [np.zeros_like(clip.later) for clip in clips]
    # Of the first clip nothing is rebuilt, of the second its first frames alone are lost.
    rebuilt = [black[0], np.concatenate([black[1][:10], clips[1].later[10:]])]
    rebuilt += [clip.later for clip in clips[2:]]

    def sees(video):
        seen = observe(np.where(video.any(), video, 1))
        dark = ~video.any(axis=(1, 2, 3))
        landmarks = np.where(dark[:, None, None], np.nan, seen.landmarks)
        return Observed(landmarks, None if dark.all() else seen.embedding)

    found = script.seen(Faces(sees, {}), clips, rebuilt, rebuilt, driver)["landmark error"]
    assert found["rebuilt"]["n"] == found["last frame held"]["n"] == 3
    held = []
    for clip, start in zip(clips[1:], (10, 0, 0)):
        real = observe(clip.later[start:]).landmarks
        still = np.repeat(observe(clip.first[-1:]).landmarks, len(real), 0)
        held.append(faces.motion_error(still, real))
    assert found["last frame held"]["mean"] == pytest.approx(np.mean(held))


def test_the_driver_s_picture_is_taken_for_the_driver(script):
    clips = strangers(script)
    driver = np.array([1, 2, 3, 0])
    driven = [clips[j].later for j in driver]
    found = script.seen(Faces(observe, {}), clips, driven, driven, driver)["recognised"]
    assert found["driven"] == 0.0
    assert found["driven, taken for the driver"] == 1.0


def test_codes_that_say_who_it_is_are_noticed(script, tiny_run):
    import vdd

    run = vdd.load(tiny_run)
    clips = strangers(script)
    parts = [script.read(run, clip) for clip in clips]
    groups = parts[0].alone.shape[1]
    telling = [part._replace(alone=np.full((8, groups), i)) for i, part in enumerate(parts)]
    assert script.rates(run, clips, telling)["mean code finds its clip"] == 1.0
    silent = [part._replace(alone=np.zeros((8, groups), int)) for part in parts]
    found = script.rates(run, clips, silent)
    assert found["mean code finds its clip"] == found["by chance"] == 0.25
    assert found["bits_per_frame"] == pytest.approx(0.0)


def test_the_command_writes_its_table_and_its_sheet(script, tiny_run, tmp_path, capsys):
    rows = []
    for i, clip in enumerate(strangers(script, 3)):
        path = f"p{i}/0.npy"
        (tmp_path / "clips" / f"p{i}").mkdir(parents=True)
        np.save(tmp_path / "clips" / path, np.concatenate([clip.first, clip.later]))
        rows.append({"path": path, "split": "test", "identity_name": f"p{i}"})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "report.json").write_text(
        json.dumps({"settings": {"fps": "25/2"}, "clips": rows})
    )
    given = [str(tiny_run), "--clips", str(tmp_path / "clips"), "--data", str(tmp_path / "data")]
    assert script.main([*given, "--split", "test", "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "strangers.json").read_text())
    assert report["clips"] == report["people"] == 3
    assert report["rebuilt"]["psnr"]["n"] == 3
    sheet = video_io.read_clip(tmp_path / "out" / "strangers.png")
    assert sheet.shape[1:] == (12 * 16, script.STRIP * 16, 3)
    assert "| mean frame held, psnr |" in capsys.readouterr().out
    assert script.main([*given, "--split", "train"]) == 2
    assert script.main([*given[:-1], str(tmp_path / "nothing")]) == 2
    assert "no report.json" in capsys.readouterr().err


def test_clips_of_other_rates_are_seen_at_one(script, tmp_path):
    rows = []
    for i, fps in enumerate((25, 20, 12.5)):
        path = tmp_path / f"{i}.gif"
        frames = np.repeat(np.arange(3 * int(fps))[:, None, None, None], 3, 3).astype(np.uint8)
        video_io.write_clip(path, np.broadcast_to(frames, (len(frames), 16, 16, 3)).copy(), fps)
        rows.append({"path": path.name, "split": "test", "identity_name": str(i)})
    (tmp_path / "report.json").write_text(json.dumps({"settings": {"fps": "25/2"}, "clips": rows}))
    found = script.strangers(tmp_path, tmp_path, "test", 16)
    for clip, fps in zip(found, (25, 20, 12.5), strict=True):
        assert len(clip.first) == 12
        seconds = np.concatenate([clip.first, clip.later])[:, 8, 8, 0] / fps
        expected = np.arange(len(seconds)) / 12.5
        assert np.abs(seconds - expected).max() < 0.07


def test_what_was_not_measured_is_none(script):
    assert script.told([None]) == {"mean": None, "error": None, "n": 0}
    assert script.told([1.0]) == {"mean": 1.0, "error": None, "n": 1}
    assert "| a | – ± – (0) |" in script.table({"a": script.told([])})
    still = strangers(script, 2)
    held = [np.repeat(clip.first[-1:], len(clip.later), 0) for clip in still]
    frozen = [clip._replace(later=video) for clip, video in zip(still, held)]
    found = script.seen(Faces(observe, {}), frozen, held, held, np.array([1, 0]))
    assert found["follows"]["driven"] == {}
