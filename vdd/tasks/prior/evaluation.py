"""The prior over motion codes, measured: bits a frame of held-out clips, beside their entropy."""

import jax
import numpy as np
from einops import rearrange
from etils import epath
from jaxtyping import Float, Int32, PyTree, UInt8

from vdd import compiled, files, priors, runs, streaming
from vdd.data import datasets
from vdd.data.datasets import load_clips
from vdd.errors import UserError
from vdd.evaluation import metrics, report
from vdd.evaluation.inference import batches, padded
from vdd.markdown import table
from vdd.models.prior import MotionPrior
from vdd.progress import progress_bar
from vdd.run import Run
from vdd.run import load as load_run
from vdd.values import Figures


def load_codes(
    run: Run,
    split: str,
    *,
    art_dir: epath.PathLike | None = None,
    num_clips: int = 0,
    batch_size: int = 64,
) -> Int32[np.ndarray, "c t n"]:
    """The codes of a run's clips, encoded by the run: in windows, as `vdd encode` reads them.

    Args:
        run: the run.
        split: as for `vdd.data.datasets.load_clips`.
        art_dir: folder of LPC sheets, or of prepared videos: a run may have been trained on windows
            of wider spacing, too, and its prior not. None takes the run's, as `load_clips` says.
        num_clips: so many, spread over the split; 0: all.
        batch_size: clips encoded at once.

    Raises:
        UserError: as `vdd.data.datasets.load_clips`.
    """
    video = load_clips(run.config.data, split, art_dir)
    if num_clips:
        video = video[np.random.default_rng(0).permutation(len(video))[:num_clips]]
    codes = []
    with progress_bar(f"encoding {split}", len(video)) as advance:
        for piece in batches(len(video), batch_size):
            rows = padded(np.arange(piece.start, piece.stop), batch_size)
            codes.append(_codes(run, video[rows])[: piece.stop - piece.start])
            advance(piece.stop - piece.start)
    return np.concatenate(codes)


def _codes(run: Run, clips: UInt8[np.ndarray, "b t h w c"]) -> Int32[np.ndarray, "b t n"]:
    read, parts = compiled.Reader(run.model, run.params), []
    for window in streaming.windows(np.arange(clips.shape[1]), *run.windows):
        codes = np.asarray(read(clips[:, window.frames]).codes, np.int32)
        parts.append(codes[:, window.kept])
    return np.concatenate(parts, axis=1)


def bits_by_frame(
    prior: MotionPrior, params: PyTree, codes: Int32[np.ndarray, "c t n"], batch_size: int
) -> Float[np.ndarray, "t"]:
    """Mean bits of each frame of whole clips under the prior, the frames before it being known."""
    total = np.zeros(codes.shape[1])
    for piece in batches(len(codes), batch_size):
        rows = padded(np.arange(piece.start, piece.stop), batch_size)
        bits = compiled.bits_of_codes(prior, params, codes[rows])
        total += np.asarray(bits, np.float64)[: piece.stop - piece.start].sum((0, 2))
    return total / len(codes)


def rates(
    prior: MotionPrior, params: PyTree, codes: Int32[np.ndarray, "c t n"], batch_size: int
) -> Figures:
    """The section `bitrate` of the report: all in bits."""
    bits = bits_by_frame(prior, params, codes, batch_size)
    frames = rearrange(codes, "c t n -> (c t) n")
    return {
        "prior_bits_per_frame": float(bits.mean()),
        "prior_bits_per_clip": float(bits.sum()),
        "prior_bits_of_frames": bits.tolist(),
        "entropy_bits_per_frame": float(metrics.group_entropies(frames).sum()),
        "joint_entropy_bits_per_frame": metrics.joint_entropy(frames),
    }


def evaluate_prior(workdir: epath.PathLike) -> Figures:
    """Measure a prior on held-out clips of its source and write `eval/<step>.json`, `report.md`.

    Returns:
        The report: step, dataset, split, num_clips, source, and bitrate (see `rates`).

    Raises:
        UserError: no prior, no checkpoint, its source is gone or has another codebook, or no art.
    """
    workdir = epath.Path(workdir)
    prior = priors.load_prior(workdir)
    files.check_folder(workdir, "report.md", f"eval/{prior.step}.json")
    settings, source = prior.config.eval, load_source(prior.source)
    codes = load_codes(
        source,
        settings.split,
        art_dir=prior.config.data.art_dir,
        num_clips=settings.num_clips,
        batch_size=settings.batch_size,
    )
    data = source.config.data
    figures = {
        "step": prior.step,
        "dataset": runs.data_name(source.config),
        "split": settings.split,
        "seen_in_training": datasets.seen_in_training(data, settings.split),
        "num_clips": len(codes),
        "source": {"run": prior.source.run, "step": prior.source.step},
        "bitrate": rates(prior.model, prior.params, codes, settings.batch_size),
    }
    if jax.process_index() == 0:
        files.write(workdir / "report.md", page(prior, figures))
        report.write_json(workdir / "eval" / f"{prior.step}.json", figures)  # last: all is there
    return figures


def load_source(source: priors.Source) -> Run:
    """The run that a prior was trained on, at that step.

    Raises:
        UserError: it is gone, or is another one by now.
    """
    run = load_run(source.run, source.step)
    if not source.is_of(run):
        raise UserError(
            f"{source.run}, step {source.step}, has another codebook than the one that this prior"
            " was begun with: train a new prior"
        )
    return run


def page(prior: priors.PriorRun, figures: Figures) -> str:
    """`report.md`."""
    rate, source = figures["bitrate"], figures["source"]
    size = runs.count_parameters(prior.params)
    rows = [
        ("the prior, each frame given those before it", rate["prior_bits_per_frame"]),
        ("entropy of a frame's codes, all groups together", rate["joint_entropy_bits_per_frame"]),
        ("entropy of a frame's codes, sum of groups", rate["entropy_bits_per_frame"]),
    ]
    by_frame = ", ".join(f"{bits:.2f}" for bits in rate["prior_bits_of_frames"])
    return "\n".join(
        [
            "# Prior over motion codes",
            "",
            f"Step {figures['step']}, {size / 1e6:.2f} million parameters, of the codes of"
            f" {source['run']} (step {source['step']}), measured on {figures['num_clips']} clips of"
            f" {figures['dataset']} ({figures['split']}).",
            "",
            table(("bits a frame", ""), [(name, f"{bits:.3f}") for name, bits in rows]),
            "",
            f"Bits of each frame of a clip: {by_frame}.",
            "",
            *(f"- {name}: {value}" for name, value in report.machine().items()),
            "",
        ]
    )
