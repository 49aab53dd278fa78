"""Whole sprite sheets: a character in all motions of the Universal LPC layout.

From a few frames of it:

    run = vdd.load("RUN")
    drawn = sheet.draw(run, frames)
    sheet.write(drawn, "hero.png")
"""

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from einops import rearrange
from etils import epath
from jaxtyping import Bool, UInt8
from PIL import Image

from vdd import files
from vdd.data import encoders, palettes, sheet_formats
from vdd.data.picture_files import Ground, with_ground
from vdd.data.sheet_files import LPC, Sheet
from vdd.data.sheet_formats import Animation, Picture
from vdd.data.universal_lpc.sheets import FPS, GRID, MOTIONS, NUM_CELLS, SIZE
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.run import Run

ENDINGS = (".png", ".gif", ".json", ".tsx")


class Drawn(NamedTuple):
    """All cells of a sheet in use, motion by motion."""

    cells: UInt8[np.ndarray, "178 64 64 4"]  # straight alpha
    given: Bool[np.ndarray, "178"]  # which of them were given; the others are made up
    ground: Ground | None  # on which those that are made up stand; None: they have alpha


def draw(
    run: Run,
    content: UInt8[np.ndarray, "t h w c"],
    given: Sheet | None = None,
    colours: int | palettes.Palette | None = None,
    sampler: Sampler | str = "sampler",
    steps: int | None = None,
    seed: int = 0,
) -> Drawn:
    """Draws a character in all motions of an LPC sheet, by the codes of the run's named motions.

    Args:
        run: a `vdd.run.Run` of Universal LPC, with its motions (`vdd motions`).
        content: frames that show the character, at the size and with the channels of the model.
        given: a sheet, of which cells are kept as they are if it has the LPC layout.
        colours: of the cells that are made up: so many (2 to 256), or a palette; None leaves them.
        sampler: as for `Run.decode`, and so are `steps` and `seed`.
        steps: of the sampler.
        seed: of the noise.

    Returns:
        the cells; those in which nothing is given are made up.

    Raises:
        UserError: the model draws no cells of 64x64, the run has no such motions, or as
            `Run.encode` and `Run.decode`.
    """
    _check(run)
    known = np.zeros(NUM_CELLS, bool)
    cells = np.zeros((NUM_CELLS, SIZE, SIZE, 4), np.uint8)
    if given is not None and given.layout == LPC:
        known[np.searchsorted(GRID, given.places)] = True
        cells[known] = given.cells
    if known.all():
        return Drawn(cells, known, run.ground)
    made = _make_up(run, content, known, (sampler, steps, seed))[~known]
    if colours is not None:
        palette = palettes.quantized(made, colours) if isinstance(colours, int) else colours
        if made.shape[-1] == 4:  # around the figure there is nothing, whatever was given
            palette = np.concatenate([palette, np.zeros((1, 4), np.uint8)])
        made = palettes.snap(made, palette)
    cells[~known] = [with_ground(cell, None) for cell in made]
    return Drawn(cells, known, run.ground)


def _check(run: Run) -> None:
    height, width, _ = run.model.latents.size
    if (height, width) != (SIZE, SIZE):
        raise UserError(f"a sheet has cells of {SIZE}x{SIZE}; this model draws {width}x{height}")
    for motion in MOTIONS:
        codes = run.motions.get(motion.name, ())
        if len(codes) != motion.frames:
            raise UserError(
                f"the motions of this run are not those of a sheet: {motion.name} has"
                f" {len(codes)} frames, not {motion.frames}"
            )


def _make_up(
    run: Run, content: np.ndarray, known: np.ndarray, how: tuple[Sampler | str, int | None, int]
) -> UInt8[np.ndarray, "178 64 64 c"]:
    """The cells of all motions of which any is not known; others stay empty."""
    rows = [m for m in MOTIONS if not known[m.first :][: m.frames].all()]
    # One program for all of them: each is held at its end.
    longest = max(motion.frames for motion in rows)
    held = [np.minimum(np.arange(longest), motion.frames - 1) for motion in rows]
    codes = np.stack([run.motions[m.name][frames] for m, frames in zip(rows, held)])
    tokens = run.encode(content[None]).content
    video = run.decode(np.repeat(tokens, len(rows), axis=0), codes, *how)
    made = np.zeros((NUM_CELLS, *video.shape[2:]), np.uint8)
    for motion, drawn in zip(rows, video):
        made[motion.first :][: motion.frames] = drawn[: motion.frames]
    return made


def picture(drawn: Drawn) -> UInt8[np.ndarray, "1344 832 4"]:
    """The sheet; places that are not in use are transparent."""
    grid = np.zeros((LPC.rows * LPC.columns, SIZE, SIZE, 4), np.uint8)
    grid[GRID] = drawn.cells
    return rearrange(grid, "(r c) h w k -> (r h) (c w) k", r=LPC.rows)


def outputs(out: epath.PathLike) -> list[epath.Path]:
    """The files that `write` writes: the sheet, and beside it a preview and two descriptions.

    Raises:
        UserError: the name does not end in .png.
    """
    path = files.expand(out)
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: a sheet is a file that ends in .png")
    return [path, *(path.with_suffix(ending) for ending in ENDINGS[1:])]


def write(
    drawn: Drawn, out: epath.PathLike, fps: float = FPS, overwrite: bool = False
) -> list[epath.Path]:
    """Writes the sheet, all motions as a GIF, Aseprite's JSON and Tiled's TSX; the files.

    Args:
        drawn: the cells.
        out: the sheet, PNG; the others have the same name with other endings.
        fps: frames a second of every motion.
        overwrite: replace files that this tool did not write.

    Raises:
        UserError: they cannot be written.
    """
    paths = outputs(out)
    described = Picture(paths[0].name, LPC, _animations(), fps)
    # Cells that are given may have alpha where the others have none.
    shown = np.stack([with_ground(cell, drawn.ground) for cell in drawn.cells])
    buffer = io.BytesIO()
    Image.fromarray(picture(drawn)).save(buffer, "PNG")
    texts = (
        buffer.getvalue(),
        encoders.gif(shown, fps),
        sheet_formats.aseprite(described, drawn.given.tolist()),
        sheet_formats.tiled(described, paths[0].stem),
    )
    for path, data in zip(paths, texts):
        files.write(path, data, overwrite)
    return paths


def _animations() -> Sequence[Animation]:
    return [
        Animation(motion.name, GRID[motion.first :][: motion.frames].tolist(), motion.loop_from)
        for motion in MOTIONS
    ]
