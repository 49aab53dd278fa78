"""What the page asks of the server, and what it is answered."""

import importlib.util
import io
import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import serving
import tiny
from asked import npy
from PIL import Image

import vdd
from vdd import apply, compiled
from vdd.data import drawn_faces, faces, framing, synthetic, video_io
from vdd.models.prior import MotionPrior
from vdd.serve import clips, reading
from vdd.serve.clips import Gallery
from vdd.serve.limits import LIMITS

pytestmark = pytest.mark.usefixtures("few_characters")


@pytest.fixture(scope="module")
def gallery(page):
    return page.ask("/api/gallery").json()


CODES = [[i % 8, (3 * i) % 8] for i in range(11)]


def test_drawing_is_that_of_decode(page, run, gallery):
    clip = gallery[0]
    assert len({one["id"] for one in gallery}) == len(gallery) > 8
    frames = page.ask("/api/frames", clip=clip["id"]).content
    content_clip = serving.frames_of(frames, clip["frames"])
    encoded = run.encode(content_clip[None])
    assert clip["codes"] == encoded.codes[0].tolist()
    for steps, seed in ((None, 0), (2, 5)):
        answer = page.ask("/api/draw", clip=clip["id"], codes=CODES, steps=steps, seed=seed)
        drawn = serving.frames_of(answer.content, len(CODES))
        expected = run.decode(encoded.content, np.array(CODES)[None], steps=steps, seed=seed)[0]
        assert np.abs(drawn.astype(int) - expected).max() <= 1


def test_what_was_drawn_is_kept_and_edits_draw_what_is_new(page, gallery):
    studio = page.server.rooms[page.run].studio
    drawn = []
    draw, studio._draw = studio._draw, lambda *a, **k: drawn.append(a[2].shape) or draw(*a, **k)
    try:
        clip = gallery[1]["id"]
        first = page.ask("/api/draw", clip=clip, codes=CODES[:4]).content
        assert len(drawn) == 1
        again = page.ask("/api/draw", clip=clip, codes=CODES[:4]).content
        assert (again, len(drawn)) == (first, 1)
        page.ask("/api/draw", clip=clip, codes=[*CODES[3::-1], CODES[5]])
        assert drawn[1:] == [(1, 2)]  # the one new frame alone
        page.ask("/api/draw", clip=clip, codes=CODES)
        assert {shape[0] for shape in drawn} <= {1, 8}  # no other program is ever compiled
    finally:
        studio._draw = draw


def test_motion_comes_back_from_the_file_that_was_saved(page, gallery, tiny_run, tmp_path):
    codes = [[0, 1], [3, 2], [0, 1]]
    data = page.ask("/api/out/vdd", clip=gallery[0]["id"], codes=codes, fps=12.5).content
    assert page.code(data).json() == {"codes": codes, "fps": 12.5}
    assert "Not a vdd clip" in page.code(b"nothing").json()["error"]
    with serving.asking(tiny_run, tmp_path, LIMITS._replace(frames=2)) as other:
        assert "more than the 2 frames" in other.code(data).json()["error"]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("codes", [None, [], [[0]], [[0, 8]], [[0, -1]], [[0, 1.0]], [[0, True]], [[0, "1"]], "x"]),
        ("steps", [-1, 33, 1.5, "2", True, []]),
        ("seed", [-1, 2**32, "0"]),
        ("clip", [None, 3, "row-999999", "row-x", "row-", "nothing", "x" * 300, "\n"]),
        ("run", [None, "other", ["tiny"]]),
    ],
)
def test_a_wrong_question_is_one_sentence(page, gallery, field, values):
    for value in values:
        answer = page.ask("/api/draw", **{"clip": gallery[0]["id"], "codes": CODES, field: value})
        assert answer.status_code == 400, (value, answer.text)
        assert list(answer.json()) == ["error"]


def test_what_is_saved_is_what_is_seen(page, run, gallery, tmp_path):
    asked = {"clip": gallery[2]["id"], "codes": CODES, "fps": 12}
    drawn = serving.frames_of(page.ask("/api/draw", **asked).content, len(CODES))
    for kind in ("npy", "gif", "png", "mp4"):
        answer = page.ask(f"/api/out/{kind}", **asked)
        assert f'filename="result.{kind}"' in answer.headers["content-disposition"]
        (tmp_path / f"result.{kind}").write_bytes(answer.content)
    assert np.array_equal(np.load(tmp_path / "result.npy"), drawn)
    with video_io.open_clip(tmp_path / "result.gif") as clip:
        assert clip.fps == pytest.approx(12, rel=0.05)
        assert len(list(clip.frames)) == len(CODES)
    assert len(video_io.read_clip(tmp_path / "result.mp4")) == len(CODES)
    assert page.ask("/api/out/exe", **asked).status_code == 400

    coded = page.ask("/api/out/vdd", **asked).content
    meter = page.ask("/api/meter", **asked).json()
    assert meter["vdd"] == len(coded)
    assert meter["gif"] == (tmp_path / "result.gif").stat().st_size
    assert (meter["frames"], meter["flat"], meter["prior"]) == (len(CODES), 6.0, None)
    coder = page.server.rooms[page.run].coder
    assert coder._coded.from_bytes(coded).codes.tolist() == CODES


def test_what_a_model_of_videos_has_drawn_is_marked(page, gallery, monkeypatch):
    asked = {"clip": gallery[2]["id"], "codes": CODES, "fps": 12}
    for mark in (None, "made by a model"):
        monkeypatch.setattr(synthetic, "mark", lambda config, mark=mark: mark)
        with Image.open(io.BytesIO(page.ask("/api/out/gif", **asked).content)) as image:
            assert image.info.get("comment") == (mark and mark.encode())
        with Image.open(io.BytesIO(page.ask("/api/out/png", **asked).content)) as image:
            assert image.info.get("Comment") == mark
        found = page.ask("/api/out/mp4", **asked).content
        assert (b"made by a model" in found) == (mark is not None)


def test_the_call_that_is_told_makes_the_same(page, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tiny").symlink_to(tiny_run)
    data = npy(tiny.random_video(1, 2, seed=4)[0])
    Path("who.npy").write_bytes(data)
    clip = page.upload(data, "who.npy").json()["id"]
    asked = {"clip": clip, "codes": CODES, "seed": 3, "steps": 1}
    text = page.ask("/api/out/py", **asked).text
    assert str(tiny_run.parent) not in text
    monkeypatch.setattr(video_io, "write_clip", lambda path, video, fps: None)
    names = {}
    exec(text, names)
    drawn = serving.frames_of(page.ask("/api/draw", **asked).content, len(CODES))
    assert np.abs(names["video"][0].astype(int) - drawn).max() <= 1


def test_motion_is_made_up_as_generate_makes_it(page):
    assert "no prior" in page.ask("/api/make_up", frames=4).json()["error"]
    studio, prior = page.server.rooms[page.run].studio, small_prior()
    studio.prior = prior
    try:
        made = page.ask("/api/make_up", frames=5, seed=3, temperature=0.7).json()["codes"]
        given = (1, 5, None, 0.7, 1.0)
        codes = apply.generate_codes(prior.model, prior.params, jax.random.key(3), *given)
        assert made == np.asarray(codes)[0].tolist()
        bits = compiled.bits_of_codes(prior.model, prior.params, codes)
        assert studio.prior_bits(np.array(made)) == pytest.approx(float(bits.sum()) / 5, rel=1e-4)
        for wrong in ({"frames": 0}, {"frames": 601}, {"frames": 4, "temperature": -1}):
            assert page.ask("/api/make_up", **wrong).status_code == 400
    finally:
        studio.prior = None


def small_prior() -> SimpleNamespace:
    sizes = {"width": 8, "time_layers": 1, "group_layers": 1, "num_heads": 1, "mlp_dim": 8}
    model = MotionPrior(2, 8, **sizes, window=4)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 3, 2), jnp.int32))
    return SimpleNamespace(model=model, params=tiny.perturbed(shapes["params"]))


def test_long_work_tells_how_far_it_is_and_can_be_cancelled(page, gallery):
    name, headers = "ab12", {**page.headers, "x-vdd-job": "ab12"}
    assert page.http.get(f"/api/jobs/{name}", headers=headers).json() is None
    client = page.server.clients.find(page.headers["x-vdd-client"])
    studio = page.server.rooms[page.run].studio
    many = np.array([[i // 8 % 8, i % 8] for i in range(60)])
    job = page.server.drawing.submit(
        client.id, studio.draw(np.ones((2, 4), np.float32), many, 9), name=name
    )
    told = page.http.get(f"/api/jobs/{name}", headers=headers).json()
    assert told is None or set(told) == {"done", "total", "doing"}
    assert page.http.delete(f"/api/jobs/{name}", headers=headers).status_code == 200
    job.future.exception(60)
    assert page.http.get(f"/api/jobs/{name}", headers=headers).json() is None


def test_frames_of_a_camera_are_answered_one_by_one(page, run, gallery):
    def connect():
        return page.http.websocket_connect("ws://127.0.0.1:8000/api/camera")

    asked = {"client": page.headers["x-vdd-client"], "run": page.run, "clip": gallery[0]["id"]}
    frames = tiny.random_video(1, 2)[0]
    with connect() as socket:
        socket.send_text(json.dumps(asked))
        assert socket.receive_text() == "ready"
        for frame in frames:
            alpha = np.full((16, 16, 1), 255, np.uint8)
            socket.send_bytes(np.concatenate([frame, alpha], -1).tobytes())
            drawn = serving.frames_of(socket.receive_bytes(), 1)[0]
            content = serving.frames_of(
                page.ask("/api/frames", clip=gallery[0]["id"]).content, gallery[0]["frames"]
            )
            codes = run.encode(frame[None, None]).codes
            expected = run.decode(run.encode(content[None]).content, codes)[0, 0]
            assert np.abs(drawn.astype(int) - expected).max() <= 1
        socket.send_bytes(b"short")
        assert "16x16 pixels" in socket.receive_json()["error"]
    for wrong in ("no JSON", "{}", json.dumps({**asked, "clip": "none"}), "[" * 5000):
        with connect() as socket:
            socket.send_text(wrong)
            assert list(socket.receive_json()) == ["error"]


def test_without_its_data_a_run_of_videos_shows_heads_that_are_drawn():
    run = vdd.load(tiny.ROOT / "experiments" / "heads")
    gallery = Gallery(run)
    assert len(gallery.chosen()) == gallery.count == drawn_faces.COUNT
    clip = gallery.clip(3)
    assert clip.frames.shape == (drawn_faces.FRAMES, *run.model.latents.size)
    drawn = eval(clip.call, {"drawn_faces": drawn_faces})[0]
    np.testing.assert_array_equal(drawn, clip.frames)


@pytest.mark.parametrize("face", [True, False])
def test_the_line_of_a_long_clip_reads_its_first_frames(monkeypatch, tmp_path, face):
    """The face wanders: where it is depends on how many frames are looked at."""
    run = SimpleNamespace(
        model=SimpleNamespace(latents=SimpleNamespace(size=(16, 16, 3))), ground=(0, 0, 0)
    )
    path = tmp_path / "who.npy"
    np.save(path, tiny.random_video(1, 12)[0].repeat(4, 1).repeat(4, 2))
    limits = LIMITS._replace(frames=4)
    reader = SimpleNamespace(read=lambda request: reading.read(request, limits))
    names = {"run": run, "framing": framing, "video_io": video_io}

    def wanders():
        count = itertools.count()
        found = lambda frame: faces.Face(20, 3 * next(count), 40, 30)  # noqa: E731
        monkeypatch.setattr(faces, "find_face", found)

    wanders()
    clip = clips.of_file(path, str(path), "", face)
    answer = clips.read(clip, run, reader)
    assert len(answer.video) == 4
    wanders()
    call = clips.as_read(clip, answer).call
    np.testing.assert_array_equal(eval(call, names)[0], answer.video)


def test_faces_are_looked_for_by_models_of_videos_alone(run, monkeypatch):
    heads = vdd.load(tiny.ROOT / "experiments" / "heads")
    for there, expected in ((True, True), (None, False)):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name, there=there: there)
        assert clips.finds_faces(heads) is expected
        assert not clips.finds_faces(run)
