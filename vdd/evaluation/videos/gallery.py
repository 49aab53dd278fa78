"""Draws the pictures of a run on real videos: which windows are shown, and the files they go to."""

import numpy as np
from etils import epath
from jaxtyping import Int, UInt8
from PIL import Image

from vdd.data import encoders, video_io
from vdd.evaluation import pictures
from vdd.evaluation.gallery import Picture, write_png
from vdd.evaluation.inference import Functions, clip_keys, encode_clips
from vdd.evaluation.pairing import pair_across, pair_within
from vdd.evaluation.videos.figures import Pairs
from vdd.evaluation.videos.protocol import Windows, draw_samples

_NUM_PEOPLE = 4
_SHEET_FRAMES = 6
_FRAME_HEIGHT = 192  # pixels, at least, where a window is enlarged
_PICTURE_STREAM = 3  # of random keys


def draw(
    functions: Functions,
    windows: Windows,
    folder: epath.Path,
    seed: int = 0,
    batch_size: int = 8,
    fps: float = 25,
    comment: str | None = None,
) -> list[Picture]:
    """Samples a few windows and writes the pictures into `folder`.

    `transfer_<i>.mp4`: source, driving window and result, side by side, at `fps` frames a second;
    `transfers.png`: a few frames of the same; `reconstructions.png`. The driving window is of
    somebody else, or of the same clip where there is nobody else. The same windows are shown for
    every step and every model. `comment` goes into the metadata of all.

    Raises:
      UserError: PyAV is not installed, or the folder cannot be written.
    """
    shown = np.unique(windows.identity, return_index=True)[1][:_NUM_PEOPLE]
    across = pair_across(windows.identity, seed)
    within = pair_within(windows.clip, windows.start, windows.end, seed)
    partner = np.where(across >= 0, across, within)[shown]
    pairs = Pairs(shown[partner >= 0], partner[partner >= 0])
    both = Pairs(*(np.concatenate([rows, shown]) for rows in pairs))
    video = _sample(functions, windows, both, seed, batch_size)
    split = len(pairs.content)
    return [
        *_draw_transfers(windows.video, pairs, video[:split], folder, fps, comment),
        _draw_reconstructions(windows.video, shown, video[split:], folder, comment),
    ]


def _sample(
    functions: Functions, windows: Windows, pairs: Pairs, seed: int, batch_size: int
) -> UInt8[np.ndarray, "m t h w 3"]:
    needed = np.unique(np.concatenate(pairs))
    encoded = encode_clips(functions, windows.video[needed], batch_size, show_progress=False)
    keys = clip_keys(seed, _PICTURE_STREAM, np.arange(len(pairs.content)))
    places = Pairs(*(np.searchsorted(needed, rows) for rows in pairs))
    samples = draw_samples(functions, encoded, places, keys, batch_size)
    return np.concatenate([video for _, video in samples])


def _draw_transfers(
    real: UInt8[np.ndarray, "n t h w 3"],
    pairs: Pairs,
    video: UInt8[np.ndarray, "m t h w 3"],
    folder: epath.Path,
    fps: float,
    comment: str | None,
) -> list[Picture]:
    drawn, strips = [], []
    for i, (content, motion, made) in enumerate(zip(*pairs, video)):
        columns = [
            ("source", "gives the content", real[content], True),
            ("driving", "gives the motion", real[motion], True),
            ("result", "that content in that motion", made, False),
        ]
        images = pictures.side_by_side(columns, _scale(real))
        frames = np.stack([np.asarray(image) for image in images])
        video_io.write_clip(folder / f"transfer_{i}.mp4", frames, fps, comment=comment)
        caption = f"Window {content} in the motion of window {motion}; framed clips are real."
        drawn.append(Picture(f"transfer_{i}.mp4", caption))
        strips.append(frames[_spread(len(frames))])
    if not strips:
        return []
    sheet = encoders.contact_sheet(np.concatenate(strips), columns=len(strips[0]))
    write_png(folder / "transfers.png", Image.fromarray(sheet), comment)
    return [*drawn, Picture("transfers.png", "Frames of the transfers, one to a row.")]


def _draw_reconstructions(
    real: UInt8[np.ndarray, "n t h w 3"],
    rows: Int[np.ndarray, "m"],
    video: UInt8[np.ndarray, "m t h w 3"],
    folder: epath.Path,
    comment: str | None,
) -> Picture:
    frames = _spread(real.shape[1])
    pairs = [(f"window {row}", real[row][frames], made[frames]) for row, made in zip(rows, video)]
    title = "Reconstructions: each window from its own content and motion (framed: real)"
    sheet = pictures.contact_sheet(title, pairs, ("real", "rebuilt"), _scale(real))
    write_png(folder / "reconstructions.png", sheet, comment)
    return Picture("reconstructions.png", "Real windows above, the model's reconstructions below.")


def _spread(count: int) -> Int[np.ndarray, "_"]:
    """Numbers of a few of `count` frames, from the first to the last."""
    return np.unique(np.linspace(0, count - 1, _SHEET_FRAMES).round().astype(int))


def _scale(video: UInt8[np.ndarray, "n t h w 3"]) -> int:
    """How many pixels wide a pixel of small windows is drawn."""
    return max(1, -(-_FRAME_HEIGHT // video.shape[2]))
