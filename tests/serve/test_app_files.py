"""What the page is answered to files, and to what is not as it ought to be."""

import json
import os
import re
import resource
import signal
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import serving
import tiny
from asked import npy

import vdd
from vdd import cli
from vdd.data import encoders, faces, framing, video_io
from vdd.serve import clips, reading
from vdd.serve import server as serve_server
from vdd.serve.clips import Gallery
from vdd.serve.limits import LIMITS

pytestmark = pytest.mark.usefixtures("few_characters")


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
