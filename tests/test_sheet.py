"""A whole sheet: what is kept, what is made up, and the files beside it."""

import json
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import vdd
from vdd import cli, motions, priors, runs, sheet
from vdd.data import palettes, sheet_files, video_io
from vdd.data.sheet_files import LPC
from vdd.data.universal_lpc.sheets import GRID, MOTIONS, NUM_CELLS
from vdd.errors import UserError


def vdd_command(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def add_motions(path):
    """Random codes for the 21 motions."""
    run, rng = vdd.load(path), np.random.default_rng(0)
    book = run.model.quantizer.codebook
    named = {
        m.name: motions.Motion(
            m.name, 8.0, m.loop_from,
            rng.integers(0, book.num_codes, (m.frames, book.num_groups)).astype(np.int32), 1.0,
        )
        for m in MOTIONS
    }  # fmt: skip
    library = motions.Library("lpc", priors.source_of(run, path), 1, named)
    motions.write(library, runs.find(path))
    return path


@pytest.fixture(scope="module", params=["lpc_run", "lpc_alpha_run"])
def place(request, tmp_path_factory):
    """A folder with `run`, which has motions."""
    folder = tmp_path_factory.mktemp("sheets")
    shutil.copytree(request.getfixturevalue(request.param), folder / "run")
    add_motions(folder / "run")
    return folder


@pytest.fixture(scope="module")
def run(place):
    return vdd.load(place / "run")


KNOWN = [0, 1, 6, 90, 177]  # of the 178 cells


def lpc_picture(cells):
    """A sheet with random opaque cells at some of the 178 places, else transparent."""
    rng, grid = np.random.default_rng(1), np.zeros((273, 64, 64, 4), np.uint8)
    for cell in cells:
        grid[GRID[cell], 8:-8, 8:-8] = rng.integers(0, 256, (48, 48, 4))
        grid[GRID[cell], 8, 8, 3] = 255
    return grid.reshape(21, 13, 64, 64, 4).swapaxes(1, 2).reshape(1344, 832, 4)


def cells_of(path):
    """The 178 cells of a sheet in a file."""
    with Image.open(path) as image:
        assert image.size == (832, 1344)
        assert image.mode == "RGBA"
        pixels = np.asarray(image)
    grid = pixels.reshape(21, 64, 13, 64, 4).swapaxes(1, 2).reshape(273, 64, 64, 4)
    unused = np.delete(grid, GRID, axis=0)
    assert not unused.any(), "nothing is drawn where no cell is in use"
    return grid[GRID]


def drawn_alone(run, content):
    """Every motion drawn by itself, all cells [178 h w c]."""
    tokens = run.encode(content[None]).content
    parts = [run.decode(tokens, run.motions[m.name][None], steps=0)[0] for m in MOTIONS[:2]]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def made(place, run, request):
    """The files of a sheet from five cells, and what the command said."""
    Image.fromarray(lpc_picture(KNOWN)).save(place / "idle.png")
    arguments = ["sheet", place / "run", "--content", place / "idle.png", "--steps", 0]
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words, **_: said.append(" ".join(map(str, words))))
        assert cli.main([*map(str, arguments), "--out", str(place / "hero.png")]) == 0
    return place, "\n".join(said)


def test_given_cells_are_kept_to_the_pixel_and_the_others_drawn(run, made):
    place, said = made
    cells, given = cells_of(place / "hero.png"), cells_of(place / "idle.png")
    np.testing.assert_array_equal(cells[KNOWN], given[KNOWN])
    assert "5 cells as they were given, 173 made up" in said
    alpha = run.model.latents.size[2] == 4
    assert ("knows no alpha" in said) == (not alpha)
    others = np.delete(np.arange(NUM_CELLS), KNOWN)
    assert alpha or (cells[others][..., 3] == 255).all()
    # The first two motions, each drawn by itself.
    content = sheet_files.read_clip(
        place / "idle.png", (64, 64), run.ground, LPC, run.windows[0]
    ).video
    alone = drawn_alone(run, content)
    channels = run.model.latents.size[2]
    shown = [cell for cell in others if cell < len(alone)]
    error = np.abs(cells[shown][..., :channels].astype(int) - alone[shown])
    assert error.max() <= 1  # another program


def test_aseprite_s_json_has_what_its_readers_need(made):
    place, _ = made
    told = json.loads((place / "hero.json").read_text())
    frames, meta = told["frames"], told["meta"]
    assert len(frames) == NUM_CELLS
    for frame, at in zip(frames, GRID):
        assert frame["frame"] == {"x": 64 * (at % 13), "y": 64 * (at // 13), "w": 64, "h": 64}
        assert frame["spriteSourceSize"] == {"x": 0, "y": 0, "w": 64, "h": 64}
        assert frame["sourceSize"] == {"w": 64, "h": 64}
        assert (frame["rotated"], frame["trimmed"]) == (False, False)
        assert frame["duration"] == 125
    assert len({frame["filename"] for frame in frames}) == NUM_CELLS
    assert [n for n, frame in enumerate(frames) if frame["given"]] == KNOWN
    assert meta["image"] == "hero.png"
    assert meta["size"] == {"w": 832, "h": 1344}
    assert meta["scale"] == "1"
    assert meta["format"] == "RGBA8888"
    assert {"app", "version"} <= meta.keys()
    tags = {tag["name"]: (tag["from"], tag["to"], tag["direction"]) for tag in meta["frameTags"]}
    assert len(tags) == 21
    assert tags["spellcast_up"] == (0, 6, "forward")
    assert tags["hurt_down"] == (172, 177, "forward")
    walk = next(motion for motion in MOTIONS if motion.name == "walk_left")
    assert tags["walk_left"] == (walk.first + 1, walk.first + 8, "forward"), "the cycle alone"
    for name, (first, last, _) in tags.items():
        named = {frames[n]["filename"].partition(" ")[0] for n in range(first, last + 1)}
        assert named == {name}


def test_tiled_s_tile_set_has_what_tiled_needs(made):
    place, _ = made
    root = ElementTree.parse(place / "hero.tsx").getroot()
    assert root.tag == "tileset"
    numbers = {key: int(root.attrib[key]) for key in ("tilewidth", "tileheight", "columns")}
    assert numbers == {"tilewidth": 64, "tileheight": 64, "columns": 13}
    assert root.attrib["tilecount"] == "273"
    assert root.attrib["name"] == "hero"
    assert re.fullmatch(r"1\.\d+", root.attrib["version"])
    (image,) = root.findall("image")
    assert image.attrib == {"source": "hero.png", "width": "832", "height": "1344"}
    played = {}
    for tile in root.findall("tile"):
        assert [child.tag for child in tile] == ["properties", "animation"]
        (name,) = tile.findall("properties/property")
        frames = tile.findall("animation/frame")
        assert {frame.attrib["duration"] for frame in frames} == {"125"}
        played[name.attrib["value"]] = [int(frame.attrib["tileid"]) for frame in frames]
        assert int(tile.attrib["id"]) == played[name.attrib["value"]][0]
    rows = {motion.name: row for row, motion in enumerate(MOTIONS)}
    assert played.keys() == rows.keys()
    assert played["slash_down"] == [13 * rows["slash_down"] + n for n in range(6)]
    assert played["walk_up"] == [13 * rows["walk_up"] + n for n in range(1, 9)]


def test_the_preview_shows_every_cell(run, made):
    place, _ = made
    shown = video_io.read_clip(place / "hero.gif", ground=None)
    assert shown.shape == (NUM_CELLS, 64, 64, 4)
    cells = cells_of(place / "hero.png")
    # A gif has one palette for all: a frame is nearest to the cell that it shows.
    for cell in KNOWN:
        off = np.abs(cells.astype(int) - shown[cell]).mean((1, 2, 3))
        assert np.argmin(off) == cell


def test_a_whole_sheet_comes_back_as_it_is(run, place):
    pixels = lpc_picture(range(NUM_CELLS))
    Image.fromarray(pixels).save(place / "whole.png")
    given = sheet_files.read_sheet(place / "whole.png", LPC)
    drawn = sheet.draw(run, np.zeros((1, 64, 64, 3), np.uint8), given)
    assert drawn.given.all()
    np.testing.assert_array_equal(sheet.picture(drawn), pixels)


def few_colours(channels):
    """A content of four colours; with alpha two of them are seen."""
    frame = np.full((1, 64, 64, channels), 200, np.uint8)
    frame[:, :32, :32], frame[:, 32:, 32:], frame[:, 40:50, 5:9] = 30, 90, 250
    if channels == 4:
        frame[..., 3] = np.where(frame[..., 0] > 100, 255, 0)
    return frame


def test_a_palette_holds_for_what_is_made_up(run, place, capsys):
    content = few_colours(run.model.latents.size[2])
    drawn = sheet.draw(run, content, colours=5, steps=0)
    shown = drawn.cells[..., : content.shape[-1]]
    assert 2 <= len(palettes.colours_of(shown)) <= 5
    np.save(place / "content.npy", content)
    arguments = ["sheet", place / "run", "--content", place / "content.npy", "--steps", 0]
    arguments += ["--palette", "from-content", "--out", place / "few.png"]
    status, said, _ = vdd_command(capsys, *arguments)
    assert status == 0
    assert "all 178 cells made up" in said
    shown = cells_of(place / "few.png")[..., : content.shape[-1]]
    found = {tuple(colour) for colour in palettes.colours_of(shown)}
    assert found <= {tuple(colour) for colour in palettes.colours_of(content)}


def test_around_a_figure_there_is_nothing_whatever_colours_were_given(run):
    channels = run.model.latents.size[2]
    if channels == 3:
        pytest.skip("a model without alpha")
    opaque = np.array([[30, 20, 10, 255], [250, 250, 250, 255]], np.uint8)
    drawn = sheet.draw(run, few_colours(4), colours=opaque, steps=0)
    hidden = drawn.cells[..., 3] == 0
    plain = sheet.draw(run, few_colours(4), steps=0).cells[..., 3]
    assert hidden.any()
    assert plain[hidden].max() < 128 < plain[~hidden].min() + 128


def test_nothing_of_somebody_else_s_is_replaced_and_mistakes_are_one_line(
    place, tiny_run, lpc_run, capsys
):
    np.save(place / "still.npy", np.zeros((1, 64, 64, 3), np.uint8))
    (place / "theirs.tsx").write_text("theirs")
    common = ["sheet", place / "run", "--content", place / "still.npy", "--out"]
    for arguments, words in (
        ([*common, place / "theirs.png"], "theirs.tsx: already there"),
        ([*common, place / "hero.gif"], "ends in .png"),
        ([*common, place / "x.png", "--palette", "1"], "not from-content, nor from 2 to 256"),
        (["sheet", lpc_run, *common[2:], place / "x.png"], "vdd motions"),
        (["sheet", tiny_run, *common[2:], place / "x.png"], "this model draws 16x16"),
        ([*common[:2], "--content", place / "x.png", "--out", place / "x.png"], "is read, and"),
    ):
        if "is read" in words:
            Image.fromarray(lpc_picture([0])).save(place / "x.png")
        status, _, complained = vdd_command(capsys, *arguments)
        assert (status, complained.count("\n")) == (2, 1), complained
        assert words in complained
    assert (place / "theirs.tsx").read_text() == "theirs"
    assert not (place / "theirs.png").exists()


def test_motions_of_another_length_are_no_sheet(run):
    class Short:
        model, motions = run.model, {name: codes[:-1] for name, codes in run.motions.items()}

    with pytest.raises(UserError, match="spellcast_up has 6 frames, not 7"):
        sheet.draw(Short(), np.zeros((1, *run.model.latents.size), np.uint8))
