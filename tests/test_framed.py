"""`vdd transfer` with faces: the squares of both clips, the way back into the photo, the mark."""

import importlib.metadata
import json
import shutil
import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from PIL import Image

import vdd
from vdd import cli
from vdd.commands import framed, work
from vdd.data import faces, framing, synthetic, video_io
from vdd.data.faces import Box, Face
from vdd.errors import UserError

MARK = f"made with vdd {importlib.metadata.version('vdd-video')}: a synthetic clip"


@pytest.fixture(scope="module")
def filmed_run(tiny_run, tmp_path_factory):
    """The tiny run, as if it had been trained on a folder of videos."""
    run = shutil.copytree(tiny_run, tmp_path_factory.mktemp("filmed") / "run")
    config = json.loads((run / "config.json").read_text())
    config["data"] = {"dataset": "video_folder", "data_dir": "prepared", "frames": 8}
    (run / "config.json").write_text(json.dumps(config))
    return run


def see_red(frame):
    """Stands in for the detector: a face is what is red."""
    places = np.argwhere((frame[..., 0] > 180) & (frame[..., 1] < 80))
    if not len(places):
        return None
    return Face(*places.min(0).astype(float), *(places.max(0) + 1.0))


def with_face(frames, size, top, left, side, seed=0) -> np.ndarray:
    video = np.random.default_rng(seed).integers(90, 160, (frames, *size, 3), np.uint8)
    video[:, top : top + side, left : left + side] = 255, 0, 0
    return video


PHOTO = with_face(1, (75, 101), 30, 60, 16)
MOTION = with_face(5, (60, 90), 20, 12, 14, seed=1)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A photo and a motion clip with red faces, and a detector that knows these."""
    monkeypatch.setattr(faces, "find_face", see_red)
    monkeypatch.setattr(faces, "import_dlib", lambda: None)
    Image.fromarray(PHOTO[0]).save(tmp_path / "photo.png")
    np.save(tmp_path / "motion.npy", MOTION)
    return tmp_path


def transfer(capsys, run, place, out="out.npy", *more) -> tuple[int, str, str]:
    """With one step and always the same lengths: so there is one program to compile."""
    arguments = ["--content", place / "photo.png", "--motion", place / "motion.npy", "--steps", 1]
    status = cli.main([str(x) for x in ("transfer", run, *arguments, "--out", place / out, *more)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def expected(capsys, run, place, photo: Box, motion: Box) -> np.ndarray:
    """What is drawn of clips that were cropped to these squares beforehand."""
    for name, video, square in (("c", PHOTO, photo), ("m", MOTION, motion)):
        np.save(place / f"{name}.npy", [framing.crop(frame, square, 16) for frame in video])
    clips = ("--content", place / "c.npy", "--motion", place / "m.npy")
    assert transfer(capsys, run, place, "expected.npy", *clips)[0] == 0
    return np.load(place / "expected.npy")


def boxes() -> tuple[Box, Box]:
    found = [faces.stable_box(video, detect=see_red) for video in (PHOTO, MOTION)]
    assert found[0] is not None
    assert found[1] is not None
    return found[0], found[1]


def test_each_clip_is_cropped_to_the_square_of_its_own_face(filmed_run, place, capsys):
    photo, motion = boxes()
    assert photo != motion
    status, said, complained = transfer(capsys, filmed_run, place, "out.npy", "--frame", "face")
    assert (status, complained) == (0, "")
    told = "is {0.size}x{0.size} pixels, {0.left} from the left and {0.top} from the top\n"
    assert f"photo.png: the square of its face {told.format(photo)}" in said
    assert f"motion.npy: the square of its face {told.format(motion)}" in said
    assert "5 frames of 16x16" in said
    drawn = np.load(place / "out.npy")
    np.testing.assert_array_equal(drawn, expected(capsys, filmed_run, place, photo, motion))
    assert transfer(capsys, filmed_run, place, "plain.npy")[0] == 0
    assert np.any(np.load(place / "plain.npy") != drawn)
    assert transfer(capsys, filmed_run, place, "as_is.npy", "--frame", "as-is")[0] == 0
    np.testing.assert_array_equal(np.load(place / "as_is.npy"), np.load(place / "plain.npy"))


@pytest.mark.parametrize("frame", ["face", "as-is"])
def test_the_result_is_pasted_into_the_photo(filmed_run, place, capsys, frame):
    options = ("--frame", frame)
    status, said, complained = transfer(
        capsys, filmed_run, place, "out.npy", *options, "--paste-back"
    )
    assert (status, complained) == (0, "")
    assert "5 frames of 101x75" in said
    square = boxes()[0] if frame == "face" else framing.middle(75, 101)
    motion = boxes()[1] if frame == "face" else None
    pasted = np.load(place / "out.npy")
    assert pasted.shape == (5, 75, 101, 3)
    mask = framing.soft_mask(square.size)
    outside = np.ones((75, 101), bool)
    top, left, side = square
    outside[top : top + side, left : left + side] = mask[..., 0] == 0
    for shown in pasted:
        np.testing.assert_array_equal(shown[outside], PHOTO[0][outside])
        assert np.any(shown != PHOTO[0])
    if motion:
        drawn = expected(capsys, filmed_run, place, square, motion)
        again = [framing.paste(PHOTO[0], square, picture, mask) for picture in drawn]
        np.testing.assert_array_equal(pasted, again)


def test_a_content_clip_gives_its_first_frame(filmed_run, place, capsys):
    who = with_face(3, (75, 101), 30, 60, 16, seed=3)
    np.save(place / "who.npy", who)
    clips = ("--content", place / "who.npy")
    assert transfer(capsys, filmed_run, place, "out.npy", *clips, "--paste-back")[0] == 0
    for shown in np.load(place / "out.npy"):
        np.testing.assert_array_equal(shown[:, :13], who[0, :, :13])
        np.testing.assert_array_equal(shown[:, 88:], who[0, :, 88:])


def test_a_pasted_mp4_has_even_sides(filmed_run, place, capsys):
    pytest.importorskip("av", reason="needs the extra `video`")
    assert transfer(capsys, filmed_run, place, "out.mp4", "--paste-back")[0] == 0
    video = video_io.read_clip(place / "out.mp4")
    assert video.shape == (5, 76, 102, 3)
    # Noise in colour is what H.264 keeps least of: its brightness is compared.
    apart = np.abs((video[:, :75, :13] - PHOTO[:, :, :13].astype(float)) @ (0.299, 0.587, 0.114))
    assert apart.mean() < 3


def test_frames_go_to_the_writer_one_by_one(filmed_run, place, capsys, monkeypatch):
    """However long the clip: of all pasted frames no more than two are in memory."""
    pytest.importorskip("av", reason="needs the extra `video`")
    paste, alive, most = framing.paste, set(), []

    def watched(*arguments):
        frame = paste(*arguments)
        alive.add(id(frame))
        weakref.finalize(frame, alive.discard, id(frame))
        most.append(len(alive))
        return frame

    np.save(place / "motion.npy", np.concatenate([MOTION] * 8))
    monkeypatch.setattr(framing, "paste", watched)
    options = ("--paste-back", "--window", 5, "--overlap", 0)
    assert transfer(capsys, filmed_run, place, "out.mp4", *options)[0] == 0
    assert len(video_io.read_clip(place / "out.mp4")) == len(most) == 40
    assert max(most) <= 2


def test_no_face_is_one_line(filmed_run, place, capsys):
    np.save(place / "grey.npy", np.full((5, 60, 90, 3), 90, np.uint8))
    for option in ("--content", "--motion"):
        clips = (option, place / "grey.npy")
        status, _, complained = transfer(
            capsys, filmed_run, place, "out.npy", *clips, "--frame", "face"
        )
        assert (status, complained) == (2, f"vdd: {place}/grey.npy: no face is seen\n")
    assert not (place / "out.npy").exists()


def test_the_missing_extra_is_told_before_any_model_is_loaded(
    filmed_run, place, capsys, monkeypatch
):
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "dlib", None)
    monkeypatch.delattr(vdd, "load")
    status, _, complained = transfer(capsys, filmed_run, place, "out.npy", "--frame", "face")
    assert status == 2
    assert complained == "vdd: finding faces needs dlib: pip install 'vdd-video[face]'\n"


def test_what_makes_no_sense_is_refused_in_one_line(lpc_alpha_run, place, capsys):
    for run, options, words in (
        ("nowhere", ("--motion", "lpc:slash", "--paste-back"), "not a name"),
        ("nowhere", ("--paste-back", "--layout", "2x1"), "not a sprite sheet"),
        ("nowhere", ("--frame", "face", "--layout", "2x1"), "not a sprite sheet"),
        (lpc_alpha_run, ("--paste-back",), "transparency"),
    ):
        status, _, complained = transfer(capsys, run, place, "out.npy", *options)
        assert (status, complained.count("\n")) == (2, 1), complained
        assert words in complained
    assert not (place / "out.npy").exists()


def test_faces_are_not_looked_for_in_drawn_clips(tiny_run, place, capsys, monkeypatch):
    def absent():
        raise UserError("dlib is not installed")

    monkeypatch.setattr(faces, "import_dlib", absent)
    status, _, complained = transfer(capsys, tiny_run, place, "out.npy", "--frame", "face")
    assert (status, complained.count("\n")) == (2, 1)
    assert "has learned from drawn clips (sprites), not from people" in complained
    assert "dlib" not in complained


def test_an_mp4_of_odd_sides_tells_the_size_that_is_written(filmed_run, place, capsys):
    pytest.importorskip("av", reason="needs the extra `video`")
    options = ("--frame", "face", "--paste-back")
    _, said, _ = transfer(capsys, filmed_run, place, "out.mp4", *options)
    with video_io.open_clip(place / "out.mp4") as clip:
        assert clip.size == (76, 102), "of a photo of 75x101"
    assert "5 frames of 102x76, as the sides of an mp4 are even, at" in said
    _, said, _ = transfer(capsys, filmed_run, place, "out.npy", *options)
    assert "5 frames of 101x75 at" in said


def test_a_model_of_other_shapes_has_no_square():
    run = SimpleNamespace(model=SimpleNamespace(latents=SimpleNamespace(size=(16, 24, 3))))
    given = ["transfer", "r", "--content", "a", "--motion", "b", "--out", "o.npy", "--paste-back"]
    with pytest.raises(UserError, match="24x16 pixels, which is no square"):
        framed.read_content(cli.parser().parse_args(given), run, None, 2)


def comment_of(path) -> str | None:
    if path.suffix == ".mp4":
        av = pytest.importorskip("av", reason="needs the extra `video`")
        with av.open(str(path)) as container:
            return container.metadata.get("comment")
    with Image.open(path) as image:
        found = image.info.get("comment", image.info.get("Comment"))
        return found.decode() if isinstance(found, bytes) else found


@pytest.mark.parametrize("ending", ["mp4", "png", "gif"])
def test_what_a_model_of_videos_has_drawn_is_marked(filmed_run, place, capsys, ending):
    if ending == "mp4":
        pytest.importorskip("av", reason="needs the extra `video`")
    for options, mark in (((), MARK), (("--paste-back",), MARK), (("--no-mark",), None)):
        assert transfer(capsys, filmed_run, place, f"out.{ending}", *options)[0] == 0
        assert comment_of(place / f"out.{ending}") == mark


def test_drawn_characters_need_no_mark(tiny_run, place, capsys):
    assert transfer(capsys, tiny_run, place, "out.gif")[0] == 0
    assert comment_of(place / "out.gif") is None


def test_a_mark_changes_no_pixel(tmp_path):
    video = tiny.random_video(1, 3)[0]
    for ending in ("gif", "png"):
        for name, comment in (("a", None), ("b", "é" * 300)):
            video_io.write_clip(tmp_path / f"{name}.{ending}", video, 8, comment=comment)
        one, other = (video_io.read_clip(tmp_path / f"{name}.{ending}") for name in "ab")
        np.testing.assert_array_equal(one, other)
    with Image.open(tmp_path / "b.gif") as image:
        assert image.info["comment"].decode() == "é" * 300


def test_every_command_that_draws_a_clip_asks_for_the_mark(filmed_run):
    import vdd

    run = vdd.load(filmed_run)
    for command in (
        "transfer r --content a --motion b --out o.gif",
        "generate r --content a --frames 3 --out o.gif",
        "decode r a.vdd --out o.gif",
    ):
        assert work.mark(cli.parser().parse_args(command.split()), run) == MARK
        off = cli.parser().parse_args([*command.split(), "--no-mark"])
        assert work.mark(off, run) is None
    assert synthetic.mark(run.config.data) == MARK
