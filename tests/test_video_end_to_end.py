"""From a folder of videos to a motion transfer: prepare, train in two runs, evaluate, transfer."""

import importlib
import json

import numpy as np
import pytest
from etils import epath
from tiny import ROOT, has_sound, load_module, save_run

from vdd import cli, main
from vdd.data import prepare, video_io
from vdd.data.video_folder.prepared import VideoWindows
from vdd.evaluation.videos import run as videos_run

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")


def write_clip(path, colour, seed):
    """Two seconds of a square of some colour that moves, 25 frames a second, with a tone."""
    rng = np.random.default_rng(seed)
    places = np.cumsum(rng.integers(-3, 4, (50, 2)), axis=0) % 56
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height = stream.width = 72
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16000)
        for top, left in places:
            frame = np.full((72, 72, 3), 40, np.uint8)
            frame[top : top + 16, left : left + 16] = colour
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
        tone = np.sin(np.arange(32000) / 10).astype(np.float32)[None]
        for start in range(0, 32000, 1000):
            samples = np.ascontiguousarray(tone[:, start : start + 1000])
            part = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            part.sample_rate = 16000
            container.mux(sound.encode(part))
        container.mux(sound.encode())


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Clips of six people in `clips`, prepared in `data`; a run `first`, and `run` begun from it.

    The first has random parameters: training without attention along time is in `test_end_to_end`.
    """
    folder = tmp_path_factory.mktemp("videos")
    for person in range(6):
        colour = np.random.default_rng(person).integers(60, 256, 3)
        for clip in range(2):
            path = folder / "clips" / f"person{person}" / f"{clip}.mp4"
            write_clip(path, colour, seed=2 * person + clip)
    arguments = ["--source", folder / "clips", "--out", folder / "data", "--size", 64]
    options = ["--frames", 16, "--stride", 16, "--test", 0.34, "--workers", 0]
    assert prepare.main([str(x) for x in (*arguments, *options)]) == 0
    for name, variant in (("first", "smoke"), ("run", "smoke_temporal")):
        config = load_module("talking_head").get_config(variant)
        config.data.data_dir = str(folder / "data")
        config.model.denoiser.network.attention_levels = ()  # but along time
        if name == "first":
            save_run(folder / name, config, steps=(14,))
    config.train.init_from = str(folder / "first")
    assert main.train(config, epath.Path(folder / "run")) is None
    main.evaluate(config, epath.Path(folder / "run"))
    return folder


def test_the_report_has_figures_of_reconstructions_and_transfers(place):
    report = json.loads((place / "run/eval/6.json").read_text())
    assert (report["dataset"], report["split"]) == ("video_folder", "test")
    assert report["reconstruction"]["psnr"] > 5
    assert report["transfer"]["within_clip"]["num_pairs"] > 0
    assert report["transfer"]["across_identities"]["num_pairs"] > 0
    assert report["bitrate"]["target_bits_per_frame"] == 16
    assert 0 < report["bitrate"]["entropy_bits_per_frame"] <= 24
    page = (place / "run/report.md").read_text()
    assert "across identities" in page
    shown = list((place / "run/samples").glob("*.mp4"))
    assert shown
    assert all(f"(samples/{path.name})" in page for path in shown)


def test_attention_along_time_came_in_the_second_run(place):
    lines = [json.loads(x) for x in (place / "run/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 6]
    assert "reconstruction_psnr" in lines[-1]
    import vdd

    first, last = (
        vdd.load(place / name).params["denoiser"]["network"] for name in ("first", "run")
    )
    assert all(name.endswith("_time") for name in last.keys() - first.keys())
    assert last.keys() > first.keys()


def test_transfer_keeps_the_driving_clip_s_rate_and_sound(place, capsys):
    who, how = (str(place / f"clips/person{i}/0.mp4") for i in (0, 1))
    out = place / "out.mp4"
    clips = ("--content", who, "--motion", how, "--out", str(out))
    assert cli.main(["transfer", str(place / "run"), *clips, "--relative"]) == 0
    assert "72x72 scaled and cropped" in capsys.readouterr().out
    assert video_io.read_clip(out).shape == (50, 64, 64, 3)
    assert video_io.probe_clip(out).fps == pytest.approx(25)
    assert has_sound(out)


def test_pasted_back_it_keeps_the_photo_s_size_and_the_driving_clip_s_rate_and_sound(place):
    who, how = (str(place / f"clips/person{i}/0.mp4") for i in (0, 1))
    photo = np.pad(video_io.read_clip(who, max_frames=1), [(0, 0), (0, 8), (30, 20), (0, 0)])
    np.save(place / "photo.npy", photo)
    out = place / "pasted.mp4"
    clips = ("--content", str(place / "photo.npy"), "--motion", how, "--out", str(out))
    assert cli.main(["transfer", str(place / "run"), *clips, "--paste-back"]) == 0
    video = video_io.read_clip(out)
    assert video.shape == (50, 80, 122, 3)
    assert video[:, :, :16].max() < 16, "beside the square it is as black as the photo"
    assert video_io.probe_clip(out).fps == pytest.approx(25)
    assert has_sound(out)


def test_info_tells_what_the_run_is(place, capsys):
    assert cli.main(["info", str(place / "run")]) == 0
    assert "video_folder, clips of 64x64 pixels" in capsys.readouterr().out


def test_its_codes_can_have_a_prior_that_generates_and_codes(place, capsys):
    run, out = place / "run", place / "made_up.mp4"
    config = load_module("motion_prior").get_config("smoke")
    config.source = str(run)
    config.model.update(width=8, time_layers=1, mlp_dim=8)
    config.train.update(num_steps=2, batch_size=4, log_every=1, checkpoint_every=2, eval_every=2)
    config.eval.batch_size = 4
    prior = epath.Path(place / "run_prior")
    assert main.train(config, prior) is None
    main.evaluate(config, prior)
    report = json.loads((prior / "eval/2.json").read_text())
    assert report["dataset"] == "video_folder"
    assert len(report["bitrate"]["prior_bits_of_frames"]) == 16
    who = str(place / "clips/person0/0.mp4")
    options = ("--content", who, "--frames", "20", "--out", str(out))
    assert cli.main(["generate", str(run), *options]) == 0
    assert len(video_io.read_clip(out)) == 20
    coded, decoded = str(place / "clip.vdd"), str(place / "decoded.mp4")
    assert cli.main(["encode", str(run), who, "--out", coded]) == 0
    assert cli.main(["info", coded]) == 0
    assert "prior" in capsys.readouterr().out
    assert cli.main(["decode", str(run), coded, "--out", decoded]) == 0
    assert len(video_io.read_clip(decoded)) == 50
    for path in (str(out), decoded):
        with av.open(path) as container:
            assert container.metadata["comment"].endswith(": a synthetic clip")


def test_windows_are_cut_to_what_the_encoder_reads():
    video = np.arange(3 * 11, dtype=np.uint8).reshape(3, 11, 1, 1, 1).repeat(3, axis=-1)
    whole = VideoWindows(
        video=video,
        latents=None,
        clip=np.array([0, 0, 1], np.int32),
        identity=np.array([5, 5, 6], np.int32),
        start=np.array([0, 1.1, 0], np.float32),
        end=np.array([1.1, 2.2, 2.2], np.float32),  # the last one of every second frame
        fps=10.0,
    )
    parts = videos_run.cut(whole, 4)
    assert parts.video[:, 0, 0, 0, 0].tolist() == [0, 4, 11, 15, 22, 26]
    assert parts.video.shape == (6, 4, 1, 1, 3)
    assert parts.clip.tolist() == [0, 0, 0, 0, 1, 1]
    assert parts.identity.tolist() == [5, 5, 5, 5, 6, 6]
    np.testing.assert_allclose(parts.start, [0, 0.4, 1.1, 1.5, 0, 0.8], atol=1e-6)
    np.testing.assert_allclose(parts.end, [0.4, 0.8, 1.5, 1.9, 0.8, 1.6], atol=1e-6)
    assert videos_run.cut(whole, 4, 3).video[:, 0, 0, 0, 0].tolist() == [0, 4, 11]
    assert len(videos_run.cut(whole, 4, 99).video) == 6


@pytest.mark.experiment
def test_where_the_time_of_a_transfer_goes(place, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    who, how = (str(place / f"clips/person{i}/0.mp4") for i in (0, 1))
    clips = ("--content", who, "--motion", how, "--out", str(place / "timed.mp4"))
    script = importlib.import_module("transfer_speed")
    script.main([str(place / "run"), *clips, "--tiny"])
    table = capsys.readouterr().out.splitlines()[-7:]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table]
    parts = ["read", "into latents", "into codes", "denoise", "into pixels", "write", "whole"]
    assert [row[0] for row in rows] == parts
    assert float(rows[-1][1]) > 0
    assert rows[-1][-1] == "100.0 %"
    assert video_io.read_clip(place / "timed.mp4").shape == (20, 64, 64, 3)


def test_quality_over_rate_beside_other_codecs(place, capsys, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script = importlib.import_module("rate_quality")
    picture, out = place / "rate.png", place / "rate.json"
    options = ("--data-dir", str(place / "data"), "--picture", str(picture), "--out", str(out))
    script.main([str(place / "run"), *options, "--tiny"])
    table = [line for line in capsys.readouterr().out.splitlines() if line.count("|") == 11][2:]
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in table}
    names = ["first frame, held", "latents alone", "vdd", "x264, crf 51", "x265, crf 51"]
    assert list(rows)[:5] == names
    held, latents, ours, *others = (
        [float(x.strip() or "nan") for x in row] for row in rows.values()
    )
    for once, then, *rates in [row[:5] for row in (ours, *others)]:
        assert min(once, then) > 0
        np.testing.assert_allclose(rates, [once / s + then for s in (5, 10, 60)], atol=0.011)
    assert np.isfinite(ours[5:7]).all()
    assert np.isnan(held[0])
    assert held[5] < latents[5]  # folded pixels come back as they were
    assert all(other[5] > ours[5] for other in others)  # untrained: worse
    assert picture.exists()
    report = json.loads(out.read_text())
    assert report["split"] == "test"
    assert len(report["frames"]) == report["rows"]["vdd"]["clips"]["PSNR, dB"]
    assert list(report["rows"]) == list(rows)
    assert report["rows"]["first frame, held"]["once, kbit"] is None
    assert report["rows"]["vdd"]["clips"]["identity"] == 0
    told = report["rows"]["vdd"]
    found = [told["once, kbit"], told["then, kbit/s"], told["PSNR, dB"], told["SSIM"]]
    np.testing.assert_allclose(found, [*ours[:2], *ours[5:7]], atol=0.006)


def assert_frames_are(made, real, first):
    """No frame of the real clip is nearer to a frame that was made than its own."""
    made, real = made.astype(float), real.astype(float)
    for i, frame in enumerate(made):
        error = np.abs(real - frame).mean((1, 2, 3))
        assert error[first + i] <= error.min() + 0.3, i  # some frames are alike


@pytest.mark.experiment
def test_a_codec_s_frames_come_back_in_order(place, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script = importlib.import_module("rate_quality")
    clip = video_io.read_clip(place / "clips/person0/0.mp4")
    fine, coarse = (script.by_codec("libx264", crf, 25.0, clip) for crf in (10, 51))
    assert fine.video.shape == coarse.video.shape == clip.shape
    assert 0 < coarse.once < fine.once
    assert 0 < coarse.rest < fine.rest
    assert_frames_are(fine.video, clip, 0)


@pytest.mark.experiment
def test_a_clip_is_put_together_from_windows_that_overlap(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script = importlib.import_module("rate_quality")
    clip = np.random.default_rng(0).integers(0, 256, (15, 2, 2, 3), np.uint8)
    places = np.array([0, 0, 2, 2, 4, 10])  # the second and the fourth of every other frame
    windows = np.stack([clip[0:5], clip[0:10:2], clip[2:7], clip[2:12:2], clip[4:9], clip[10:15]])
    np.testing.assert_array_equal(script.put_together(windows, places), clip[:9])
    joined = script.put_together(windows[::5], places[::5] // 2)
    np.testing.assert_array_equal(joined, np.concatenate([clip[:5], clip[10:]]))


@pytest.mark.experiment
def test_people_are_laid_out_to_be_seen_seen_later_and_unseen(place, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "experiments")
    script = importlib.import_module("held_out")
    clips, out = tmp_path / "clips", tmp_path / "out"
    clips.mkdir()
    for i in range(4):
        (clips / f"p{i}.mp4").symlink_to(place / f"clips/person{i}/0.mp4")
    assert script.main([str(clips), str(out), "--unseen", "0.25", "--least", "0.5"]) == 0
    people = {
        split: sorted(path.parent.name for path in (out / split).rglob("*.mp4"))
        for split in ("train", "validation", "test")
    }
    assert people["train"] == people["validation"]
    assert sorted(people["train"] + people["test"]) == [f"p{i}" for i in range(4)]
    assert len(people["test"]) == 1
    (unseen,), seen = people["test"], people["train"][0]
    first, last, whole = (
        video_io.read_clip(out / split / person / f"{person}.mp4").astype(float)
        for split, person in (("train", seen), ("validation", seen), ("test", unseen))
    )
    assert (len(first), len(last), len(whole)) == (10, 15, 50)
    real = video_io.read_clip(clips / f"{seen}.mp4")
    assert_frames_are(first, real, 0)
    assert_frames_are(last, real, 35)
    assert script.main([str(clips / "none"), str(tmp_path / "other")]) == 2
    assert script.main([str(clips), str(out)]) == 2  # people of another seed would mix
