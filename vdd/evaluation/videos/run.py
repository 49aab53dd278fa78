"""Evaluation of a run on a folder of videos: `videos.evaluate`, its pictures and its page."""

import jax
import numpy as np
from etils import epath

from vdd import errors
from vdd.config import Config
from vdd.data import datasets, decoding, synthetic, video_folder
from vdd.data.video_folder import VideoWindows
from vdd.errors import UserError
from vdd.evaluation import report, watching
from vdd.evaluation.evaluation import Evaluation
from vdd.evaluation.faces import dlib_faces
from vdd.evaluation.gallery import Picture
from vdd.evaluation.inference import Functions
from vdd.evaluation.measure import measure_of
from vdd.evaluation.videos import gallery as video_gallery
from vdd.evaluation.videos import page as videos_page
from vdd.evaluation.videos import protocol as videos
from vdd.run import frames_shown
from vdd.training.loop import Hook
from vdd.values import Figures

SPLITS = video_folder.SPLITS


def check(settings: Config) -> None:
    """Raise a UserError for settings (the config's `eval`) that the protocols cannot have."""
    errors.at_least(1, settings, "quick_windows")
    errors.switches(settings, "faces")


def evaluate(config: Config, step: int, functions: Functions, split: str) -> Evaluation:
    """Reconstructions and transfers of all windows of a split.

    Raises:
        UserError: the data are not there, or hold no video of this split.
    """
    settings = config.eval
    windows = load(config, split, settings.num_clips)
    figures = videos.evaluate(
        functions,
        windows,
        measure_of(config, step, split),
        dlib_faces() if settings.faces else None,
    )

    def draw(folder: epath.Path) -> list[Picture]:
        return video_gallery.draw(
            functions, windows, folder, settings.seed, settings.batch_size, windows.fps,
            synthetic.mark(config.data),
        )  # fmt: skip

    return Evaluation(figures, videos_page.sections(figures), draw)


def hooks(config: Config, workdir: epath.Path) -> list[Hook]:
    """What a training does on schedule: figures each `eval_every`, pictures each `sample_every`.

    Both look at the averaged parameters, on some windows of the validation split, where the data
    have one, else of the split that is evaluated.
    """
    if config.train.sample_every:
        decoding.import_av()  # its lack is to be told before the training, not in its midst
    if not video_folder.has_split(config.data.data_dir, config.eval.split):
        raise UserError(
            f"{config.data.data_dir}: no video of the {config.eval.split} split, which is to be"
            " evaluated (--config.eval.split): prepare more clips, or with --split-by=clip"
        )
    split = datasets.find("video_folder").watched_split(config.data, config.eval.split)
    windows = load(config, split, config.eval.quick_windows)

    def quick(step: int, functions: Functions) -> Figures:
        how = measure_of(config, step, split)._replace(show_progress=False)
        figures = videos.evaluate(functions, windows, how)
        rebuilt, transfer = figures["reconstruction"], figures["transfer"]
        return {
            "reconstruction_psnr": rebuilt["psnr"],
            "reconstruction_ssim": rebuilt["ssim"],
            "within_clip_psnr": transfer["psnr"],
        }

    def draw(step: int, functions: Functions) -> Figures:
        if jax.process_index() == 0:
            video_gallery.draw(
                functions,
                windows,
                workdir / report.PICTURES / str(step),
                config.eval.seed,
                config.eval.batch_size,
                windows.fps,
                synthetic.mark(config.data),
            )
        return {}

    return watching.watch(config, quick, draw)


def load(config: Config, split: str, count: int) -> VideoWindows:
    """`count` windows of a split (0: all).

    What was prepared is cut into windows of as many frames as training shows the encoder, each
    frame in one of them; frames that are too few for another window are left out. Where fewer than
    all are wanted, they are all windows of some of the prepared ones, spread over the split, so
    that there are several of a clip.

    Raises:
        UserError: there is no video of this split, or it is too short or not of the model's size.
    """
    folder, frames = config.data.data_dir, frames_shown(config)
    stored = video_folder.stored_frames(folder, split)
    if stored < frames:
        raise UserError(f"{folder}: windows of {stored} frames, where the model reads {frames}")
    limit = -(-count // (stored // frames)) if count else None
    windows = video_folder.load_windows(folder, split, limit, with_latents=False)
    if windows.video is None or not len(windows.video):
        raise UserError(f"{folder}: holds no video of the {split} split")
    size = config.model.latents.size[:2]
    if windows.video.shape[2:4] != tuple(size):
        height, width = windows.video.shape[2:4]
        raise UserError(
            f"{folder}: frames of {width}x{height}, where the model takes {size[1]}x{size[0]}"
        )
    return cut(windows, frames, count or None)


def cut(windows: VideoWindows, frames: int, count: int | None = None) -> VideoWindows:
    """Windows of `frames` frames out of longer ones, the first `count` of them (None: all)."""
    assert windows.video is not None
    parts = windows.video.shape[1] // frames
    row, part = np.divmod(np.arange(parts * len(windows.video))[:count], parts)
    # Frames of a window may lie further apart than those of its clip.
    seconds = (windows.end - windows.start)[row] / windows.video.shape[1] * frames
    start = windows.start[row] + part * seconds
    video = np.stack(
        [windows.video[r, p * frames : (p + 1) * frames] for r, p in zip(row, part, strict=True)]
    )
    return VideoWindows(
        video=video,
        latents=None,
        clip=windows.clip[row],
        identity=windows.identity[row],
        start=start.astype(np.float32),
        end=(start + seconds).astype(np.float32),
        fps=windows.fps,
    )
