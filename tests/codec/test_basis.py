"""Content in a basis: whole numbers to bytes and back, and a run of that kind through a file."""

import dataclasses
import functools
import importlib
import json
import os

import jax
import numpy as np
import pytest
import reference
import scipy.stats
import tiny

from vdd import apply, cli, fingerprint
from vdd.codec import basis, container, content
from vdd.codec.basis import BasisContent, Measured
from vdd.codec.coded_run import CodedRun
from vdd.data import video_io
from vdd.errors import UserError
from vdd.run import Run

COUNT = int(os.environ.get("VDD_FUZZ", "500"))
PLACES, CHANNELS, GROUPS, CODES = 64, 12, 3, 5
MODEL = BasisContent(PLACES, CHANNELS, GROUPS, CODES)
CHANGES = {
    "model.content": {"kind": "reference", "dim": 48, "side": 4},
    "model.quantizer": {"kind": "grid", "num_groups": 4, "num_codes": 5, "alpha": 2.0},
    "model.denoiser.readout": {
        "kind": "warp", "width": 8, "num_flows": 3, "num_blocks": 1, "motion_channels": 2,
    },
    "model.relative_motion": True,
}  # fmt: skip


def measured(seed=0, model=MODEL):
    """Channels from silent to loud, with noise of other strengths."""
    rng = np.random.default_rng(seed)
    shape = (model.places, model.channels)
    mean = rng.laplace(size=shape) * np.geomspace(1e-3, 8.0, model.channels)
    std = np.geomspace(0.5, 1e-3, model.channels) * rng.uniform(0.5, 1.5, shape)
    pose = rng.integers(0, model.num_codes, model.num_groups)
    return Measured(mean.astype(np.float32), std.astype(np.float32), pose)


@pytest.mark.parametrize("seed", range(4))
def test_numbers_come_back_and_stand_for_what_lies_within_half_a_step(seed):
    said = measured(seed)
    numbers = MODEL.quantize(said)
    np.testing.assert_array_equal(MODEL.decode(MODEL.encode(numbers).data), numbers)
    parts = MODEL.split(numbers)
    np.testing.assert_array_equal(parts.pose, said.pose)
    assert (parts.numbers == 0).all(axis=1).any()
    told = parts.numbers.any(axis=1)
    assert told.sum() > 6
    half = basis.sizes(parts.steps) / 2
    error = np.abs(MODEL.mean(numbers) - said.mean)
    assert (error[:, told] <= half[told] * 1.0001).all()
    # The step is the noise's, but where numbers would be beyond the reach.
    noise = 1.5 * np.sqrt(12 * np.square(said.std.astype(float)).mean(0))
    least = np.abs(said.mean).max(0) / basis.REACH
    fits = told & (least < noise)
    np.testing.assert_allclose(2 * half[fits] / noise[fits], 1.0, atol=0.1)
    assert (told & ~fits).any()
    assert (error[:, ~told].max(0) <= noise[~told] * 0.55).all()


def test_a_model_that_diverged_is_told():
    said = measured()
    said.mean[3, 2] = np.nan
    with pytest.raises(UserError, match="diverged"):
        MODEL.quantize(said)


def test_bytes_are_near_what_the_distribution_says():
    model = BasisContent(256, 40, GROUPS, CODES)
    rng = np.random.default_rng(0)
    scales, ideal, rows = np.geomspace(0.3, 30.0, 40), 0.0, []
    edges = np.arange(-600.5, 601)
    for scale in scales:
        share = np.diff(scipy.stats.laplace(scale=scale).cdf(edges))
        ideal -= 256 * (share * np.log2(np.maximum(share, 1e-300))).sum()
        rows.append(np.rint(rng.laplace(scale=scale, size=256)))
    numbers = np.clip(np.stack(rows), -255, 255).astype(int)
    steps, pose = np.full(40, 30), np.zeros(GROUPS, int)
    code = model.encode(np.concatenate([steps, pose, numbers.reshape(-1)]))
    assert 0.97 * ideal < code.bits < 1.05 * ideal
    # With one table for all it would take more.
    alike = np.log2(2 * np.e * np.abs(numbers).mean())
    assert code.bits < 0.8 * 256 * 40 * alike


def test_channels_of_zeros_cost_next_to_nothing():
    model = BasisContent(256, 192, 14, 7)
    silent = np.zeros(192 + 14 + 256 * 192, np.int64)
    nothing = model.encode(silent)
    assert nothing.bits < 14 * np.log2(7) + 192 / 3
    loud = silent.copy()
    loud[0], loud[192 + 14 : 192 + 14 + 256] = 30, np.random.default_rng(0).integers(-9, 10, 256)
    code = model.encode(loud)
    assert code.bits - nothing.bits > 256 * 4
    np.testing.assert_array_equal(model.decode(code.data), loud)


def test_another_decoder_reads_it_by_the_page():
    model = BasisContent(6, 5, GROUPS, CODES)
    said = measured(3, model)
    numbers = model.quantize(said)
    sizes = (model.places, model.channels, GROUPS, CODES)
    steps, pose, rows = reference.decode_basis(model.encode(numbers).data, *sizes)
    parts = model.split(numbers)
    assert (steps, pose) == (parts.steps.tolist(), parts.pose.tolist())
    np.testing.assert_allclose(np.array(rows).T, model.mean(numbers), rtol=1e-6)
    for scale, table in enumerate(basis.scale_tables(), start=1):
        assert table.tolist() == reference.laplace(scale)


def test_a_content_for_which_there_is_no_room_is_one_clear_line():
    model = BasisContent(32 * 32, 192, 14, 7)
    loud = np.random.default_rng(0).integers(-255, 256, 192 * 32 * 32)
    numbers = np.concatenate([np.zeros(192 + 14, int), loud])
    with pytest.raises(UserError, match=r"the content takes 2\d{5} bytes, more than 65535"):
        container.content_bytes(bytes(46), model.encode(numbers).data)
    # At 128 x 128 there is room for numbers that are all as likely.
    model = BasisContent(256, 192, 14, 7)
    numbers = np.concatenate([np.full(192, 40), np.zeros(14, int), loud[: 192 * 256]])
    assert len(model.encode(numbers).data) < 60_000


@functools.cache
def run() -> Run:
    model, params = tiny.get_model(CHANGES, frames=3)
    # Deviations as training finds them, and a basis that is none of the axes.
    noise = {**params["content"]["log_std"], "bias": -np.linspace(0, 3, 48, dtype=np.float32)}
    params = {**params, "content": {**params["content"], "log_std": noise}}
    return Run(tiny.get_config(CHANGES), model, params, 1)


def clip(frames=9):
    return tiny.random_video(1, frames, seed=3)[0]


def test_a_run_s_content_comes_back_through_a_file():
    coded_run = CodedRun.create(run(), None)
    coded = coded_run.take_apart(clip())
    decoded = coded_run.from_bytes(coded_run.to_bytes(coded, 25.0))
    how = coded_run.content
    assert isinstance(how, BasisContent)
    assert decoded.content is not None
    numbers = how.decode(decoded.content)
    np.testing.assert_array_equal(numbers, coded.numbers)
    model, params = run().model, run().params
    exact = jax.jit(apply.encode, static_argnums=0)(model, params, clip()[None])
    np.testing.assert_array_equal(decoded.codes, exact.codes[0])
    tokens, exact = np.asarray(coded_run.tokens(numbers))[0], np.asarray(exact.content)[0]
    np.testing.assert_allclose(tokens[-1], exact[-1], atol=1e-6)  # the pose
    assert np.abs(exact[-1]).max() > 0.4
    parts = how.split(numbers)
    half = np.where(parts.numbers.any(axis=1), basis.sizes(parts.steps) / 2, np.inf)
    back = np.linalg.inv(np.asarray(params["content"]["back"]["kernel"], float))
    error = np.abs((tokens - exact)[:-1] @ back)  # in the basis
    assert (error <= half * 1.01 + 1e-3).all()
    assert np.isfinite(half).sum() > 10


def test_the_content_of_a_long_clip_is_that_of_its_first_window(monkeypatch):
    coded_run = CodedRun.create(run(), None)
    from vdd import streaming

    windows = list(streaming.windows(clip(9), 4, 2))
    coded = coded_run.take_windows_apart(iter(windows))
    first = CodedRun.create(run(), None).take_apart(clip(9)[:4])
    np.testing.assert_array_equal(coded.numbers, first.numbers)
    assert len(coded.codes) == 9
    assert not np.array_equal(coded_run.take_apart(clip(9)).numbers, first.numbers)


def test_another_way_back_is_another_model_and_other_noise_is_not():
    params = run().params

    def changed(part, **arrays):
        said = {**params["content"], part: {**params["content"][part], **arrays}}
        return dataclasses.replace(run(), params={**params, "content": said})

    coded_run = CodedRun.create(run(), None)
    data = coded_run.to_bytes(coded_run.take_apart(clip()), 25.0)
    other = changed("back", kernel=1.1 * params["content"]["back"]["kernel"])
    with pytest.raises(UserError, match="another model"):
        CodedRun.create(other, None).from_bytes(data)
    noise = changed("log_std", bias=params["content"]["log_std"]["bias"] + 1.0)
    assert CodedRun.create(noise, None).from_bytes(data).content is not None
    # The codes mean the same, so that a prior of them serves both.
    assert fingerprint.of_model(other.params) == fingerprint.of_model(params)


def test_info_and_wrong_kinds_are_told(tmp_path, capsys):
    coded_run = CodedRun.create(run(), None)
    data = coded_run.to_bytes(coded_run.take_apart(clip()), 25.0)
    path = tmp_path / "clip.vdd"
    path.write_bytes(data)
    assert cli.main(["info", str(path)]) == 0
    assert "bytes, content in a basis" in capsys.readouterr().out
    tokens = coded_run._replace(content=content.model_of_tokens(17 * 48))
    with pytest.raises(UserError, match="its content is not coded as the model's is"):
        tokens.from_bytes(data)


@pytest.mark.process
def test_a_run_is_encoded_and_decoded_by_the_commands(tmp_path, capsys):
    where = tiny.save_run(tmp_path / "run", tiny.get_config(CHANGES))
    source = video_io.write_clip(tmp_path / "clip.gif", clip(), fps=20)
    coded, out = tmp_path / "clip.vdd", tmp_path / "out.npy"
    assert cli.main(["encode", str(where), str(source), "--out", str(coded)]) == 0
    assert cli.main(["decode", str(where), str(coded), "--steps", "0", "--out", str(out)]) == 0
    assert video_io.read_clip(out).shape == (9, 16, 16, 3)
    capsys.readouterr()


@pytest.mark.fuzz
def test_whatever_bytes_there_are_give_numbers_or_one_clear_line():
    rng = np.random.default_rng(0)
    whole = MODEL.encode(MODEL.quantize(measured())).data
    outcomes = {"read": 0, "the content is damaged": 0}
    for i in range(COUNT):
        hurt = bytearray(whole)
        if i % 3 == 0:
            hurt[rng.integers(len(hurt))] ^= 1 << rng.integers(8)
        elif i % 3 == 1:
            del hurt[rng.integers(len(hurt)) :]
        else:
            hurt = bytearray(rng.bytes(int(rng.integers(0, 700))))
        if i % 10 == 0:
            hurt[:8] = b"\xff" * 8
        try:
            numbers = MODEL.decode(bytes(hurt))
        except UserError as error:
            outcomes[str(error)] += 1
            continue
        parts = MODEL.split(numbers)
        assert parts.numbers.shape == (CHANNELS, PLACES)
        assert np.abs(parts.numbers).max() <= basis.REACH
        assert 0 <= parts.steps.min() <= parts.steps.max() < basis.NUM_STEPS
        assert 0 <= parts.pose.min() <= parts.pose.max() < CODES
        assert np.isfinite(MODEL.mean(numbers)).all()
        outcomes["read"] += 1
    assert min(outcomes.values()) > 10, outcomes


@pytest.mark.experiment
def test_what_steps_cost_is_written_as_it_is_printed(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(tiny.ROOT / "experiments")
    script, out = importlib.import_module("content_steps"), tmp_path / "steps.json"
    monkeypatch.setattr(script.vdd, "load", lambda name: run())
    monkeypatch.setattr(script, "first_windows", lambda *_: np.stack([clip()] * 3))
    script.main(["a_run", "--data-dir", "DATA", "--tiny", "--out", str(out)])
    report = json.loads(out.read_text())
    assert report["run"] == "a_run"
    assert report["clips"] == 2
    said = capsys.readouterr().out
    for name, row in report["rows"].items():
        assert list(row) == list(script.HEAD)
        assert f"| {name} | {row['bits a clip']:.0f} |" in said
    assert report["rows"]["tokens in steps of 1/16"]["Laplace"] is None


@pytest.mark.experiment
def test_what_steps_cost_is_told_way_by_way(monkeypatch):
    monkeypatch.syspath_prepend(tiny.ROOT / "experiments")
    script = importlib.import_module("content_steps")
    rows = script.measure(CodedRun.create(run(), None), clip())
    counted, old, *ways = rows.values()
    exact = run().encode(clip()[None])
    np.testing.assert_allclose(counted[0], exact.content_bits[0], rtol=1e-4)
    assert len(ways) == len(script.FACTORS) + 3
    for bits, laplace, normal, either, *_ in ways:
        assert either <= min(laplace, normal)
        assert laplace < bits < laplace + 48 * 14
    bits, quality = zip(*[(way[0], way[5]) for way in ways[: len(script.FACTORS)]])
    assert list(bits) == sorted(bits, reverse=True)
    assert quality[0] > quality[-1]
    assert old[0] > counted[0]
