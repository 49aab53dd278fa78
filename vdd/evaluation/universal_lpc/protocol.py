"""Swaps on Universal LPC, held against what they ought to show: no judge is needed.

Content of clip A and motion of clip B make the character of A in the cells of B, which can be
drawn. The pose of a frame is the nearest of all cells of A's own true sheet.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from vdd.data.universal_lpc import NUM_CELLS, Art, Clips, play
from vdd.data.universal_lpc.clips import GREY
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import metrics, sections
from vdd.evaluation.inference import (
    Functions,
    batches,
    clip_keys,
    encode_clips,
    padded,
)
from vdd.progress import progress_bar

# Streams of random keys.
_RECONSTRUCTION, _SWAP = 0, 1
# Mean squared difference of two cells that count as one, of 255^2.
_NEARLY = 2.0

Draw = Callable[[Int[np.ndarray, "s"], Int[np.ndarray, "t"]], UInt8[np.ndarray, "t h w c"]]


def evaluate(
    functions: Functions,
    clips: Clips,
    draw: Draw,
    *,
    step: int,
    split: str,
    target_bits_per_frame: float | None = None,
    sampler: Sampler | None = None,
    seed: int = 0,
    batch_size: int = 64,
    show_progress: bool = True,
) -> dict[str, Any]:
    """Measures a model on all clips of a split.

    Args:
      functions: the model.
      clips: what is measured, and who plays which cells in it.
      draw: draws a character (its parts) in some cells, as `clips` are drawn.
      step: of the model, for the record.
      split: the name of the split.
      target_bits_per_frame: what the model was trained for, for the record.
      sampler: the sampler of `functions`, for the record.
      seed: of pairs and samples.
      batch_size: clips encoded or sampled at once.
      show_progress: show bars with the time left.

    Returns:
      The report, ready for JSON: `reconstruction` and `transfer` with `pose_acc` (a fraction of
      frames), `psnr` and `figure_psnr` in dB, and `ssim`, means over clips; `bitrate` in bits.
    """
    encoded = encode_clips(functions, clips.video, batch_size, f"encoding {split}", show_progress)
    rows = np.arange(len(clips.video))

    def measured(partner: Int[np.ndarray, "n"], stream: int, title: str) -> dict[str, float]:
        keys, found = clip_keys(seed, stream, rows), []
        with progress_bar(title, len(rows), show_progress) as advance:
            for piece in batches(len(rows), batch_size):
                at = padded(rows[piece], batch_size)
                content, motion = encoded.content[at], encoded.motion[partner[at]]
                made = on_grey(np.asarray(functions.sample(keys[at], content, motion)))
                for row, video in zip(rows[piece], made):
                    cells = clips.cell[partner[row]]
                    found.append(score(video, draw, clips.parts[row], cells))
                    advance(1)
        return {name: float(np.mean([one[name] for one in found])) for name in found[0]}

    return {
        "step": step,
        "dataset": "universal_lpc",
        "split": split,
        "num_clips": len(rows),
        "sampler": sampler and {"name": sampler.name, "steps": sampler.steps, "nfe": sampler.nfe},
        "reconstruction": measured(rows, _RECONSTRUCTION, "reconstructing"),
        "transfer": measured(partners(len(rows), seed), _SWAP, "swapping"),
        "bitrate": sections.bitrate(encoded, functions, target_bits_per_frame),
    }


def partners(count: int, seed: int) -> Int[np.ndarray, "n"]:
    """Whose motion each clip gets: all clips in a ring of random order."""
    order = np.random.default_rng(seed).permutation(count)
    partner = np.empty(count, np.int64)
    partner[order] = np.roll(order, 1)
    return partner


def score(
    video: UInt8[np.ndarray, "t h w c"],
    draw: Draw,
    parts: Int[np.ndarray, "s"],
    cells: Int[np.ndarray, "t"],
) -> dict[str, float]:
    """How right a clip is that ought to show a character in some cells."""
    sheet = draw(parts, np.arange(NUM_CELLS))
    truth = sheet[cells]
    figure = np.any(truth != np.array(GREY[: truth.shape[-1]], np.uint8), axis=-1)
    return {
        "pose_acc": float(np.mean(poses_right(video, sheet, cells))),
        "psnr": float(metrics.psnr(truth[None], video[None], 255)[0]),
        "figure_psnr": _figure_psnr(truth, video, figure),
        "ssim": float(metrics.ssim(truth[None], video[None], 255)[0]),
    }


def poses_right(
    video: UInt8[np.ndarray, "t h w c"],
    sheet: UInt8[np.ndarray, "k h w c"],
    cells: Int[np.ndarray, "t"],
) -> Bool[np.ndarray, "t"]:
    """Whether the nearest cell of the sheet is the right one, or nearly equal to it."""
    nearest = np.argmin(_distances(video, sheet), axis=1)
    between = np.square(sheet[nearest].astype(np.float32) - sheet[cells]).mean((1, 2, 3))
    return between <= _NEARLY


def _distances(
    frames: UInt8[np.ndarray, "t h w c"], sheet: UInt8[np.ndarray, "k h w c"]
) -> Float[np.ndarray, "t k"]:
    """Mean squared differences, by one matrix product."""
    a, b = (x.reshape(len(x), -1).astype(np.float32) for x in (frames, sheet))
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None]
    return (squared - 2.0 * a @ b.T) / a.shape[1]


def _figure_psnr(
    truth: UInt8[np.ndarray, "t h w c"],
    video: UInt8[np.ndarray, "t h w c"],
    figure: Bool[np.ndarray, "t h w"],
) -> float:
    """PSNR over the pixels that are not background in the truth, dB."""
    error = np.square(truth[figure].astype(np.float64) - video[figure]).mean()
    return float(10.0 * np.log10(255.0**2 / max(error, 1e-9)))


def on_grey(video: UInt8[np.ndarray, "*b h w c"]) -> UInt8[np.ndarray, "*b h w 3"]:
    """RGBA with straight alpha laid on the grey of the data set; RGB as it is."""
    if video.shape[-1] == 3:
        return video
    alpha = video[..., 3:].astype(np.float32) / 255.0
    mixed = video[..., :3] * alpha + np.float32(GREY[0]) * (1.0 - alpha)
    return np.round(mixed).astype(np.uint8)


def drawer(art: Art) -> Draw:
    """Draws on grey, as the clips of all splits but train stand."""
    return lambda parts, cells: play(art, parts, cells)
