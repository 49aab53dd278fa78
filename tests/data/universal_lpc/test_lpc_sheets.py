"""Sheets of Universal LPC: what they are of, which are of use, and what is kept of them."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from collection import MODES, NAMES, cell_of, save, sheet
from PIL import Image

from vdd.data import universal_lpc as lpc
from vdd.data.universal_lpc import art as art_module
from vdd.data.universal_lpc import compositing, sheets, wardrobe
from vdd.errors import UserError


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
