"""The sprite art drawn by code: same bytes everywhere, nothing cut off, every label visible."""

import hashlib
import itertools
import math

import numpy as np
import pytest

from vdd.data.sprites.builtin import ORDER, STYLES, part_frames
from vdd.data.sprites.builtin.skeleton import FOREARM, SHIN, THIGH, UPPER_ARM, figures
from vdd.data.sprites.builtin.trigonometry import about_x, about_y, about_z, chained, sine
from vdd.data.sprites.renderer import Art, render

GOLDEN = {
    "builtin": "249cd396683cce7c64ad5c3f1cc1b6c5cea3731dd121d7265f8dcbf34d40fedd",
    "vivid": "2e62d5acd16c9706bf10c099c705666d41fdc6039acfb1da3c4c6bde99e54fe6",
}
MOTIONS = range(9)
# One character of each diagonal, so that every variant of every factor is worn at least twice.
CHARACTERS = np.array(
    [[i, i, i, i] for i in range(6)]
    + [[i, (i + 1) % 6, (i + 3) % 6, (i + 4) % 6] for i in range(6)]
)


def clips(characters: np.ndarray, motion: int) -> np.ndarray:
    return render(Art(ORDER, part_frames), characters, np.full(len(characters), motion))


def all_parts(style: str = "builtin"):
    for part, factor in ORDER:
        for variant in range(6 if factor else 1):
            for motion in MOTIONS:
                yield part, variant, motion, part_frames(part, variant, motion, style)


def differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Number of pixels that differ, over the last three axes (h w c)."""
    return (a != b).any(-1).sum((-2, -1))


@pytest.mark.parametrize("style", STYLES)
def test_every_byte_is_the_same_on_every_machine(style):
    digest = hashlib.sha256()
    for part, variant, motion, frames in all_parts(style):
        digest.update(f"{part} {variant} {motion}".encode() + frames.tobytes())
    assert digest.hexdigest() == GOLDEN[style], (
        "The art's bytes changed. If you did not touch the drawing, some operation is not exact on "
        "this machine: find it. If you changed the art on purpose, look at the pictures, put the "
        "new digest into GOLDEN, and retrain what was trained on the old art (judge and models)."
    )


def test_the_styles_differ_in_hair_alone():
    for part, variant, motion, frames in all_parts():
        vivid = part_frames(part, variant, motion, "vivid")
        nothing = not frames.any() and not vivid.any()
        assert np.array_equal(frames, vivid) == ("hair" not in part or nothing), part


@pytest.mark.parametrize("style", STYLES)
def test_parts_are_read_only_hard_edged_rgba_and_clear_of_the_border(style):
    for part, variant, motion, frames in all_parts(style):
        name = f"{part} {variant}, motion {motion}"
        assert frames.shape == (8, 64, 64, 4), name
        assert frames.dtype == np.uint8, name
        assert not frames.flags.writeable, name
        alpha = frames[..., 3]
        assert np.isin(alpha, (0, 255)).all(), name
        edge = np.ones((64, 64), bool)
        edge[1:-1, 1:-1] = False
        assert not alpha[:, edge].any(), f"{name} is cut off by the border"


def test_out_of_range_labels_raise():
    for part, variant, motion in (("body", 6, 0), ("body", -1, 0), ("body", 0, 9)):
        with pytest.raises(IndexError):
            part_frames(part, variant, motion)
    with pytest.raises(KeyError):
        part_frames("tail", 0, 0)


@pytest.mark.parametrize("factor", range(4))
def test_every_variant_shows_in_every_frame_of_every_motion(factor):
    """Changing one attribute changes at least 50 pixels of what is seen, in each frame."""
    for motion in MOTIONS:
        for base in CHARACTERS[6:10]:
            characters = np.repeat(base[None], 6, axis=0)
            characters[:, factor] = np.arange(6)
            videos = clips(characters, motion)
            for a, b in itertools.combinations(range(6), 2):
                least = differing(videos[a], videos[b]).min()
                assert least >= 50, (motion, base, a, b, least)


def test_all_72_poses_are_distinct():
    for character in CHARACTERS[::4]:
        frames = np.concatenate([clips(character[None], m)[0] for m in MOTIONS])
        for i in range(len(frames) - 1):
            least = differing(frames[i + 1 :], frames[i]).min()
            assert least >= 200, (character, divmod(i, 8), least)


def test_left_is_no_mirror_image_of_right():
    for action in range(3):
        left = clips(CHARACTERS, 3 * action + 1)
        right = clips(CHARACTERS, 3 * action + 2)
        assert differing(left[:, :, :, ::-1], right).min() >= 200


def test_walk_is_a_loop():
    """From the last frame to the first is no longer a step than between any two others."""
    for motion in range(3):
        video = clips(CHARACTERS, motion)
        steps = differing(video, np.roll(video, -1, axis=1)).mean(0)
        assert steps[-1] <= steps[:-1].max() * 1.1


def hidden(part: str, covers: tuple[str, ...], motion: int) -> np.ndarray:
    """Pixels of a part that lie under the parts `covers`, for each frame."""
    below = part_frames(part, 0, motion)[..., 3] > 0
    above = np.any([part_frames(c, 0, motion)[..., 3] > 0 for c in covers], axis=0)
    return (below & above).sum((1, 2))


@pytest.mark.parametrize("motion", [m for m in MOTIONS if m % 3])
def test_in_profile_the_trunk_hides_the_far_arm_and_the_near_arm_the_trunk(motion):
    far = hidden("arm_back", ("body", "bottomwear", "topwear", "head"), motion)
    near = hidden("body", ("arm_front",), motion)
    for counts in (far, near):
        assert np.median(counts) >= 20, counts
        assert len(set(counts.tolist())) >= 5, counts


def test_from_the_front_a_walker_swings_each_arm_behind_the_trunk_in_turn():
    behind = part_frames("arm_back", 0, 0)[..., 3] > 0
    sides = {(bool(f[:, :32].sum() > 20), bool(f[:, 32:].sum() > 20)) for f in behind}
    assert {(True, False), (False, True)} <= sides


def test_hair_and_hems_trail_behind_the_body():
    """In a walk the loose ends move against the head: their offset from it is not constant."""
    for motion in MOTIONS:
        tips = [np.argwhere(f[..., 3] > 0)[:, 1].mean() for f in part_frames("cape", 5, motion)]
        heads = [f.head[0] for f in figures(motion)]
        assert np.ptp(np.subtract(tips, heads)) > 1.5


def test_limbs_keep_their_bones():
    """No view makes a bone longer than it is, and some frame shows nearly all of it."""
    for limbs, bones in (("arms", (UPPER_ARM, FOREARM)), ("legs", (THIGH, SHIN))):
        for i, bone in enumerate(bones):
            lengths = [
                math.dist(limb.points[i], limb.points[i + 1])
                for motion in MOTIONS
                for figure in figures(motion)
                for limb in getattr(figure, limbs)
            ]
            assert 0.9 * bone < max(lengths) < bone * 1.001


def test_sines_are_far_from_ties_and_rotations_invert():
    for degrees in range(360):
        assert abs((math.sin(math.radians(degrees)) * 2**14) % 1 - 0.5) > 1e-5
        assert sine(degrees) == pytest.approx(math.sin(math.radians(degrees)), abs=2**-14)
    for about in (about_x, about_y, about_z):
        product = np.array(chained(about(37), about(-37)))
        np.testing.assert_allclose(product, np.eye(3), atol=1e-3)
