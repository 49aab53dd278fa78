"""What is done on the page in a browser, and seen there."""

import base64
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="playwright is not installed")
from playwright.sync_api import Page

SECONDS = 300_000  # milliseconds: of compiling, on a machine that does ten other things


def drawn(page: Page) -> int:
    """How often the page has drawn its strip."""
    return page.evaluate("page.latencies.length")


@contextmanager
def drawing(page: Page) -> Iterator[None]:
    """What is done in this block makes the page draw."""
    before = drawn(page)
    yield
    for _ in range(1800):
        if drawn(page) > before:
            return
        page.wait_for_timeout(100)
    raise AssertionError("nothing was drawn")


def codes(page: Page) -> list[str]:
    """The codes of the strip, as screen readers are told."""
    tiles = page.locator(".tile").all()
    return [re.sub(r".*code ", "", tile.get_attribute("aria-label")) for tile in tiles]


def pixels(page: Page, name: str) -> np.ndarray:
    """What a canvas shows [h w 4], as one string: a list of numbers takes a page too long."""
    address = page.evaluate(f'document.querySelector("#{name} canvas").toDataURL()')
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as picture:
        return np.array(picture.convert("RGBA"), int)


def drop(page: Page, target: str, name: str, data: bytes) -> None:
    """Drops a file on an element, as from a folder."""
    transfer = page.evaluate_handle(
        """([name, bytes]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(bytes)], name));
          return transfer;
        }""",
        [name, list(data)],
    )
    with drawing(page):
        page.dispatch_event(target, "drop", {"dataTransfer": transfer})


def moved(page: Page, count: int) -> list[np.ndarray]:
    """Pictures of the result that are unlike those before."""
    found = [pixels(page, "result")]
    for _ in range(1800):
        if len(found) > count:
            return found[1:]
        page.wait_for_timeout(100)
        now = pixels(page, "result")
        if np.abs(now - found[-1]).max():
            found.append(now)
    raise AssertionError(f"the result has moved {len(found) - 1} times")
