"""The page in a real browser: a headless Chromium that is there (VDD_CHROMIUM, else in PATH)."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import serving
import tiny

from vdd.data import drawn_faces, encoders, video_io

pytest.importorskip("playwright", reason="playwright is not installed")
from browsing import SECONDS, codes, drawing, drop, moved, pixels
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = os.environ.get("VDD_CHROMIUM") or shutil.which("chromium") or ""
pytestmark = [
    pytest.mark.browser,
    pytest.mark.process,
    pytest.mark.usefixtures("few_characters"),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium in PATH, and VDD_CHROMIUM is not set"),
]
expect.set_options(timeout=SECONDS)


@pytest.fixture(scope="module")
def camera_file(tmp_path_factory) -> Path:
    """A head that moves, as Chromium takes a video for a camera."""
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    matrix = np.array([[77, 150, 29], [-43, -85, 128], [128, -107, -21]]) / 256
    planes = drawn_faces.clip(1) @ matrix.T + [0, 128, 128]
    planes = np.clip(planes, 0, 255).astype(np.uint8)
    luma, colours = planes[..., 0], planes[:, ::2, ::2, 1:]
    frames = [
        b"FRAME\n" + one.tobytes() + colour[..., 0].tobytes() + colour[..., 1].tobytes()
        for one, colour in zip(luma, colours, strict=True)
    ]
    path.write_bytes(b"YUV4MPEG2 W64 H64 F10:1 Ip A1:1 C420jpeg\n" + b"".join(frames))
    return path


@pytest.fixture(scope="module")
def address(tiny_run, tmp_path_factory) -> Iterator[str]:
    with serving.listening(tiny_run, tmp_path_factory.mktemp("dropped")) as (_, place):
        yield place


@pytest.fixture(scope="module")
def browser(camera_file):
    arguments = ["--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream"]
    arguments.append("--use-fake-device-for-media-stream")
    arguments.append(f"--use-file-for-fake-video-capture={camera_file}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield started
        started.close()


@contextmanager
def opened(browser, address: str, **how) -> Iterator[Page]:
    """The page once it has drawn; no script of it may have failed."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **how})
    context.set_default_timeout(SECONDS)
    page, wrong = context.new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.locator("#bytes tr").first.wait_for()
    yield page
    context.close()
    assert not wrong


def test_motion_is_swapped_edited_and_taken_back(browser, address):
    with opened(browser, address) as page:
        first = codes(page)
        assert len(first) == 8
        with drawing(page):
            page.locator("#pick-motion .gallery button").first.click()
        second = codes(page)
        with drawing(page):
            page.locator("[data-tool=reverse]").click()
        assert codes(page) == second[::-1]
        tiles = page.locator(".tile")
        tiles.nth(2).click()
        page.keyboard.press("Shift+ArrowRight")
        expect(page.locator("#selected")).to_have_text("frames 3 to 4 of 8 selected")
        with drawing(page):
            page.keyboard.press("Control+x")
        assert codes(page) == second[::-1][:2] + second[::-1][4:]
        page.keyboard.press("End")
        with drawing(page):
            page.keyboard.press("Control+v")
        assert codes(page) == [*second[::-1][:2], *second[::-1][4:], *second[::-1][2:4]]
        for _ in range(3):
            with drawing(page):
                page.locator("[data-tool=undo]").click()
        assert codes(page) == second
        with drawing(page):
            page.locator("[data-tool=redo]").click()
        assert codes(page) == second[::-1]
        with drawing(page):
            page.locator(".words button").nth(3).click()
        assert len(codes(page)) == 9
        expect(page.locator("#selected")).to_have_text("frame 9 of 9 selected")
        page.locator("#insert").check()
        with drawing(page):
            page.locator("#pick-motion .gallery button").nth(4).click()
        assert len(codes(page)) == 17


def test_fingers_select_by_two_taps(browser, address):
    size = {"width": 390, "height": 844}
    with opened(browser, address, viewport=size, has_touch=True, is_mobile=True) as page:
        told = page.locator("#selected")
        expect(told).to_have_text("8 frames; tap two to select some, else all are meant")
        for place, words in ((4, "frame 5"), (2, "frames 3 to 5"), (3, "frame 4")):
            page.locator(".tile").nth(place).tap()
            expect(told).to_have_text(f"{words} of 8 selected")
        page.locator(".tile").nth(3).tap()
        expect(told).to_contain_text("tap two")


def test_playing_is_in_step_and_stops(browser, address):
    with opened(browser, address) as page:
        with drawing(page):
            page.locator(".words button").last.click()  # another code than that of frame 8
        page.locator("#play").click()
        expect(page.locator("#play")).to_have_attribute("aria-label", "Play")
        page.locator("#scrub").fill("7")
        before = pixels(page, "content"), pixels(page, "result")
        page.locator("#next").click()
        expect(page.locator("#frame")).to_have_text("9 / 9")
        assert not np.array_equal(pixels(page, "result"), before[1])
        page.locator("body").press(",")
        expect(page.locator("#frame")).to_have_text("8 / 9")
        for name, shown in zip(("content", "result"), before, strict=True):
            assert np.array_equal(pixels(page, name), shown)
        page.locator("#onion").check()
        assert not np.array_equal(pixels(page, "result"), before[1])
        page.locator("#compare").select_option("steps:1")
        expect(page.locator("#other")).to_be_visible()
        assert pixels(page, "other").any()


def test_files_are_dropped_saved_and_refused(browser, address, tmp_path):
    video = tiny.random_video(1, 2, seed=9)[0]
    with opened(browser, address) as page:
        chooser = page.locator("#pick-content .file")
        with drawing(page):
            chooser.set_input_files(
                {"name": "me.gif", "mimeType": "image/gif", "buffer": encoders.gif(video, 8)}
            )
        expect(page.locator("#content .name")).to_have_text("me.gif")
        wrong = {"name": "no.gif", "mimeType": "image/gif", "buffer": b"GIF89a nonsense"}
        chooser.set_input_files(wrong)
        expect(page.locator("#error span")).to_have_text(re.compile(r"^Cannot be read .*\.$"))
        expect(page.locator("#content .name")).to_have_text("me.gif")
        page.locator("#error button").click()
        expect(page.locator("#error")).to_be_hidden()
        drop(page, "#pick-motion", "moves.npy", encoders.npy(video))
        expect(page.locator("#motion .name")).to_have_text("moves.npy")
        expect(page.locator(".tile")).to_have_count(2)
        for kind in ("gif", "mp4", "png", "npy", "vdd"):
            with page.expect_download() as download:
                page.locator(f"#out [data-kind={kind}]").click()
            path = tmp_path / f"saved.{kind}"
            download.value.save_as(path)
            if kind == "vdd":
                coded = path.read_bytes()
                assert coded[1:4] == b"VDD"
            else:
                assert len(video_io.read_clip(path)) == (1 if kind == "png" else 2)
        was = codes(page)
        with drawing(page):
            page.locator("[data-tool=stretch]").click()
        drop(page, "#pick-motion", "saved.vdd", coded)
        expect(page.locator("#motion .name")).to_have_text("saved.vdd")
        assert codes(page) == was
        assert pixels(page, "motion").any()
        page.locator("#out [data-kind=py]").click()
        expect(page.locator("#call pre")).to_contain_text("run.decode(")


def test_a_camera_drives_the_content(browser, address):
    with opened(browser, address) as page:
        page.locator("#camera summary").click()
        page.locator("#live").click()
        told = page.locator("#live-told")
        expect(told).to_have_text(re.compile(r"\d+ ms, [\d.]+ frames a second"))
        assert pixels(page, "result").any()
        page.locator("#live").click()
        expect(page.locator("#live")).to_have_text("Start camera")
        page.locator("#stand-in").click()
        expect(told).to_have_text(re.compile(r"frames a second"))


def test_a_camera_drives_a_face(browser, tmp_path_factory):
    heads = tiny.ROOT / "experiments" / "heads"
    with (
        serving.listening(heads, tmp_path_factory.mktemp("heads")) as (_, address),
        opened(browser, address) as page,
    ):
        page.locator("#play").click()
        page.locator("#camera summary").click()
        page.locator("#live").click()
        told = page.locator("#live-told")
        expect(told).to_have_text(re.compile(r"\d+ ms, [\d.]+ frames a second"))
        faces = moved(page, 6)
        # It is the content that moves, by more than an encoder's noise and less than another face.
        still = pixels(page, "content")
        away = [np.abs(face - still).mean() for face in faces]
        assert 1 < max(away) < 40
        page.locator("#pick-content .gallery button").nth(1).click()
        expect(page.locator("#content .name")).to_have_text("drawn head 1")
        expect(told).to_have_text(re.compile(r"frames a second"))
        other = moved(page, 2)[-1]
        assert np.abs(other - pixels(page, "content")).mean() < 40
        assert np.abs(other - faces[-1]).mean() > 20
        if picture := os.environ.get("VDD_SCREENSHOTS"):
            page.screenshot(path=Path(picture, "camera.png"), full_page=True)
        page.locator("#live").click()
        expect(page.locator("#live")).to_have_text("Start camera")
        page.wait_for_timeout(500)  # what was on its way is not shown any more
        assert told.text_content() == ""


def test_two_at_once_do_not_see_each_other(browser, address):
    with opened(browser, address) as one, opened(browser, address) as other:
        before = codes(other)
        with drawing(one):
            one.locator("[data-tool=repeat]").click()
        assert len(codes(one)) == 16
        assert codes(other) == before
        with drawing(other):
            other.locator("[data-tool=stretch]").click()
        assert codes(other) == [code for code in before for _ in range(2)]


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
)
def test_everything_fits_and_has_a_name(browser, address, tmp_path, scheme, width):
    size = {"width": width, "height": 844}
    with opened(browser, address, viewport=size, color_scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", dark)[:3])) < 100) == (scheme == "dark")
        for role in ("button", "combobox", "slider", "checkbox", "spinbutton", "textbox"):
            for control in page.get_by_role(role).all()[:60]:
                snapshot = control.aria_snapshot()
                assert re.match(rf'- {role} "[^"]+"', snapshot), snapshot
        picture = os.environ.get("VDD_SCREENSHOTS", tmp_path)
        page.screenshot(path=Path(picture, f"{scheme}_{width}.png"), full_page=True)
