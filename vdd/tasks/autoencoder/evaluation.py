"""Evaluation of a trained autoencoder: how near frames come back, and its weights for others.

Writes `eval/<step>.json`, `report.md` with a contact sheet, and `autoencoder/`, the weights by
published names, which `vdd.models.autoencoder.load("kl", weights=...)` and diffusers read.
"""

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import numpy as np
from einops import rearrange
from etils import epath
from jaxtyping import Array, Float, PyTree, UInt8
from PIL import Image

from vdd import files, runs
from vdd.config import Config, replaced
from vdd.data import datasets, pipeline
from vdd.data.datasets import load_clips
from vdd.evaluation import evaluation as shared
from vdd.evaluation import metrics, pictures, report, watching
from vdd.evaluation.gallery import Picture, write_png
from vdd.evaluation.inference import batches, padded
from vdd.evaluation.sections import mean_or_none
from vdd.markdown import table
from vdd.models import autoencoder
from vdd.models.autoencoder.kl import KLAutoencoder
from vdd.pixels import to_float, to_uint8
from vdd.tasks.autoencoder.step import build_model
from vdd.training.loop import Hook
from vdd.training.parameters import load_params
from vdd.training.workdir import REPORT
from vdd.values import Figures

WEIGHTS = "autoencoder"
_SHEET = "reconstructions.png"
_SHOWN_CLIPS, _SHOWN_FRAMES = 6, 4


def evaluate_run(workdir: epath.Path) -> Figures:
    """Measure the latest checkpoint, write its report, its page and its weights; the report.

    Raises:
        UserError: no run, no checkpoint, or no data to measure on.
    """
    config = runs.load_config(workdir)
    step, params = load_params(workdir)
    model, settings = build_model(config.model), config.eval
    clips = clips_of(config, settings.split, settings.num_clips)
    files.check_folder(workdir, *REPORT, f"eval/{step}.json")
    figures = {
        "step": step,
        "dataset": runs.data_name(config),
        "split": settings.split,
        "seen_in_training": datasets.seen_in_training(config.data, settings.split),
        **measure(model, params, clips, settings.batch_size),
    }
    if jax.process_index() == 0:
        autoencoder.save(model, {"params": params}, workdir / WEIGHTS)
        write_png(workdir / report.PICTURES / _SHEET, sheet(model, params, config, settings.split))
        _write_page(workdir, config, params, figures)
        # Last: it tells that the rest is there.
        report.write_json(report.json_path(workdir, figures, config.eval.split), figures)
    return figures


def check(config: Config) -> None:
    """Raise a UserError for a config whose evaluation cannot be."""
    shared.check(config.eval, datasets.find(config.data.dataset).SPLITS)


def hooks(config: Config, workdir: epath.Path) -> list[Hook]:
    """PSNR of the averaged parameters each `eval_every`, a contact sheet each `sample_every`.

    Both are of the validation split; where the data have none, of the split that is evaluated.
    `seen_in_training` is 1 where the training sees these clips, or characters.
    """
    model, data = build_model(config.model), config.data
    split = datasets.find(data.dataset).watched_split(data, config.eval.split)
    seen = int(datasets.seen_in_training(data, split))

    def quick(step: int, params: PyTree) -> Figures:
        del step
        size = config.eval.batch_size
        figures = measure(model, params, clips_of(config, split, size), size)
        rebuilt = {"rebuilt_psnr": figures["psnr"], "rebuilt_ssim": figures["ssim"]}
        return {**rebuilt, "seen_in_training": seen}

    def picture(step: int, params: PyTree) -> Figures:
        image = sheet(model, params, config, split)
        return watching.picture(workdir, step, np.asarray(image.convert("RGB")), "rebuilt")

    return watching.watch(config, quick, picture, lambda params: params)


def clips_of(config: Config, split: str, count: int) -> Iterator[UInt8[np.ndarray, "b t h w 3"]]:
    """Clips of a split, in batches: `count` spread over it, or all where that is 0.

    Each process sees all of them.
    """
    settings, size = config.eval, config.eval.batch_size
    data = replaced(config.data, augment="none")
    if not count:
        frames = datasets.find(config.data.dataset).frames(config.data)
        video = load_clips(data, split)[:, :frames]
        yield from (video[piece] for piece in batches(len(video), size))
        return
    shuffled = pipeline.load_source(data, split, size, settings.seed)
    try:
        for piece in batches(count, size):
            yield next(shuffled)["video"][: piece.stop - piece.start]
    finally:
        shuffled.close()


def measure(
    model: KLAutoencoder, params: dict, clips: Iterator[np.ndarray], batch_size: int
) -> Figures:
    """Mean PSNR (dB) and SSIM of rebuilt frames, and bits of the posterior, over all frames.

    `kl_bits` is the Kullback-Leibler divergence of a frame's posterior from the standard normal:
    about what its latents would cost to send.
    """
    psnr, ssim, bits = [], [], []
    for video in clips:
        frames = rearrange(video, "b t ... -> (b t) ...")
        for piece in batches(len(frames), batch_size):
            rows = np.arange(piece.start, piece.stop)
            rebuilt, nats = _rebuild(model, params, frames[padded(rows, batch_size)])
            pair = frames[rows][:, None], np.asarray(rebuilt)[: len(rows), None]
            psnr.append(metrics.psnr(*pair, peak=255))
            ssim.append(metrics.ssim(*pair, peak=255))
            bits.append(np.asarray(nats)[: len(rows)] / math.log(2.0))
    values = [np.concatenate(parts).astype(np.float64) for parts in (psnr, ssim, bits)]
    return {
        "num_frames": len(values[0]),
        **dict(zip(("psnr", "ssim", "kl_bits"), map(mean_or_none, values))),
    }


@partial(jax.jit, static_argnums=0)
def _rebuild(
    model: KLAutoencoder, params: dict, frames: UInt8[Array, "n h w 3"]
) -> tuple[UInt8[Array, "n h w 3"], Float[Array, "n"]]:
    """Frames from their latents' means, and the nats of each posterior."""

    variables = {"params": params}
    posterior: Any = model.apply(variables, to_float(frames), method=model.posterior)
    drawn: Any = model.apply(variables, posterior.mean, method=model.decode)
    return to_uint8(drawn[:, None])[:, 0], posterior.nats()


def sheet(model: KLAutoencoder, params: dict, config: Config, split: str) -> Image.Image:
    """Frames of a few clips of a split above what became of them; the same clips each time."""
    settings = config.eval
    video = next(clips_of(config, split, settings.batch_size))[:_SHOWN_CLIPS]
    times = np.linspace(0, video.shape[1] - 1, min(_SHOWN_FRAMES, video.shape[1])).astype(int)
    video = video[:, times]
    frames, parts = rearrange(video, "b t ... -> (b t) ..."), []
    for piece in batches(len(frames), settings.batch_size):
        rows = np.arange(piece.start, piece.stop)
        rebuilt, _ = _rebuild(model, params, frames[padded(rows, settings.batch_size)])
        parts.append(np.asarray(rebuilt)[: len(rows)])
    rebuilt = rearrange(np.concatenate(parts), "(b t) ... -> b t ...", b=len(video))
    pairs = [(f"clip {i + 1}", real, made) for i, (real, made) in enumerate(zip(video, rebuilt))]
    title = "Frames, and what comes back (framed: real)"
    scale = max(1, 128 // video.shape[2])
    return pictures.contact_sheet(title, pairs, ("real", "rebuilt"), scale)


def _write_page(workdir: epath.Path, config: Config, params: dict, figures: Figures) -> None:
    rows = (
        ("PSNR, dB", "psnr", ".2f"),
        ("SSIM", "ssim", ".4f"),
        ("bits a frame", "kl_bits", ".4g"),
    )
    sections = [
        "## Rebuilt frames",
        table(
            ("", "mean"), [(name, report.number(figures[key], form)) for name, key, form in rows]
        ),
        f"The weights are in `{WEIGHTS}/`, as diffusers' AutoencoderKL has them.",
    ]
    sheet = [Picture(_SHEET, "Real frames above, rebuilt ones below.")]
    about, opening = report.describe(config, params), "An autoencoder of single frames."
    report.write_page(workdir, figures, sections, sheet, about, opening=opening)
