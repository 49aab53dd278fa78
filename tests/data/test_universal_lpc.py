"""Universal LPC: what is worn, what is drawn, who is in which split, and the batches of it."""

import io
import itertools
import os
import shutil
from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image
from tiny import load_module

from vdd.data import datasets, pipeline, workers
from vdd.data import universal_lpc as lpc
from vdd.data.universal_lpc import __main__ as command
from vdd.data.universal_lpc import art as art_module
from vdd.data.universal_lpc import (
    characters,
    clips,
    compositing,
    recolouring,
    scripts,
    sheets,
    wardrobe,
)  # fmt: skip
from vdd.errors import UserError
from vdd.method import cross_driving

# Read here, since the tests unset them. The real sheets take half a minute to decode: once will do.
REAL_ART_DIR, REAL_HOME = os.environ.get(lpc.ART_DIR_VARIABLE), os.environ.get("HOME", "")
GREY = (96, 96, 96, 255)
MODES = ("P", "LA", "RGBA")

# A collection as small as can be, with something held out in each slot where that can be.
NAMES = (
    *(f"body/{sex}/{skin}" for sex in ("male", "female") for skin in ("light", "dark", "orc")),
    *(f"body/{sex}/eyes/{colour}" for sex in ("male", "female") for colour in ("blue", "red")),
    *(f"legs/pants/{sex}/{kind}_pants" for sex in ("male", "female") for kind in ("red", "teal")),
    *(f"feet/shoes/{sex}/{kind}_shoes" for sex in ("male", "female") for kind in ("red", "maroon")),
    "torso/chain/mail_male",
    "torso/shirts/sleeveless/female/white_pirate",
    "torso/shirts/sleeveless/female/teal_pirate",
    "torso/back/cape/normal/female/cape_red",
    "torso/back/cape/normal/female/cape_blue",
    "behind_body/cape/normal/female/cape_red",
    "behind_body/cape/normal/female/cape_blue",
    *(f"hair/{sex}/{style}/red" for sex in ("male", "female") for style in ("pixie", "plain")),
    "facial/male/beard/red",
    "facial/male/frenchstache/red",
    "head/hoods/male/chain_hood_male",
    "head/caps/male/leather_cap_male",
    "hands/gloves/female/metal_gloves",
)  # fmt: skip
BESIDE = ("hair/male/pixie", "hair/male/plain/shadows-dark", "weapons/bow", "belt/cloth/male/white")


@pytest.fixture(scope="module", autouse=True)
def _cache_of_the_tests(tmp_path_factory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv(lpc.ART_DIR_VARIABLE, raising=False)
        yield


def sheet(seed: int, mode: str = "RGBA") -> Image.Image:
    """Blocks of 8 x 8 pixels: mostly holes, which have colours too, some opaque, a few between."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (168, 104, 4), np.uint8)
    if mode == "P":
        blocks = blocks[:5, :5].reshape(25, 4)[rng.integers(25, size=(168, 104))]
    kind = rng.random(blocks.shape[:2])
    blocks[..., 3] = np.where(kind < 0.95, np.where(kind < 0.8, 0, 255), blocks[..., 3])
    image = Image.fromarray(blocks.repeat(8, axis=0).repeat(8, axis=1))
    return image.quantize(255) if mode == "P" else image.convert(mode)


def save(folder: Path, name: str, image: Image.Image) -> None:
    path = folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, compress_level=1)


@pytest.fixture(scope="module")
def art_dir(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    for seed, (name, mode) in enumerate(zip((*NAMES, *BESIDE), itertools.cycle(MODES))):
        save(folder, name, sheet(seed, mode))
    return folder


@pytest.fixture(scope="module")
def art(art_dir) -> lpc.Art:
    return lpc.load_art(art_dir)


@pytest.fixture(scope="module")
def real() -> lpc.Art:
    if not REAL_ART_DIR:
        pytest.skip(f"needs the Universal LPC sheets: set {lpc.ART_DIR_VARIABLE} to their folder")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", REAL_HOME)
        return lpc.load_art(REAL_ART_DIR)


@pytest.fixture(params=["tiny", "real"])
def any_art(request) -> lpc.Art:
    return request.getfixturevalue("art" if request.param == "tiny" else "real")


def cell_of(image: Image.Image, cell: int) -> Image.Image:
    """A cell of a sheet, found by its action and direction, as the layout has them."""
    motion = scripts.MOTION_OF_CELL[cell]
    left, top = 64 * (cell - lpc.MOTIONS[motion].first), 64 * int(motion)
    return image.convert("RGBA").crop((left, top, left + 64, top + 64))


# What is worn.


@pytest.mark.parametrize(
    ("name", "slot", "sexes", "held_out"),
    [
        ("body/male/light", "body", ("male",), False),
        ("body/female/orc", "body", ("female",), True),
        ("body/male/red_orc", "body", ("male",), False),
        ("body/female/eyes/blue", "eyes", ("female",), False),
        ("body/male/ears/elvenears_dark", None, (), False),
        ("feet/slippers_female/gray", "feet", ("female",), False),
        ("feet/shoes/male/maroon_shoes_male", "feet", ("male",), True),
        ("legs/pants/female/teal_pants_female", "legs", ("female",), True),
        ("torso/gold/arms_male", "torso", ("male",), False),
        ("torso/shirts/longsleeve/male/teal_longsleeve", "torso", ("male",), True),
        ("torso/tunics/female/maroon_tunic", "torso", ("female",), True),
        ("torso/back/cape/trimmed/female/trimcape_whiteblue", "cape", ("female",), True),
        ("torso/back/cape/normal/female/cape_red", "cape", ("female",), False),
        ("behind_body/cape/normal/female/cape_red", None, (), False),
        ("hair/female/ponytail2/blue", "hair", ("female",), True),
        ("hair/female/ponytail/blue", "hair", ("female",), False),
        ("hair/female/ponytail", None, (), False),
        ("hair/male/plain/shadows-tannedbody", None, (), False),
        ("facial/male/frenchstache/black", "facial", ("male",), True),
        ("facial/male/mustache/black", "facial", ("male",), False),
        ("head/hoods/female/chain_hood_female", "head", ("female",), True),
        ("head/tiaras_female/gold", "head", ("female",), False),
        ("head/crown", "head", ("female", "male"), False),
        ("hands/gloves/male/golden_gloves_male", "hands", ("male",), True),
        ("weapons/left hand/male/shield", None, (), False),
        ("accessories/neck/capeclip/female/capeclip_blue", None, (), False),
    ],
)
def test_names_say_slot_sex_and_what_is_held_out(name, slot, sexes, held_out):
    part = wardrobe.part_of(name)
    assert (part and part.slot) == slot
    if part:
        assert (part.sexes, part.held_out) == (sexes, held_out)


def test_a_character_wears_what_it_must_of_one_sex(any_art):
    worn_of = {}
    for number in range(200):
        character = lpc.draw_character(any_art.wardrobe, 3, "train", number)
        worn = dict(zip(lpc.SLOTS, character))
        assert all(worn[slot] >= 0 for slot in ("body", "eyes", "legs", "feet", "torso"))
        parts = [any_art.wardrobe.parts[slot][n] for slot, n in worn.items() if n >= 0]
        assert set.intersection(*(set(part.sexes) for part in parts))
        assert len({"female" in part.name for part in parts}) == 1
        for slot, n in worn.items():
            worn_of.setdefault(slot, set()).add(int(n))
    assert all(-1 in worn_of[slot] for slot in ("hair", "hands", "cape", "facial", "head"))
    assert all(len(numbers) >= 2 for numbers in worn_of.values())


# Sheets.


def test_sheets_of_no_use_are_left_out_and_told(art_dir, tmp_path):
    folder = tmp_path / "collection"
    shutil.copytree(art_dir, folder)
    whole = (folder / "body/male/light.png").read_bytes()
    (folder / "hair/male/plain/truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "hair/male/plain/nothing.png").write_bytes(b"")
    with io.BytesIO() as file:
        sheet(4).save(file, "PNG", compress_level=0)
        broken = bytearray(file.getvalue())
    broken[len(broken) // 2] ^= 1  # one bit of one pixel
    (folder / "hair/male/plain/broken.png").write_bytes(broken)
    save(folder, "hair/male/plain/odd", Image.new("RGBA", (832, 1280)))
    save(folder, "hair/male/plain/empty", Image.new("RGBA", (832, 1344)))
    shutil.copy(folder / "hair/male/plain/red.png", folder / "hair/male/plain/twin.png")
    pixels = np.array(sheet(5))
    pixels[20 * 64 :] = 0
    save(folder, "hair/male/plain/upright", Image.fromarray(pixels))
    pixels = np.array(sheet(6))
    for row in (0, 4, 8, 12, 16):  # seen from behind: a beard is not
        pixels[row * 64 :][:64] = 0
    save(folder, "facial/male/beard/blue", Image.fromarray(pixels))
    save(folder, "behind_body/cape/normal/female/cape_blue", Image.new("RGBA", (1, 1)))
    found = lpc.load_art(folder)
    told = {
        "behind_body/cape/normal/female/cape_blue": "is 1 x 1",
        "hair/male/plain/broken": "cannot be read",
        "hair/male/plain/empty": "is empty",
        "hair/male/plain/nothing": "cannot be read",
        "hair/male/plain/odd": "is 832 x 1280",
        "hair/male/plain/truncated": "cannot be read",
        "hair/male/plain/twin": "is as hair/male/plain/red.png",
        "hair/male/plain/upright": "lacks hurt (down)",
        "torso/back/cape/normal/female/cape_blue": "has nothing behind the body",
    }
    assert len(found.left_out) == len(told)
    for line, (name, why) in zip(found.left_out, told.items()):
        assert line.startswith(f"{name}.png {why}")
        assert "\n" not in line
    names = [part.name for parts in found.wardrobe.parts.values() for part in parts]
    assert "facial/male/beard/blue" in names
    assert not {f"{name}.png" for name in names} & {line.split()[0] for line in found.left_out}


def test_templates_shadows_and_weapons_are_no_parts(art):
    names = {part.name for parts in art.wardrobe.parts.values() for part in parts}
    assert names == {name for name in NAMES if not name.startswith("behind_body")}
    assert art.left_out == ()


@pytest.mark.parametrize("mode", MODES)
def test_cells_are_the_sheets_own(mode):
    image = sheet(1, mode)
    with io.BytesIO() as file:
        image.save(file, "PNG")
        drawing = sheets.to_drawing(sheets.decode(file.getvalue()))
    drawn = compositing.composite([drawing], np.arange(lpc.NUM_CELLS))
    assert lpc.NUM_CELLS == 178
    for cell in range(lpc.NUM_CELLS):
        expected = np.array(cell_of(image, cell))
        expected[expected[..., 3] == 0] = 0
        np.testing.assert_array_equal(drawn[cell], expected)


def test_the_layout_is_as_agreed():
    first = {(motion.action, motion.direction): motion.first for motion in lpc.MOTIONS}
    assert first["spellcast", "up"] == 0
    assert first["walk", "down"] == 4 * 7 + 4 * 8 + 2 * 9
    assert first["shoot", "left"] == 4 * (7 + 8 + 9 + 6) + 13
    assert first["hurt", "down"] == 172
    assert len(lpc.MOTIONS) == 21


def test_recoloured_sheets_share_their_pixels(tmp_path, art_dir):
    folder = tmp_path / "collection"
    shutil.copytree(art_dir, folder)
    pixels = np.array(sheet(7))
    pixels[..., :3] //= 64  # few enough colours
    save(folder, "hair/male/plain/one", Image.fromarray(pixels))
    pixels[..., :3] += 100
    save(folder, "hair/male/plain/two", Image.fromarray(pixels))
    drawings = lpc.load_art(folder).drawings
    one, two = drawings["hair/male/plain/one"], drawings["hair/male/plain/two"]
    assert one.at is two.at
    assert one.index is two.index
    assert one.palette is not two.palette


def test_the_cache_gives_what_the_sheets_gave(art, art_dir, monkeypatch):
    path = next((Path.home() / ".cache/vdd").glob(f"universal_lpc_{art.fingerprint[:16]}.npz"))

    def load() -> lpc.Art:
        art_module._load.cache_clear()
        return lpc.load_art(art_dir)

    def assert_same(found: lpc.Art):
        assert found.left_out == art.left_out
        assert list(found.drawings) == list(art.drawings)
        for name, drawing in found.drawings.items():
            for ours, expected in zip(drawing, art.drawings[name]):
                np.testing.assert_array_equal(ours, expected)
                assert ours.dtype == expected.dtype

    with monkeypatch.context() as patch:
        patch.setattr(art_module, "_read", None)  # nothing is decoded
        assert_same(load())
    path.write_bytes(path.read_bytes()[:-100])
    assert_same(load())


def test_a_clone_is_found_below_what_is_named(art_dir, tmp_path, monkeypatch):
    shutil.copytree(art_dir / "body", tmp_path / "clone/sheets/body")
    (tmp_path / "clone/.git/body/male").mkdir(parents=True)
    expected = tmp_path / "clone/sheets"
    assert Path(lpc.find_art_dir(tmp_path)) == Path(lpc.find_art_dir(expected)) == expected
    monkeypatch.setenv(lpc.ART_DIR_VARIABLE, str(tmp_path / "clone"))
    assert Path(lpc.find_art_dir()) == expected


def test_without_sheets_it_is_told_how_to_get_them(tmp_path):
    for folder in (None, tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"VDD_UNIVERSAL_LPC=DIR.*makrohn/Universal-LPC") as e:
            lpc.load_art(folder)
        assert "\n" not in str(e.value)
    (tmp_path / "body/male").mkdir(parents=True)
    with pytest.raises(UserError, match="dress nobody"):
        lpc.load_art(tmp_path)


# Drawing.


def drawn_by_pillow(art_dir, art, character, cell: int, ground) -> np.ndarray:
    """Pixel by pixel, from the sheets themselves, in the order of the specification."""
    order = (
        "behind",
        "body",
        "eyes",
        "legs",
        "feet",
        "torso",
        "hands",
        "cape",
        "facial",
        "hair",
        "head",
    )
    named = dict(zip(lpc.SLOTS, character))
    sheet_of = {s: art.wardrobe.parts[s][n].name for s, n in named.items() if n >= 0}
    if "cape" in sheet_of:
        hidden = sheet_of["cape"].replace("torso/back/", "behind_body/")
        if (Path(art_dir) / f"{hidden}.png").exists():
            sheet_of["behind"] = hidden
    image = Image.new("RGBA", (64, 64), ground)
    for slot in order:
        if slot in sheet_of:
            with Image.open(Path(art_dir) / f"{sheet_of[slot]}.png") as whole:
                image = Image.alpha_composite(image, cell_of(whole, cell))
    return np.asarray(image)


@pytest.mark.parametrize("ground", [GREY, (255, 0, 255, 255), (0, 0, 0, 0)])
def test_compositing_equals_pillow(any_art, art, art_dir, ground):
    folder = art_dir if any_art is art else REAL_ART_DIR
    for number, split in enumerate(lpc.SPLITS * 2):
        rng = np.random.default_rng(number)
        character = lpc.draw_character(any_art.wardrobe, 0, split, number)
        if number < 3:  # all that can be drawn at once, in whatever taste
            character = np.array([rng.integers(len(p)) for p in any_art.wardrobe.parts.values()])
        cells = rng.permutation(lpc.NUM_CELLS)[:2]
        drawn = compositing.composite(any_art.layers(character), cells, ground)
        for cell, frame in zip(cells, drawn):
            expected = drawn_by_pillow(folder, any_art, character, int(cell), ground)
            if not ground[3]:
                expected = np.where(expected[..., 3:] > 0, expected, 0)
            np.testing.assert_array_equal(frame, expected)


def test_one_translucent_pixel_over_another_equals_pillow():
    rng = np.random.default_rng(0)
    source, below = rng.integers(0, 256, (2, 100_000, 4), np.uint8)
    source[:, 3] = np.maximum(source[:, 3], 1)
    below[::3, 3] = rng.choice([0, 1, 254, 255], len(below[::3]))
    pictures = [Image.fromarray(pixels[None]) for pixels in (below, source)]
    np.testing.assert_array_equal(
        compositing.over(source, below), np.asarray(Image.alpha_composite(*pictures))[0]
    )


def test_alpha_is_straight_and_leaves_no_halo(any_art):
    """Laid over a colour, a clip over nothing looks as if it had been drawn there."""
    for number in range(8):
        character = lpc.draw_character(any_art.wardrobe, 1, "train", number)
        cells = scripts.script(np.random.default_rng(number), 16)
        free = lpc.play(any_art, character, cells, None)
        assert not free[free[..., 3] == 0].any()
        for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 255)):
            alpha = free[..., 3:].astype(float) / 255
            laid = free[..., :3] * alpha + np.array(colour) * (1 - alpha)
            drawn = lpc.play(any_art, character, cells, (*colour, 255))
            assert np.abs(laid - drawn).max() <= 3  # each layer rounds


# Play.


def test_whole_actions_follow_one_another():
    followed = set()
    for number in range(800):
        cells = scripts.script(np.random.default_rng(number), 40)
        assert len(cells) == 40
        for cell, after in itertools.pairwise(cells.tolist()):
            motion = lpc.MOTIONS[scripts.MOTION_OF_CELL[cell]]
            if cell == motion.first + motion.frames - 1:
                assert after in [other.first for other in lpc.MOTIONS]
                followed.add((motion.first, after))
            else:
                assert after == cell + 1
    assert len(followed) == 21**2


@pytest.mark.parametrize("at", [0, 15])
def test_every_cell_is_as_likely_anywhere_in_a_clip(at):
    cells = [scripts.script(np.random.default_rng(i), 16)[at] for i in range(20_000)]
    count = np.bincount(cells, minlength=178)
    expected = len(cells) / 178
    assert ((count - expected) ** 2 / expected).sum() < 250  # chi-squared, p = .0003


def test_segments_apart_share_no_more_motions_than_chance():
    """The figures in the docstring of `cross_driving.apart`."""

    def shared(frames: int, first: np.ndarray, second: np.ndarray) -> float:
        total = 0.0
        for number in range(1500):
            cells = scripts.script(np.random.default_rng((frames, number)), frames)
            a, b = (scripts.MOTION_OF_CELL[cells[segment]] for segment in (first, second))
            total += (np.isin(a, b).mean() + np.isin(b, a).mean()) / 2
        return total / 1500

    apart, halves = (
        np.asarray(split(jax.random.key(0), frames))
        for split, frames in ((cross_driving.apart, 48), (cross_driving.halves, 32))
    )
    assert shared(32, *halves) == pytest.approx(0.35, abs=0.02)
    assert shared(48, *apart) == pytest.approx(0.13, abs=0.02)
    assert shared(200, np.arange(16), np.arange(184, 200)) == pytest.approx(0.135, abs=0.02)


# Splits.


def test_splits_share_no_character(any_art):
    found = {
        split: {
            lpc.draw_character(any_art.wardrobe, seed, split, number).tobytes()
            for seed in range(2)
            for number in range(150)
        }
        for split in lpc.SPLITS
    }
    for one, other in itertools.combinations(lpc.SPLITS, 2):
        assert not found[one] & found[other]


def test_held_out_parts_are_in_test_parts_alone(any_art):
    for split in lpc.SPLITS:
        held_out_slots = set()
        for number in range(150):
            character = lpc.draw_character(any_art.wardrobe, 0, split, number)
            assert lpc.split_of(any_art.wardrobe, character) == split
            new = [
                slot
                for (slot, parts), n in zip(any_art.wardrobe.parts.items(), character)
                if n >= 0 and parts[n].held_out
            ]
            assert (1 <= len(new) <= 3) if split == "test_parts" else not new
            held_out_slots.update(new)
        if split == "test_parts":
            there = {s for s, ps in any_art.wardrobe.parts.items() if any(p.held_out for p in ps)}
            assert held_out_slots == there


def test_of_ten_characters_of_known_parts_one_validates_and_one_tests(any_art):
    drawn = [
        character
        for number in range(2000)
        if (rng := np.random.default_rng(number))
        and (character := characters._dress(any_art.wardrobe, rng, new=False)) is not None
    ]
    splits = [lpc.split_of(any_art.wardrobe, character) for character in drawn]
    for split in ("validation", "test"):
        assert 0.03 < splits.count(split) / len(splits) < 0.2
    assert "test_parts" not in splits


def test_a_collection_too_small_for_a_split_is_told(art):
    parts = [part for parts in art.wardrobe.parts.values() for part in parts]
    known = lpc.Wardrobe([part for part in parts if not part.held_out])
    with pytest.raises(UserError, match="too few for characters of test_parts"):
        lpc.draw_character(known, 0, "test_parts", 0)


def test_a_clip_is_a_function_of_seed_split_and_number(any_art):
    settings = lpc.Settings(8, 3, "random")

    def clip(*which) -> bytes:
        return b"".join(array.tobytes() for array in lpc.draw_clip(any_art, settings, *which))

    places = [(0, "train", 0), (1, "train", 0), (0, "validation", 0), (0, "train", 1)]
    found = [clip(*place) for place in places]
    assert len(set(found)) == len(places)
    assert [clip(*place) for place in reversed(places)] == found[::-1]
    seen = {seed: [] for seed in range(2)}
    for seed, characters_of in seen.items():
        for number in range(5):
            character = lpc.draw_character(any_art.wardrobe, seed, "train", number)
            characters_of.append(character.tobytes())
    assert seen[0] != seen[1]


def test_new_colours_leave_shapes_and_the_other_splits_alone(any_art):
    plain, changed = lpc.Settings(8, 4, "grey"), lpc.Settings(8, 4, "grey", recolour=1.0)
    for number in range(4):
        one = lpc.draw_clip(any_art, plain, 0, "train", number)
        other = lpc.draw_clip(any_art, changed, 0, "train", number)
        np.testing.assert_array_equal(one.video[..., 3], other.video[..., 3])
        np.testing.assert_array_equal(one.cell, other.cell)
        seen = one.video[..., 3] == 255
        assert np.mean(np.any(one.video[seen] != other.video[seen], axis=-1)) > 0.5
    keys = {"frames": 8, "channels": 4, "background": "grey", "recolour": 1.0}
    assert lpc.Settings.from_config(ConfigDict(keys), "train") == changed
    assert lpc.Settings.from_config(ConfigDict(keys), "validation") == plain


def test_some_clips_keep_their_colours_and_no_two_new_ones_are_alike(any_art):
    plain, half = lpc.Settings(1, 4, "grey"), lpc.Settings(1, 4, "grey", recolour=0.5)
    seeds = range(40)
    kept = [
        np.array_equal(*(lpc.draw_clip(any_art, s, seed, "train", 0).video for s in (plain, half)))
        for seed in seeds
    ]
    assert 8 < sum(kept) < 32
    character = lpc.draw_character(any_art.wardrobe, 0, "train", 0)
    layers, worn = any_art.layers(character), any_art.parts(character)
    new = [
        recolouring.recoloured(layers, worn, np.random.default_rng(seed))[0].palette.tobytes()
        for seed in seeds
    ]
    assert len(set(new)) == len(seeds)


def test_a_cape_has_one_colour_before_and_behind():
    """The two sheets of a cape have palettes of their own, which share some colours."""
    palette = np.array([[200, 10, 10, 255], [90, 0, 0, 255], [20, 0, 0, 255]], np.uint8)
    layer = sheets.Drawing(np.zeros(179, np.int32), *(np.zeros(0, np.uint16),) * 2, palette[:2])
    layers = [layer, layer, layer._replace(palette=palette[1:])]
    rng = np.random.default_rng(0)
    behind, body, before = recolouring.recoloured(layers, ["cape", "body", "cape"], rng)
    np.testing.assert_array_equal(behind.palette[1], before.palette[0])
    assert np.any(behind.palette != body.palette)
    assert np.all(behind.palette[:, 3] == 255)
    np.testing.assert_array_equal(palette[0], (200, 10, 10, 255))  # the art's own is untouched


def test_each_layer_is_of_a_part(any_art):
    caped = 0
    for number in range(40):
        character = lpc.draw_character(any_art.wardrobe, 0, "train", number)
        layers, parts = any_art.layers(character), any_art.parts(character)
        assert len(layers) == len(parts)
        own = [part for part in parts if parts.count(part) == 1]
        assert all(layers[parts.index(part)] is any_art.drawings[part] for part in own)
        twice = set(parts) - set(own)
        assert all("cape" in part for part in twice)
        caped += len(twice)
    assert caped


# Batches.


@pytest.fixture
def config(art_dir, tmp_path, monkeypatch) -> ConfigDict:
    for split in clips.COUNTS:
        monkeypatch.setitem(clips.COUNTS, split, 5)
    keys = {"dataset": "universal_lpc", "source": "in_memory", "art_dir": str(art_dir)}
    keys |= {"data_dir": str(tmp_path / "tfds"), "frames": 6, "channels": 3}
    return ConfigDict(
        {**keys, "background": "grey", "recolour": 0.0, "augment": "none", "num_clips": 10}
    )


def take(config: ConfigDict, split: str, count: int, size: int = 4, seed: int = 0, **share) -> list:
    batches = pipeline.load_source(config, split, size, seed, **share)
    found = list(itertools.islice(batches, count))
    batches.close()
    return found


def assert_equal(one: dict, other: dict):
    assert one.keys() == other.keys() == {"video", "cell", "parts"}
    for key, value in one.items():
        np.testing.assert_array_equal(value, other[key])


def test_training_goes_on_without_end_and_is_resumed_exactly(config, art):
    expected = take(config, "train", 6)
    assert len({clip.tobytes() for batch in expected for clip in batch["video"]}) == 24
    settings = clips.Settings.from_config(config, "train")
    for number in (0, 7, 23):
        clip = lpc.draw_clip(art, settings, 0, "train", number)._asdict()
        assert_equal({k: v[number % 4] for k, v in expected[number // 4].items()}, clip)
    batches = pipeline.load_source(config, "train", 4, seed=0)
    batches.set_state({"step": 3})
    assert_equal(next(batches), expected[3])
    assert batches.get_state() == {"step": 4}
    batches.close()
    assert take(config, "train", 1, seed=1)[0]["video"].tobytes() != expected[0]["video"].tobytes()


def test_processes_draw_what_the_thread_draws(config):
    expected = take(config, "train", 8)
    config.workers = 2
    batches = pipeline.load_source(config, "train", 4, seed=0)
    batches.set_state({"step": 1})
    for batch in expected[1:]:  # more than there are places to draw into
        assert_equal(next(batches), batch)
    assert len(active_children()) == 2
    batches.set_state({"step": 2})  # ends them, and begins anew
    assert_equal(next(batches), expected[2])
    batches.close()
    assert not active_children()


def test_a_process_that_is_killed_is_done_without(config):
    expected = take(config, "train", 12)
    config.workers = 2
    batches = pipeline.load_source(config, "train", 4, seed=0)
    assert_equal(next(batches), expected[0])
    assert_equal(next(batches), expected[1])
    active_children()[0].kill()
    with pytest.warns(RuntimeWarning, match="this one draws them now"):
        found = list(itertools.islice(batches, 10))
    for one, other in zip(found, expected[2:], strict=True):
        assert_equal(one, other)
    batches.close()
    assert not active_children()


def test_workers_that_there_cannot_be_are_told(config, monkeypatch):
    config.workers = -1
    with pytest.raises(UserError, match="at least 0"):
        take(config, "train", 1)
    config.workers = 1
    monkeypatch.setattr(workers.os, "statvfs", lambda path: SimpleNamespace(f_bavail=1, f_frsize=9))
    with pytest.raises(UserError, match="shm-size"):
        take(config, "train", 1)


def test_a_process_that_fails_to_draw_is_told(config, tmp_path):
    config.workers, config.art_dir = 1, str(shutil.copytree(config.art_dir, tmp_path / "gone"))
    batches = pipeline.load_source(config, "train", 4, seed=0)
    next(batches)
    shutil.rmtree(config.art_dir)  # what is drawn looks where the sheets are, each time
    with pytest.raises(UserError, match="no sheets"):
        list(itertools.islice(batches, 8))
    assert not active_children()


def test_processes_share_a_batch_without_end(config):
    (whole,) = take(config, "train", 1)
    parts = [take(config, "train", 1, process_index=i, process_count=2)[0] for i in range(2)]
    assert_equal({k: np.concatenate([part[k] for part in parts]) for k in whole}, whole)
    with pytest.raises(ValueError, match="3 processes"):
        pipeline.load_source(config, "train", 4, 0, process_count=3)


@pytest.mark.parametrize("source", ["tfdata", "grain"])
@pytest.mark.parametrize("split", ["train", "test_parts"])
def test_prepared_clips_are_those_in_memory(config, source, split):
    dataset = datasets.find("universal_lpc")
    config = ConfigDict({**config.to_dict(), "source": source, "background": "random"})
    arrays = dataset.arrays(config, split)
    assert len(arrays["video"]) == (10 if split == "train" else 5)
    place = {video.tobytes(): row for row, video in enumerate(arrays["video"])}
    (batch,) = take(config, split, 1, size=5)
    assert {key: str(value.dtype) for key, value in batch.items()} == {
        "video": "uint8",
        "cell": "int32",
        "parts": "int32",
    }
    for row in range(5):
        clip = {key: value[row] for key, value in batch.items()}
        assert_equal(clip, {k: v[place[clip["video"].tobytes()]] for k, v in arrays.items()})


def test_clips_prepared_from_other_sheets_do_not_pass(config, art_dir, tmp_path):
    config.source = "grain"
    take(config, "train", 1)
    other = tmp_path / "other"
    shutil.copytree(art_dir, other)
    save(other, "hair/male/plain/red", sheet(99))
    with pytest.raises(UserError, match="other sheets"):
        take(ConfigDict({**config.to_dict(), "art_dir": str(other)}), "train", 1)


def test_only_training_stands_on_colours(config, art):
    config.background = "random"

    def grounds(split: str) -> set[bytes]:
        settings = clips.Settings.from_config(config, split)
        found = set()
        for number in range(4):
            clip = lpc.draw_clip(art, settings, 0, split, number)
            alpha = lpc.play(art, clip.parts, clip.cell, None)[..., 3]
            colours = np.unique(clip.video[alpha == 0], axis=0)
            assert len(colours) == 1
            found.add(colours.tobytes())
        return found

    assert len(grounds("train")) == 4
    assert grounds("validation") == {bytes([96, 96, 96])}


def test_four_channels_are_the_clip_over_nothing(config):
    (opaque,) = take(config, "validation", 1)
    config.channels = 4
    (free,) = take(config, "validation", 1)
    assert free["video"].shape == (4, 6, 64, 64, 4)
    seen = free["video"][..., 3] == 255
    np.testing.assert_array_equal(free["video"][seen][:, :3], opaque["video"][seen])
    assert (opaque["video"][free["video"][..., 3] == 0] == 96).all()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("channels", 2, "channels=2: take 3 or 4"),
        ("background", "blue", "background=blue: take grey or random"),
        ("frames", 0, "frames=0"),
        ("num_clips", 0, "num_clips=0"),
    ],
)
def test_a_wrong_value_is_told(config, key, value, told):
    config[key] = value
    with pytest.raises(UserError, match=told):
        datasets.find("universal_lpc").arrays(config, "train")


def test_a_colour_behind_nothing_is_told(config):
    config.channels, config.background = 4, "random"
    with pytest.raises(UserError, match="have none"):
        take(config, "train", 1)


def test_no_split_is_seen_in_the_training_of_another(config):
    seen = {split for split in lpc.SPLITS if datasets.seen_in_training(config, split)}
    assert seen == {"train"}
    assert datasets.find("universal_lpc").watched_split(config, "test") == "validation"


def test_the_command_draws_all_splits(art_dir, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert command.main([f"--out={out}", f"--art_dir={art_dir}"]) == 0
    with Image.open(out) as image:
        assert image.size == (16 * 64, 4 * 8 * 64)
    assert command.main([f"--out={tmp_path / 'other.png'}"]) == 2
    assert "VDD_UNIVERSAL_LPC" in capsys.readouterr().err


# The real sheets.


def test_of_each_slot_of_the_real_sheets_about_a_tenth_is_held_out(real):
    for slot, parts in real.wardrobe.parts.items():
        share = np.mean([part.held_out for part in parts])
        assert (share == 0) if slot == "eyes" else (0.08 < share < 0.34), slot
        assert parts


def test_nothing_that_is_held_out_looks_like_what_is_not(real):
    looks = {}
    for parts in real.wardrobe.parts.values():
        for part in parts:
            key = b"".join(array.tobytes() for array in real.drawings[part.name])
            looks.setdefault((part.slot, key), set()).add(part.held_out)
    assert all(len(held_out) == 1 for held_out in looks.values())


def test_of_the_real_sheets_few_are_left_out(real):
    assert 0 < len(real.left_out) < 50
    assert any(line.startswith("head/helms/male/golden_helm") for line in real.left_out)
    assert len(real.wardrobe.parts["hair"]) > 1000


def test_on_the_real_sheets_up_shows_the_back(real):
    """No eyes there; and the face is on the side to which the character looks."""
    eyes = real.drawings["body/male/eyes/blue"]
    for motion in lpc.MOTIONS:
        span = slice(eyes.starts[motion.first], eyes.starts[motion.first + motion.frames])
        columns = eyes.at[span] % 64
        if motion.direction == "up":
            assert not columns.size
        elif motion.action == "walk":
            side = np.sign(np.round(columns.mean() - 31.5))
            assert side == {"left": -1, "right": 1, "down": 0}[motion.direction]


# What is named.


@pytest.mark.parametrize("channels", [3, 4])
def test_the_named_motions_are_all_cells_as_characters_of_validation_play_them(
    art, art_dir, channels
):
    config = ConfigDict(
        {"dataset": "universal_lpc", "art_dir": str(art_dir), "frames": 4, "channels": channels,
         "background": "grey", "recolour": 0.7}
    )  # fmt: skip
    found = datasets.find_played(config, 2)
    assert found is not None
    motions = list(found.motions)
    assert found.name == "lpc"
    assert len({motion.name for motion in motions}) == 21
    video = np.concatenate([motion.video for motion in motions], axis=1)
    assert video.shape == (2, lpc.NUM_CELLS, 64, 64, channels)
    for number in range(2):
        who = lpc.draw_character(art.wardrobe, 0, "validation", number)
        ground = GREY if channels == 3 else None
        np.testing.assert_array_equal(
            video[number], lpc.play(art, who, np.arange(lpc.NUM_CELLS, dtype=np.int32), ground)
        )
    loops = {motion.name for motion in motions if motion.loop_from is not None}
    assert loops == {f"walk_{direction}" for direction in lpc.DIRECTIONS}
    assert datasets.find_ground(config) == GREY[:3]


def test_a_clip_of_a_split_is_that_of_all_of_them(art_dir):
    config = load_module("universal_lpc").get_config("smoke").data
    config.art_dir = str(art_dir)
    settings = lpc.Settings.from_config(config, "test")
    few = lpc.draw_clips(lpc.load_art(art_dir), settings, "test", 3)
    assert np.array_equal(datasets.load_clip(config, "test", 2), few.video[2])
    assert datasets.count_clips(config, "test") == 1000
