"""The rendered benchmark against an independent, slow chain of Pillow calls."""

import hashlib
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vdd.data import sprites
from vdd.data.sprites import benchmark, lpc, renderer
from vdd.errors import UserError

# The whole LPC test split, uint8 [2664 8 64 64 3]: it changes only if the benchmark itself does.
LPC_TEST_SHA256 = "84ec44c8001b3394d8f6ce85fd94529b6121522da0d504e4adfbff25466bcae0"


def pillow_clips(art_dir: Path, character: tuple[int, ...]) -> np.ndarray:
    """All 9 motions of a character: whole sheets by alpha over black, then cell after cell."""
    names = [f"{part}/{variant}.png" for part, variant in zip(benchmark.ATTRIBUTES, character)]
    whole = Image.new("RGBA", (832, 1344), "black")
    for name in [*names, "shoes/1.png"]:
        whole = Image.alpha_composite(whole, Image.open(art_dir / name).convert("RGBA"))
    clips = np.zeros((9, 8, 64, 64, 3), np.uint8)
    for cell in range(273):
        left, top = 64 * (cell % 13), 64 * (cell // 13)
        image = np.asarray(whole.crop((left, top, left + 64, top + 64)))[..., :3]
        for motion, frame in frames_of_cell(cell):
            clips[motion, frame] = image
    return clips


def frames_of_cell(cell: int) -> list[tuple[int, int]]:
    """Where a cell of the sheet goes: pairs (motion, frame)."""
    row, column = divmod(cell, 13)
    direction = {1: 1, 2: 0, 3: 2}  # left, front, right; the first row of an action is the back
    if row in (9, 10, 11) and 1 <= column <= 8:
        return [(direction[row - 8], column % 8)]
    if row in (1, 2, 3) and column <= 6:
        frames = {4: [4, 6], 6: [7]}.get(column, [column])
        return [(3 + direction[row], frame) for frame in frames]
    if row in (13, 14, 15) and column <= 5:
        frames = {0: [0, 7], 4: [4, 6]}.get(column, [column])
        return [(6 + direction[row - 12], frame) for frame in frames]
    return []


def some_characters(split: str, count: int) -> list[int]:
    total = len(benchmark.split_characters(split))
    return np.random.default_rng(0).choice(total, count, replace=False).tolist()


def assert_equals_pillow(arrays: sprites.SpritesArrays, split: str, art_dir: Path, count: int):
    characters = len(arrays.motion) // 9
    for place in some_characters(split, count):
        clips = slice(place, None, characters)
        attributes = arrays.attributes[clips]
        assert (attributes == attributes[0]).all()
        expected = pillow_clips(art_dir, tuple(attributes[0]))
        np.testing.assert_array_equal(arrays.video[clips], expected)


def test_translucent_art_equals_pillow_byte_for_byte(random_arrays, random_art_dir):
    assert_equals_pillow(random_arrays, "test", random_art_dir, count=8)


def test_lpc_equals_pillow_byte_for_byte(lpc_art_dir):
    arrays = sprites.load_arrays("lpc", "test", lpc_art_dir)
    assert hashlib.sha256(arrays.video.tobytes()).hexdigest() == LPC_TEST_SHA256
    assert_equals_pillow(arrays, "test", lpc_art_dir, count=60)


def test_over_is_pillows_for_every_byte():
    """All 256^3 combinations of source, alpha and an opaque ground."""
    source, alpha, below = np.meshgrid(*[np.arange(256, dtype=np.uint8)] * 3, indexing="ij")
    opaque = np.full_like(alpha, 255)
    front = np.stack([source] * 3 + [alpha], -1).reshape(4096, 4096, 4)
    ground = np.stack([below] * 3 + [opaque], -1).reshape(4096, 4096, 4)
    expected = Image.alpha_composite(Image.fromarray(ground), Image.fromarray(front))
    actual = renderer.over(source, alpha, below)
    np.testing.assert_array_equal(actual, np.asarray(expected)[..., 0].reshape(actual.shape))


def test_split_is_the_benchmarks():
    train, test = benchmark.split_characters("train"), benchmark.split_characters("test")
    assert (len(train), len(test)) == (1000, 296)
    numbers = np.concatenate([train, test]) @ [216, 36, 6, 1]
    np.testing.assert_array_equal(numbers, np.random.RandomState(423).permutation(1296))


def test_train_is_fit_and_then_validation():
    """Disjoint, and together the published split in the published order."""
    parts = [benchmark.split_characters(split) for split in ("fit", "validation")]
    assert [len(part) for part in parts] == [900, 100]
    np.testing.assert_array_equal(np.concatenate(parts), benchmark.split_characters("train"))
    sizes = {split: len(benchmark.split_labels(split)[0]) for split in benchmark.SPLITS}
    assert sizes == {"train": 9000, "fit": 8100, "validation": 900, "test": 2664}
    numbers = {split: benchmark.split_characters(split) @ [216, 36, 6, 1] for split in sizes}
    for one, other in itertools.product(sizes, repeat=2):
        shared = np.intersect1d(numbers[one], numbers[other]).size > 0
        assert benchmark.overlap(one, other) == shared, (one, other)


def test_another_permutation_has_other_characters_in_each_split():
    test = benchmark.split_characters("test", permutation_seed=1) @ [216, 36, 6, 1]
    np.testing.assert_array_equal(test, np.random.RandomState(1).permutation(1296)[1000:])
    assert not np.array_equal(test, benchmark.split_characters("test") @ [216, 36, 6, 1])
    with pytest.raises(UserError, match="permutation_seed=-1 is not from 0"):
        sprites.load_arrays("builtin", "test", permutation_seed=-1)


def test_clips_are_ordered_by_motion_then_place(random_arrays):
    arrays = random_arrays
    assert arrays.video.shape == (2664, 8, 64, 64, 3)
    assert (arrays.video.dtype, arrays.motion.dtype, arrays.attributes.dtype) == (
        np.uint8,
        np.int32,
        np.int32,
    )
    np.testing.assert_array_equal(arrays.motion, np.repeat(np.arange(9), 296))
    np.testing.assert_array_equal(
        arrays.attributes.reshape(9, 296, 4)[4], benchmark.split_characters("test")
    )


def test_builtin_art_shows_every_label():
    """No two labels look the same."""
    arrays = sprites.load_arrays("builtin", "test")
    assert arrays.video.shape == (2664, 8, 64, 64, 3)
    assert len({clip.tobytes() for clip in arrays.video}) == 2664


def test_parts_may_lie_behind_others():
    """The art's order decides: a rear part shows only where nothing lies before it."""
    red, green = np.array([255, 0, 0, 255], np.uint8), np.array([0, 255, 0, 255], np.uint8)

    def part_frames(part: str, variant: int, motion: int) -> np.ndarray:
        frames = np.zeros((8, 64, 64, 4), np.uint8)
        frames[:, : 40 if part == "hair_back" else 20] = red if part == "hair_back" else green
        return frames

    art = renderer.Art((("hair_back", "hair"), ("body", "body")), part_frames)
    clip = renderer.render(art, np.zeros((1, 4), np.int32), np.zeros(1, np.int32))[0]
    assert (clip[:, :20] == green[:3]).all()
    assert (clip[:, 20:40] == red[:3]).all()
    assert (clip[:, 40:] == 0).all()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_pixels(path: Path) -> None:
    Image.open(path).crop((0, 0, 832, 1280)).save(path)


def break_pixels(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (truncate, "readable"),
        (break_pixels, "readable"),
        (Path.unlink, "missing"),
        (cut_pixels, "832x1280"),
        (lambda path: path.write_text("not an image"), "readable"),
        (lambda path: path.write_bytes(b""), "readable"),
    ],
    ids=["truncated", "broken", "missing", "wrong size", "text", "empty"],
)
def test_a_bad_sheet_is_named_in_one_line(
    random_art_dir, tmp_path, damage: Callable[[Path], None], says: str
):
    folder = shutil.copytree(random_art_dir, tmp_path / "art")
    damage(folder / "hair" / "3.png")
    with pytest.raises(UserError, match=says) as error:
        sprites.load_art("lpc", folder)
    assert str(folder / "hair" / "3.png") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sheet_that_is_a_folder_is_named(random_art_dir, tmp_path):
    folder = shutil.copytree(random_art_dir, tmp_path / "art")
    (folder / "body" / "2.png").unlink()
    (folder / "body" / "2.png").mkdir()
    with pytest.raises(UserError, match=r"body/2\.png cannot be read"):
        sprites.load_art("lpc", folder)


def test_an_empty_or_absent_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"body/0\.png is missing"):
        sprites.load_art("lpc", tmp_path)
    with pytest.raises(UserError, match="no folder of LPC sheets"):
        sprites.load_art("lpc", tmp_path / "nowhere")


def test_the_argument_wins_over_the_environment(random_art_dir, tmp_path, monkeypatch):
    monkeypatch.setenv(sprites.ART_DIR_VARIABLE, str(tmp_path / "nowhere"))
    assert sprites.find_art_dir(random_art_dir) == random_art_dir
    assert sprites.find_art_dir() == tmp_path / "nowhere"


def test_without_art_both_ways_are_told(monkeypatch):
    monkeypatch.delenv(sprites.ART_DIR_VARIABLE, raising=False)
    with pytest.raises(UserError, match=r"--config\.data\.art_dir=DIR.*VDD_SPRITES_ART"):
        sprites.load_arrays("lpc", "test")


@pytest.mark.parametrize(("art", "split"), [("pixel", "test"), ("builtin", "valid")])
def test_unknown_names_are_refused(art: str, split: str):
    with pytest.raises(UserError, match=art if art == "pixel" else split):
        sprites.load_arrays(art, split)


def test_fingerprint_tells_folders_apart(random_art_dir, tmp_path):
    def fingerprint(folder: Path) -> str:
        return lpc.fingerprint(lpc.sheet_paths(folder))

    folder = shutil.copytree(random_art_dir, tmp_path / "art")
    assert fingerprint(folder) == fingerprint(random_art_dir)
    shutil.copy(random_art_dir / "hair" / "4.png", folder / "hair" / "3.png")
    shutil.copy(random_art_dir / "hair" / "3.png", folder / "hair" / "4.png")
    assert fingerprint(folder) != fingerprint(random_art_dir)
