"""Evaluation of a run on Universal LPC: `protocol.evaluate` over a split, pictures and page."""

import einops
import numpy as np
from etils import epath
from jaxtyping import UInt8
from PIL import Image

from vdd import errors
from vdd.config import Config
from vdd.data.universal_lpc import SPLITS, Art, Clips, Settings, draw_clips, load_art
from vdd.data.universal_lpc.prepared import num_clips
from vdd.errors import SettingError
from vdd.evaluation import gallery, watching
from vdd.evaluation.evaluation import Evaluation
from vdd.evaluation.inference import Functions, clip_keys, encode_clips
from vdd.evaluation.measure import measure_of
from vdd.evaluation.universal_lpc import page, protocol
from vdd.evaluation.universal_lpc.ground import on_grey
from vdd.run import frames_shown
from vdd.training.loop import Hook
from vdd.values import Figures

__all__ = ["SPLITS", "check", "evaluate", "hooks"]

_SHOWN = 6  # swaps of a picture
_PICTURE_STREAM = 2  # of random keys


def check(settings: Config) -> None:
    """Raise a UserError for settings (the config's `eval`) that the protocol cannot have."""
    errors.at_least(2, settings, "quick_pairs")
    if settings["num_clips"] == 1:
        raise SettingError("num_clips=1: swaps need num_clips of 2 or more (0: all)")


def evaluate(config: Config, step: int, functions: Functions, split: str) -> Evaluation:
    """Reconstructions and swaps of the clips of a split.

    Raises:
        UserError: no art to measure on.
    """
    art, settings = load_art(config.data.art_dir), config.eval
    clips = _clips(art, config, split, settings.num_clips)
    figures = protocol.evaluate(
        functions,
        clips,
        protocol.truth_of(art, clips.video.shape[-1]),
        measure_of(config, step, split),
    )

    def draw(folder: epath.Path) -> list[gallery.Picture]:
        picture = swaps(functions, art, clips, settings.seed, settings.batch_size)
        gallery.write_png(folder / "swaps.png", Image.fromarray(picture))
        caption = (
            "Content, driving clip, what it ought to show, what it shows; a swap in four rows."
        )
        return [gallery.Picture("swaps.png", caption)]

    return Evaluation(figures, page.sections(figures), draw)


def hooks(config: Config, workdir: epath.Path) -> list[Hook]:
    """What a training does on schedule: swaps measured, and drawn.

    Both look at the averaged parameters, on clips of the validation split.
    """
    art, size, seed = load_art(config.data.art_dir), config.eval.batch_size, config.eval.seed
    clips = _clips(art, config, "validation", config.eval.quick_pairs)
    truth = protocol.Truth(protocol.drawer(art, clips.video.shape[-1]), art.wardrobe)

    def quick(step: int, functions: Functions) -> Figures:
        how = measure_of(config, step, "validation")._replace(show_progress=False)
        figures = protocol.evaluate(functions, clips, truth, how, quick=True)
        kinds = (("swap", figures["transfer"]), ("reconstruction", figures["reconstruction"]))
        named = {f"{kind}_{key}": x for kind, part in kinds for key, x in part.items()}
        rate, parts = figures["bitrate"], figures["parts"]["mean"]
        bits = rate["joint_entropy_bits_per_frame"]
        return {**named, "swap_parts": parts, "joint_bits_per_frame": bits}

    def draw(step: int, functions: Functions) -> Figures:
        drawn = swaps(functions, art, clips, seed, size)
        return watching.picture(workdir, step, drawn, "swaps")

    return watching.watch(config, quick, draw)


def swaps(
    functions: Functions, art: Art, clips: Clips, seed: int, batch_size: int
) -> UInt8[np.ndarray, "h w 3"]:
    """Some swaps: content, driving clip, truth and result, each a row of frames."""
    rows = np.arange(_SHOWN) % len(clips.video)
    partner = protocol.partners(len(clips.video), seed)[rows]
    encoded = encode_clips(
        functions, clips.video[np.concatenate([rows, partner])], batch_size, show_progress=False
    )
    keys = clip_keys(seed, _PICTURE_STREAM, rows)
    made = functions.sample(keys, encoded.content[: len(rows)], encoded.motion[len(rows) :])
    draw = protocol.drawer(art, clips.video.shape[-1])
    truth = [draw(clips.parts[row], clips.cell[other]) for row, other in zip(rows, partner)]
    parts = (clips.video[rows], clips.video[partner], np.stack(truth), np.asarray(made))
    return einops.rearrange(on_grey(np.stack(parts)), "k n t h w c -> (n k h) (t w) c")


def _clips(art: Art, config: Config, split: str, count: int) -> Clips:
    """Clips as long as training shows them to the encoder."""
    # Whatever a training sees, truths are drawn on grey, in the art's own colours.
    settings = Settings(frames_shown(config), config.data.channels, "grey")
    return draw_clips(art, settings, split, count or num_clips(config.data, split))
