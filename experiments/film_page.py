"""Films how the page of `vdd serve` is played on: a GIF of motion that is edited.

    python experiments/film_page.py [--run sprites] [--out docs/pictures/serve.gif]

Prints the median time from a change to the picture that it makes, as the page itself takes it.

Needs the extras `serve` and `dev`, and a Chromium in PATH (or $VDD_CHROMIUM). The page is served on
a port of loopback, and a script plays on it. Raises UserError where there is no Chromium.
"""

import argparse
import contextlib
import io
import os
import shutil
import socket
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import vdd
from vdd import files
from vdd.errors import UserError
from vdd.evaluation.report import machine
from vdd.serve.app import Server

VIEW: Any = {"width": 1100, "height": 620}
WIDTH, COLOURS, HOLD = 820, 96, 160  # of the GIF: pixels, colours, milliseconds a picture
LONG = 300_000  # milliseconds


@contextlib.contextmanager
def served(name: str) -> Iterator[str]:
    """The address of a page that serves a run."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        app = Server({name: vdd.load(name)}, Path(folder), port=port).app
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="websockets-sansio"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


class Film:
    """Pictures of a page, one after the other."""

    def __init__(self, page: Page):
        self.page, self.pictures = page, []

    def roll(self, count: int) -> None:
        """Films for a while."""
        for _ in range(count):
            shot = Image.open(io.BytesIO(self.page.screenshot()))
            height = shot.height * WIDTH // shot.width
            self.pictures.append(
                shot.convert("RGB").resize((WIDTH, height), Image.Resampling.LANCZOS)
            )

    def act(self, deed: Callable[[], None], count: int = 8) -> None:
        """Does what makes the page draw, waits until it has drawn, and films."""
        before = self._drawn()
        deed()
        while self._drawn() == before:
            self.page.wait_for_timeout(50)
        self.roll(count)

    def _drawn(self) -> int:
        """How often the page has drawn its strip."""
        return self.page.evaluate("page.latencies.length")

    def gif(self) -> bytes:
        """The film, in one palette."""
        every = Image.new("RGB", (WIDTH, sum(one.height for one in self.pictures[::6])))
        for number, one in enumerate(self.pictures[::6]):
            every.paste(one, (0, number * one.height))
        palette = every.quantize(COLOURS)
        plain = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in self.pictures]
        buffer = io.BytesIO()
        more = {"save_all": True, "append_images": plain[1:], "loop": 0, "duration": HOLD}
        plain[0].save(buffer, "GIF", optimize=True, **more)
        return buffer.getvalue()


def play(film: Film) -> None:
    """A motion is chosen, cut up, repeated, turned round; a code is inserted; two steps back."""
    page = film.page
    film.roll(8)
    film.act(page.locator("#pick-motion .gallery button").nth(4).click)
    film.act(page.locator("#pick-content .gallery button").nth(12).click)
    tiles = page.locator(".tile")
    tiles.nth(2).click()
    for _ in range(2):
        page.keyboard.press("Shift+ArrowRight")
        film.roll(1)
    film.act(lambda: page.keyboard.press("r"), 4)
    film.act(lambda: page.keyboard.press("v"), 4)
    page.locator("#play").click()
    film.roll(10)
    film.act(lambda: page.keyboard.press("Control+z"), 4)
    film.act(lambda: page.keyboard.press("Control+z"), 6)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", default="sprites")
    parser.add_argument("--out", default="docs/pictures/serve.gif")
    options = parser.parse_args(arguments)
    try:
        files.check(options.out)
        chromium = os.environ.get("VDD_CHROMIUM") or shutil.which("chromium")
        if not chromium:
            raise UserError("no chromium in PATH, and VDD_CHROMIUM is not set")
        with served(options.run) as address, sync_playwright() as playwright:
            how = {"executable_path": chromium, "args": ["--no-sandbox", "--disable-gpu"]}
            with playwright.chromium.launch(**how) as browser:
                page = browser.new_page(viewport=VIEW)
                page.goto(address)
                page.locator("#bytes tr").first.wait_for(timeout=LONG)
                page.wait_for_timeout(3000)  # until the atlas is drawn
                film = Film(page)
                play(film)
                times = page.evaluate("page.latencies")
        files.write(options.out, film.gif())
        print(*machine().values(), sep=", ")
        print(f"from a change to the picture: {statistics.median(times):.0f} ms of {len(times)}")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {len(film.pictures)} pictures")
    return 0


if __name__ == "__main__":
    sys.exit(main())
