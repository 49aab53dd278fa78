"""Sprite sheets as content of the commands, for models with and without alpha."""

import numpy as np
import pytest
import tiny
from PIL import Image

import vdd
from vdd import cli
from vdd.data import video_io

GREY = (96, 96, 96)


def vdd_command(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def lpc_sheet(places, seed=0):
    """A sheet in the LPC layout with random blocks at some (row, column), else transparent."""
    pixels = np.zeros((1344, 832, 4), np.uint8)
    rng = np.random.default_rng(seed)
    for row, column in places:
        block = pixels[64 * row + 8 :, 64 * column + 8 :][:48, :48]
        block[..., :3], block[..., 3] = rng.integers(0, 256, (48, 48, 3)), 255
    return pixels


@pytest.fixture(params=["lpc_run", "lpc_alpha_run"])
def any_run(request):
    return request.getfixturevalue(request.param)


PLACES = ((0, 0), (0, 1), (13, 4))


@pytest.fixture
def place(tmp_path):
    """A driving clip; a sheet as a picture; its filled cells as a clip with alpha."""
    video_io.write_clip(tmp_path / "motion.npy", np.zeros((4, 64, 64, 3), np.uint8))
    sheet = lpc_sheet(PLACES)
    Image.fromarray(sheet).save(tmp_path / "sheet.png")
    cells = [sheet[64 * row :, 64 * column :][:64, :64] for row, column in PLACES]
    np.save(tmp_path / "cells.npy", np.stack(cells))
    Image.fromarray(np.concatenate(cells, axis=1)).save(tmp_path / "strip.png")
    return tmp_path


def transferred(capsys, run, place, *more):
    status, said, complained = vdd_command(
        capsys, "transfer", run, "--motion", place / "motion.npy", "--out", place / "out.npy",
        "--steps", 0, "--content", *more,
    )  # fmt: skip
    assert (status, complained) == (0, "")
    return said, np.load(place / "out.npy")


def test_a_sheet_shows_what_its_cells_show(any_run, place, capsys):
    channels = vdd.load(any_run).model.latents.size[2]
    said, expected = transferred(capsys, any_run, place, place / "cells.npy")
    assert expected.shape == (4, 64, 64, channels)
    said, found = transferred(capsys, any_run, place, place / "sheet.png")
    np.testing.assert_array_equal(found, expected)
    assert "sheet.png: 13x21 cells of 64x64, 3 filled\n" in said
    for layout in ("3x1", "3x1:64+0+0"):
        said, found = transferred(capsys, any_run, place, place / "strip.png", "--layout", layout)
        np.testing.assert_array_equal(found, expected)
    said, found = transferred(capsys, any_run, place, place / "strip.png")
    assert "scaled and cropped" in said, "without a layout it is a picture as any other"
    assert "of a sheet of cells say --layout" in said
    assert np.any(found != expected)


def test_frames_of_a_clip_say_how_many_cells_are_read(lpc_run, place, capsys):
    arguments = (place / "sheet.png", "--frames", 2)
    said, _ = transferred(capsys, lpc_run, place, *arguments)
    assert "3 filled; 2 of these are read, evenly" in said


def test_clips_stand_on_the_ground_of_the_data_or_keep_alpha(any_run, place):
    run = vdd.load(any_run)
    alpha = run.model.latents.size[2] == 4
    assert run.ground == (None if alpha else GREY)
    video = video_io.read_clip(place / "cells.npy", ground=run.ground)
    assert video[0, 0, 0].tolist() == ([0] * 4 if alpha else [96] * 3)


def test_black_is_the_ground_of_other_data(tiny_run):
    assert vdd.load(tiny_run).ground == (0, 0, 0)


def test_mistakes_are_one_line_before_any_model_is_loaded(place, capsys):
    for layout, words in (("5", "take lpc"), ("0x1", "take lpc")):
        status, _, complained = vdd_command(
            capsys, "transfer", "nowhere", "--motion", place / "motion.npy", "--out",
            place / "out.npy", "--content", place / "sheet.png", "--layout", layout,
        )  # fmt: skip
        assert (status, complained.count("\n")) == (2, 1)
        assert words in complained


def test_decoding_takes_a_sheet_for_another_content(tiny_run, tmp_path, capsys):
    np.save(tmp_path / "clip.npy", tiny.random_video(1, 3)[0])
    cells = tiny.random_video(1, 2, seed=1)[0]
    np.save(tmp_path / "cells.npy", cells)
    Image.fromarray(np.concatenate([*cells], axis=1)).save(tmp_path / "strip.png")
    run, coded, out = tiny_run, tmp_path / "clip.vdd", tmp_path / "out.npy"
    assert vdd_command(capsys, "encode", run, tmp_path / "clip.npy", "--out", coded)[0] == 0
    shown = []
    for content in (["cells.npy"], ["strip.png", "--layout", "2x1"]):
        given = ("--content", tmp_path / content[0], *content[1:])
        arguments = ("decode", run, coded, *given, "--out", out, "--steps", 0)
        assert vdd_command(capsys, *arguments)[::2] == (0, "")
        shown.append(np.load(out))
    np.testing.assert_array_equal(*shown)
    status, _, complained = vdd_command(
        capsys, "decode", run, coded, "--out", out, "--layout", "2x1"
    )
    assert (status, complained) == (2, "vdd: --layout is that of --content: give that, too\n")
