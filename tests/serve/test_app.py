"""What the page asks of the server, and what it is answered."""

import importlib.util
import io
import itertools
import json
import os
import re
import resource
import signal
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import serving
import tiny
from PIL import Image

import vdd
from vdd import apply, cli, compiled
from vdd.data import drawn_faces, encoders, faces, framing, synthetic, video_io
from vdd.models.prior import MotionPrior
from vdd.serve import clips, reading
from vdd.serve import server as serve_server
from vdd.serve.clips import Gallery
from vdd.serve.limits import LIMITS

pytestmark = pytest.mark.usefixtures("few_characters")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("dropped")


@pytest.fixture(scope="module")
def page(tiny_run, place):
    with serving.asking(tiny_run, place) as asking:
        yield asking


@pytest.fixture(scope="module")
def run(tiny_run):
    return vdd.load(tiny_run)


@pytest.fixture(scope="module")
def gallery(page):
    return page.ask("/api/gallery").json()


CODES = [[i % 8, (3 * i) % 8] for i in range(11)]


def npy(video) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, video)
    return buffer.getvalue()


def test_the_page_and_all_that_it_names_are_served(page):
    html = page.http.get("/")
    assert html.status_code == 200
    assert "http" not in re.sub(r"http-equiv", "", html.text)  # nothing from elsewhere
    names = set(re.findall(r"/static/[\w.]+", html.text))
    static = Path(serve_server.__file__).parent / "static"
    names |= {f"/static/{path.name}" for path in static.iterdir()}
    for name in names:
        assert page.http.get(name).status_code == 200, name
    for path in static.glob("*.js"):
        for other in re.findall(r'from "\./([\w.]+)"', path.read_text()):
            assert (static / other).exists()


def test_scripts_and_labels_name_what_is_on_the_page():
    static = Path(serve_server.__file__).parent / "static"
    html = (static / "index.html").read_text()
    ids = set(re.findall(r'id="([\w-]+)"', html))
    for path in static.glob("*.js"):
        assert set(re.findall(r'\$\("([\w-]+)"\)', path.read_text())) <= ids, path
    for control in re.findall(r"<(?:select|input)[^>]*>", html):
        before = html[: html.index(control)]
        labelled = before.rfind("<label") > before.rfind("</label>")
        assert labelled or "aria-label" in control, control


def test_a_run_is_told_without_its_place(page, tiny_run):
    told = page.http.post("/api/hello")
    about = told.json()["runs"][0]
    assert (about["name"], about["size"], about["groups"], about["codes"]) == (
        "tiny", [16, 16], 2, 8,
    )  # fmt: skip
    assert str(tiny_run.parent) not in told.text


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


def test_files_are_read_as_commands_read_them(page, run, place):
    video = tiny.random_video(1, 2)[0]
    for name, data in (
        ("who.npy", npy(video)),
        ("who.GIF", encoders.gif(video, 10)),
        ("who.png", encoders.png(video[:1])),
    ):
        answer = page.upload(data, name)
        assert answer.status_code == 200, answer.text
        clip = answer.json()
        path = place.parent / f"same{Path(name).suffix.lower()}"
        path.write_bytes(data)
        same = video_io.read_clip(path, (16, 16))
        assert (clip["name"], clip["frames"]) == (name, len(same))
        assert clip["codes"] == run.encode(same[None]).codes[0].tolist()
    large = page.upload(npy(np.zeros((1, 20, 30, 3), np.uint8)), "large.npy").json()
    assert large["told"] == "30x20, scaled and cropped to the model's 16x16"


def test_a_sheet_is_read_by_its_layout(page):
    sheet = encoders.contact_sheet(tiny.random_video(1, 4)[0], gap=0)
    answer = page.upload(encoders.png(sheet[None]), "sheet.png", layout="4x1").json()
    assert answer["frames"] == 4
    assert "4x1 cells of 16x16" in answer["told"]
    wrong = page.upload(encoders.png(sheet[None]), "sheet.png", layout="5x1")
    assert wrong.status_code == 400
    assert "are not 5x1 cells" in wrong.json()["error"]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.gif", b"GIF89a nonsense", "Cannot be read"),
        ("a.exe", b"MZ", "no picture"),
        ("../../etc/passwd", b"", "no picture"),
        ("a.npy", b"", "annot be read"),
        ("x.mp4", b"\0" * 100, "Cannot be read"),
    ],
)
def test_a_wrong_file_is_one_sentence(page, place, name, data, words):
    before = set(place.iterdir())
    answer = page.upload(data, name)
    assert answer.status_code == 400
    text = answer.json()["error"]
    assert words in text
    assert text.count(".") - text.count("..") <= 2
    assert str(place) not in text
    assert set(place.iterdir()) == before


def test_what_is_too_large_is_refused(tiny_run, tmp_path):
    limits = LIMITS._replace(upload_bytes=3000, pixels=400, frames=5, clips=2, question_bytes=500)
    with serving.asking(tiny_run, tmp_path, limits) as page:
        video = np.zeros((7, 4, 4, 3), np.uint8)
        clip = page.upload(npy(video), "long.npy").json()
        assert clip["frames"] == 5
        assert "its first 5 frames are read" in clip["told"]
        answer = page.upload(npy(np.zeros((2, 32, 32, 3), np.uint8)), "big.npy")
        assert answer.status_code == 413
        answer = page.upload(encoders.png(np.zeros((1, 30, 30, 3), np.uint8)), "many.png")
        assert "30x30 pixels, more than the 400 of a frame" in answer.json()["error"]
        assert page.ask("/api/draw", clip=clip["id"], codes=[[0, 0]] * 6).status_code == 400
        assert page.ask("/api/draw", clip="x" * 600).status_code == 413
        for _ in range(3):
            page.upload(npy(video), "again.npy")
        assert len(list(tmp_path.glob("*.npy"))) == 2
        assert "no longer there" in page.ask("/api/read", clip=clip["id"]).text
    assert not list(tmp_path.iterdir())  # nothing is kept


def test_motion_comes_back_from_the_file_that_was_saved(page, gallery, tiny_run, tmp_path):
    codes = [[0, 1], [3, 2], [0, 1]]
    data = page.ask("/api/out/vdd", clip=gallery[0]["id"], codes=codes, fps=12.5).content
    assert page.code(data).json() == {"codes": codes, "fps": 12.5}
    assert "Not a vdd clip" in page.code(b"nothing").json()["error"]
    with serving.asking(tiny_run, tmp_path, LIMITS._replace(frames=2)) as other:
        assert "more than the 2 frames" in other.code(data).json()["error"]


def test_a_file_that_takes_too_long_is_stopped(tiny_run, tmp_path, monkeypatch):
    start = reading.Reader._start

    def start_and_hold(reader):
        start(reader)
        os.kill(reader._process.pid, signal.SIGSTOP)

    monkeypatch.setattr(reading.Reader, "_start", start_and_hold)
    with serving.asking(tiny_run, tmp_path, LIMITS._replace(read_seconds=0.0)) as page:
        answer = page.upload(npy(np.zeros((2, 16, 16, 3), np.uint8)), "slow.npy")
        assert "Takes more than 0 seconds" in answer.json()["error"]


def test_the_process_that_reads_may_write_to_no_file(page):
    page.upload(npy(tiny.random_video(1, 1)[0]), "any.npy")
    pid = page.server.reader._process.pid
    assert resource.prlimit(pid, resource.RLIMIT_FSIZE) == (0, 0)
    assert resource.prlimit(pid, resource.RLIMIT_AS)[0] == LIMITS.reader_bytes


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


def test_clips_of_one_are_not_there_for_another(page):
    clip = page.upload(npy(tiny.random_video(1, 2)[0]), "mine.npy").json()["id"]
    assert page.ask("/api/read", clip=clip).status_code == 200
    other = serving.Asking(page.server, page.http, page.run)
    assert other.ask("/api/read", clip=clip).status_code == 400
    other.headers = {}
    assert "load it again" in other.ask("/api/read", clip=clip).json()["error"]


def test_words_are_counted_and_ordered_by_use(page):
    words = page.ask("/api/words").json()
    shares = [word["share"] for word in words]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1) or len(words) == 192


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


@pytest.mark.parametrize("asks", [False, True])
def test_a_camera_that_shows_nothing_is_let_go(tiny_run, tmp_path, asks):
    limits = LIMITS._replace(head_seconds=60.0 if asks else 0.1, body_seconds=0.1)
    with serving.asking(tiny_run, tmp_path, limits) as page:
        clip = page.ask("/api/gallery").json()[0]["id"]
        asked = {"client": page.headers["x-vdd-client"], "run": page.run, "clip": clip}
        with page.http.websocket_connect("ws://127.0.0.1:8000/api/camera") as socket:
            if asks:
                socket.send_text(json.dumps(asked))
                assert socket.receive_text() == "ready"
            assert "no frame has come" in socket.receive_json()["error"].lower()


def test_without_the_extra_one_line_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(serve_server, "NEEDED", ("starlette", "not_there"))
    assert cli.main(["serve", "sprites"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "vdd: vdd serve needs not_there: pip install 'vdd-video[serve]'"
        " (in a clone: pip install -e '.[serve]')\n"
    )


def test_a_port_that_is_taken_is_told_before_any_work(capsys):
    with serve_server.bound("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["serve", "sprites", "--port", str(port)]) == 2
    assert capsys.readouterr().err.startswith(f"vdd: 127.0.0.1, port {port}: ")


def test_without_its_data_a_run_shows_the_examples_that_lie_with_it(monkeypatch):
    monkeypatch.delenv("VDD_UNIVERSAL_LPC", raising=False)
    shown = Gallery(vdd.load("universal_lpc"))
    assert shown.count == len(shown.chosen()) == 1
    clip = shown.clip(shown.any())
    assert clip.frames.shape == (5, 64, 64, 4)
    assert clip.call.startswith("sheet_files.read_clip('universal_lpc/examples/idle.png', ")
    assert len(np.unique(clip.frames, axis=0)) == 5


def test_without_its_data_a_run_of_videos_shows_heads_that_are_drawn():
    run = vdd.load(tiny.ROOT / "experiments" / "heads")
    gallery = Gallery(run)
    assert len(gallery.chosen()) == gallery.count == drawn_faces.COUNT
    clip = gallery.clip(3)
    assert clip.frames.shape == (drawn_faces.FRAMES, *run.model.latents.size)
    drawn = eval(clip.call, {"drawn_faces": drawn_faces})[0]
    np.testing.assert_array_equal(drawn, clip.frames)


def test_files_are_cropped_to_a_face_where_one_is_seen(monkeypatch, tmp_path):
    run = SimpleNamespace(
        model=SimpleNamespace(latents=SimpleNamespace(size=(16, 16, 3))), ground=(0, 0, 0)
    )
    video = tiny.random_video(1, 3)[0].repeat(4, 1).repeat(4, 2)
    path = tmp_path / "who.npy"
    np.save(path, video)
    reader = SimpleNamespace(read=lambda request: reading.read(request, LIMITS))
    clip = clips.of_file(path, str(path), "", face=True)
    names = {"run": run, "framing": framing, "video_io": video_io}
    for found, words in (
        (faces.Face(20, 10, 40, 30), "around the face"),
        (None, "no face is seen"),
    ):
        monkeypatch.setattr(faces, "find_face", lambda frame, found=found: found)
        answer = clips.read(clip, run, reader)
        assert words in answer.told
        call = clips.as_read(clip, answer).call
        np.testing.assert_array_equal(eval(call, names)[0], answer.video)
        assert ("read_face" in call) == (found is not None)
    assert answer.square is None
    np.testing.assert_array_equal(answer.video, tiny.random_video(1, 3)[0])


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
