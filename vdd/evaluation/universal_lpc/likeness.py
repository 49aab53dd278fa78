"""How near a clip is to what it ought to show.

The truth is a character in some cells, and is held against the clip over grey. The pose of a frame
is the nearest of all cells of the character's own true sheet.
"""

import numpy as np
from einops import rearrange
from jaxtyping import Bool, Float, Int, UInt8

from vdd.evaluation import metrics
from vdd.evaluation.universal_lpc.ground import GREY, alpha_iou, on_grey

# Mean squared difference of two cells that count as one, of 255^2.
_NEARLY = 2.0


def likeness(
    video: UInt8[np.ndarray, "t h w c"],
    sheet: UInt8[np.ndarray, "k h w c"],
    cells: Int[np.ndarray, "t"],
    sharp: bool = True,
) -> dict[str, float]:
    """The figures of a clip that ought to show the cells of a sheet.

    Args:
      video: the clip.
      sheet: the character in all its cells, drawn as the clip.
      cells: which ones it ought to show.
      sharp: measure sharpness too.

    Returns:
      `pose_acc`, a fraction of the frames; `psnr`, and over the pixels of the figure `figure_psnr`,
      dB; `ssim`; where there is an alpha, `alpha_iou`; where asked, `laplacian_power`, the power of
      the Laplacian relative to the truth's (noise adds to it), and `sharpness`, the detail of the
      nearest true cell that is there (`metrics.sharpness`: noise adds nothing).
    """
    of_alpha = {"alpha_iou": alpha_iou(sheet[cells], video)} if video.shape[-1] == 4 else {}
    video, sheet = on_grey(video), on_grey(sheet)
    truth = sheet[cells]
    nearest = sheet[nearest_cells(video, sheet)]
    of_detail = {}
    if sharp:
        of_detail = {
            "laplacian_power": float(metrics.laplacian_power(truth[None], video[None])[0]),
            # The nearest frame among the nearest ones is the same.
            "sharpness": float(np.nanmean(metrics.sharpness(nearest, video))),
        }
    return {
        "pose_acc": float(np.mean(_equal(nearest, truth))),
        "psnr": float(metrics.psnr(truth[None], video[None], 255)[0]),
        "figure_psnr": _figure_psnr(truth, video),
        "ssim": float(metrics.ssim(truth[None], video[None], 255)[0]),
        **of_alpha,
        **of_detail,
    }


def nearest_cells(
    frames: UInt8[np.ndarray, "t h w c"], sheet: UInt8[np.ndarray, "k h w c"]
) -> Int[np.ndarray, "t"]:
    """Which cell of a sheet each frame is nearest to, by squared error; both over one ground."""
    return np.argmin(_distances(frames, sheet), axis=1)


def _distances(
    frames: UInt8[np.ndarray, "t h w c"], sheet: UInt8[np.ndarray, "k h w c"]
) -> Float[np.ndarray, "t k"]:
    """Mean squared differences, by one matrix product."""
    a, b = (rearrange(x, "n ... -> n (...)").astype(np.float32) for x in (frames, sheet))
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None]
    return (squared - 2.0 * a @ b.T) / a.shape[1]


def _equal(
    frames: UInt8[np.ndarray, "t h w c"], others: UInt8[np.ndarray, "t h w c"]
) -> Bool[np.ndarray, "t"]:
    """Whether two cells are the same picture, or nearly."""
    return np.square(frames.astype(np.float32) - others).mean((1, 2, 3)) <= _NEARLY


def _figure_psnr(truth: UInt8[np.ndarray, "t h w 3"], video: UInt8[np.ndarray, "t h w 3"]) -> float:
    """PSNR over the pixels that are not background in the truth, dB."""
    figure = np.any(truth != np.uint8(GREY), axis=-1)
    error = np.square(truth[figure].astype(np.float64) - video[figure]).mean()
    return float(10.0 * np.log10(255.0**2 / max(error, 1e-9)))
