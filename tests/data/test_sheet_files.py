"""Sprite sheets: cut, scaled, laid on a ground; round trips through files."""

import numpy as np
import pytest
from PIL import Image

from vdd.data import sheet_files
from vdd.data.picture_files import with_ground
from vdd.data.sheet_files import LPC, Layout
from vdd.data.universal_lpc import MOTIONS, NUM_CELLS
from vdd.errors import UserError

GREY = (96, 96, 96)


def drawn(count, height=64, width=64, seed=0):
    """Cells in whose middle is a block of colours, opaque, with one translucent pixel, RGBA."""
    rng = np.random.default_rng(seed)
    cells = np.zeros((count, height, width, 4), np.uint8)
    middle = cells[:, height // 4 : -height // 4, width // 4 : -width // 4]
    middle[..., :3] = rng.integers(0, 256, middle[..., :3].shape)
    middle[..., 3] = 255
    cells[:, height // 2, width // 2, 3] = 100
    return cells


def picture(cells, layout, places, size=None, empty=(0, 0, 0, 0)):
    """A picture that has cells at some places of a grid, and else nothing."""
    height, width = layout.cell or cells.shape[1:3]
    top, left = layout.at
    whole = size or (top + layout.rows * height, left + layout.columns * width)
    pixels = np.full((*whole, 4), empty, np.uint8)
    for cell, place in zip(cells, places):
        row, column = divmod(int(place), layout.columns)
        y, x = top + row * height, left + column * width
        pixels[y : y + height, x : x + width] = cell
    return pixels


def save(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


def test_an_animation_is_no_sheet(tmp_path):
    frames = [Image.new("RGBA", (832, 1344), (n, 0, 0, 255)) for n in (9, 200)]
    for ending in (".png", ".webp"):
        path = tmp_path / f"a{ending}"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
        assert not sheet_files.is_lpc(path)
        with pytest.raises(UserError, match="is animated"):
            sheet_files.read_sheet(path, LPC)
        frames[0].save(path)
        assert sheet_files.is_lpc(path)


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("lpc", Layout(13, 21, (64, 64))),
        ("8x1", Layout(8, 1)),
        ("8x2:32", Layout(8, 2, (32, 32))),
        ("8x2:48x32+5+7", Layout(8, 2, (32, 48), (7, 5))),
        ("3x1+2+0", Layout(3, 1, None, (0, 2))),
    ],
)
def test_layouts_are_columns_by_rows_and_width_by_height(text, layout):
    assert sheet_files.parse(text) == layout


@pytest.mark.parametrize("text", ["", "8", "0x1", "8x1:0", "8x1:", "lpc:64", "8x1+3", "x", "-1x2"])
def test_what_is_no_layout_is_told_with_those_there_are(text):
    with pytest.raises(UserError, match=r"take lpc, COLSxROWS or COLSxROWS:CELL\+X\+Y"):
        sheet_files.parse(text)


@pytest.mark.parametrize("text", ["4x3:16", "4x3", "4x3:16x24+5+9", "4x3+5+9"])
def test_a_sheet_comes_back_as_it_was_laid_out(tmp_path, text):
    layout = sheet_files.parse(text)
    height, width = layout.cell or (24, 20)
    cells, places = drawn(5, height, width), np.array([0, 3, 4, 7, 11])
    file = save(tmp_path / "sheet.png", picture(cells, layout, places))
    sheet = sheet_files.read_sheet(file, layout)
    np.testing.assert_array_equal(sheet.places, places)
    np.testing.assert_array_equal(sheet.cells, cells)
    assert sheet.ground is None


def test_an_opaque_sheet_is_read_by_its_flat_colour(tmp_path):
    layout, places, pink = Layout(4, 3, (16, 16)), np.array([1, 2, 6]), (255, 0, 255)
    cells = np.stack([np.dstack([with_ground(x, pink), x[..., 3] | 255]) for x in drawn(3, 16, 16)])
    pixels = picture(cells, layout, places, empty=(*pink, 255))[..., :3]
    sheet = sheet_files.read_sheet(save(tmp_path / "sheet.png", pixels), layout)
    assert sheet.ground == pink
    np.testing.assert_array_equal(sheet.places, places)
    np.testing.assert_array_equal(sheet.cells, cells)
    content = sheet_files.as_clip(sheet, (20, 20), GREY)
    assert tuple(content.video[0, 0, 0]) == pink, "what is added is of the same colour"
    assert "(255, 0, 255)" in content.told


def test_without_a_flat_colour_no_cell_is_empty(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 64, 3), np.uint8)
    sheet = sheet_files.read_sheet(save(tmp_path / "a.png", pixels), Layout(4, 1))
    assert sheet.ground is None
    assert len(sheet.cells) == 4


def test_of_the_lpc_layout_the_cells_in_use_are_read_and_more_below_is_not(tmp_path):
    # Cell 6 of the first row is the last of `spellcast`; the next one is not in use.
    first = next(row for row, motion in enumerate(MOTIONS) if motion.name == "slash_left")
    places = np.array([6, 7, 13 * first + 5, 13 * 20])
    cells = drawn(4)
    pixels = picture(cells, LPC, places, size=(1344 + 256, 832))
    pixels[1400] = 255
    file = save(tmp_path / "sheet.png", pixels)
    assert not sheet_files.is_lpc(file)
    sheet = sheet_files.read_sheet(file, LPC)
    np.testing.assert_array_equal(sheet.places, places[[0, 2, 3]])
    np.testing.assert_array_equal(sheet.cells, cells[[0, 2, 3]])
    assert sheet_files.is_lpc(save(tmp_path / "exact.png", pixels[:1344]))


def test_every_cell_in_use_is_found(tmp_path):
    pixels = np.full((1344, 832, 4), 255, np.uint8)
    pixels[0, 0, 3] = 0
    sheet = sheet_files.read_sheet(save(tmp_path / "a.png", pixels), LPC)
    assert len(sheet.cells) == NUM_CELLS


@pytest.mark.parametrize("by", [1, 2, 3])
def test_art_enlarged_by_a_whole_number_comes_back_as_it_was_drawn(by):
    cells = drawn(2, 20, 20)
    large = cells.repeat(by, axis=1).repeat(by, axis=2)
    again, told = sheet_files.fit(large, (20, 20))
    shown = cells[..., 3] > 0
    np.testing.assert_array_equal(again[..., 3], cells[..., 3])
    np.testing.assert_array_equal(again[shown], cells[shown])
    assert told == ("" if by == 1 else f"scaled by 1/{by}")


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((32, 32), "scaled by 2"),
        ((10, 9), "scaled by 6 and padded to 64x64"),
        ((48, 64), "padded to 64x64"),
        ((65, 10), "scaled by 1/2 and padded to 64x64"),
        ((64, 64), ""),
    ],
)
def test_cells_of_any_size_fit_with_the_figure_in_the_middle(size, told):
    cells = np.full((1, *size, 4), 255, np.uint8)
    fitted, said = sheet_files.fit(cells, (64, 64))
    assert fitted.shape == (1, 64, 64, 4)
    assert said == told
    shown = fitted[0, ..., 3] > 0
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    for at in (rows, columns):
        assert abs(at[0] - (63 - at[-1])) <= 1


def test_colours_of_what_cannot_be_seen_do_not_bleed_into_what_can():
    cell = np.zeros((1, 4, 4, 4), np.uint8)
    cell[..., 0] = 255  # red, and nowhere seen
    cell[0, :2, :2] = (0, 0, 200, 255)
    cell[0, 0, 0, 3] = 0
    fitted, _ = sheet_files.fit(cell, (2, 2))
    assert fitted[0, 0, 0].tolist() == [0, 0, 200, 191]
    assert not fitted[0, 1, 1, 3]


@pytest.mark.parametrize("ground", [GREY, None])
def test_a_model_gets_alpha_or_its_ground(ground):
    cells = drawn(3)
    cells[..., :3][cells[..., 3] == 0] = 77  # a colour that cannot be seen
    sheet = sheet_files.Sheet(cells, np.arange(3), None, LPC)
    video = sheet_files.as_clip(sheet, (64, 64), ground).video
    opaque, clear = cells[..., 3] == 255, cells[..., 3] == 0
    np.testing.assert_array_equal(video[opaque][:, :3], cells[opaque][:, :3])
    if ground is None:
        np.testing.assert_array_equal(video[..., 3], cells[..., 3])
        assert not video[clear].any()
    else:
        assert (video[clear] == 96).all()
        mixed = (100 * cells[0, 32, 32, :3].astype(int) + 155 * 96) / 255
        assert np.abs(video[0, 32, 32] - mixed).max() <= 1


@pytest.mark.parametrize("count", [1, 5, 16, 17, 178])
def test_of_many_cells_some_are_taken_evenly(count):
    taken = sheet_files.spread(count, 16)
    assert len(taken) == len(set(taken)) == min(count, 16)
    assert taken[0] == 0
    steps = np.diff([*taken, count])
    assert steps.max() - steps.min() <= 1


def broken(folder):
    """Files and layouts that must end in one line, by a word of it."""
    fine = drawn(1, 16, 16)[0]
    save(folder / "fine.png", fine)
    save(folder / "empty.png", np.zeros((16, 16, 4), np.uint8))
    data = (folder / "fine.png").read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "text.png").write_text("no picture")
    np.save(folder / "clip.npy", np.zeros((2, 8, 8, 3), np.uint8))
    return {
        "16x16 pixels are not 3x1 cells of one size": ("fine.png", "3x1"),
        "are not 1x1 cells of one size": ("fine.png", "1x1+16+0"),
        "cells of 8x8, which need 24x8": ("fine.png", "3x1:8"),
        "which need 17x16": ("fine.png", "1x1:16+1+0"),
        "13x21 cells of 64x64": ("fine.png", "lpc"),
        "nothing|no cell": ("empty.png", "2x2"),
        "cut.png: cannot be read": ("cut.png", "1x1"),
        "text.png: .*not a picture": ("text.png", "1x1"),
        "one still picture": ("clip.npy", "1x1"),
        "none.png: no such file": ("none.png", "1x1"),
    }


def test_every_mistake_is_one_line_that_names_the_file(tmp_path):
    for words, (name, layout) in broken(tmp_path).items():
        with pytest.raises(UserError, match=words) as told:
            sheet_files.read_sheet(tmp_path / name, sheet_files.parse(layout))
        assert str(told.value).startswith(f"{tmp_path / name}: ")
        assert "\n" not in str(told.value)
        assert not sheet_files.is_lpc(tmp_path / name)
