"""What is asked, checked: nothing of a request is believed before it has passed here."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator

import numpy as np
from jaxtyping import Int
from starlette.requests import ClientDisconnect, Request

from vdd.errors import UserError
from vdd.serve.limits import Limits
from vdd.serve.studio import Studio
from vdd.values import Json

MOST_STEPS = 32


class TooMuch(UserError):
    """More is sent than is taken."""


async def pieces(request: Request, most: int, limits: Limits) -> AsyncIterator[bytes]:
    """The body of a request, piece by piece.

    Raises:
        TooMuch: it is larger than `most` bytes.
        UserError: it does not arrive in time, or breaks off.
    """
    size = 0
    try:
        async with asyncio.timeout(limits.body_seconds):
            async for piece in request.stream():
                size += len(piece)
                if size > most:
                    raise TooMuch(f"that is more than the {most:,} bytes that are taken")
                yield piece
    except TimeoutError as error:
        raise UserError(f"sending that took more than {limits.body_seconds:g} seconds") from error
    except ClientDisconnect as error:
        raise UserError("the sending broke off") from error


async def question(request: Request, limits: Limits) -> "Question":
    """The JSON object in a request's body.

    Raises:
        UserError: there is none.
    """
    parts = [piece async for piece in pieces(request, limits.question_bytes, limits)]
    try:
        fields = json.loads(b"".join(parts) or b"{}")
    except (ValueError, RecursionError) as error:
        raise UserError("what was asked is no JSON") from error
    if not isinstance(fields, dict):
        raise UserError("what was asked is no JSON object")
    return Question(fields)


class Question:
    """Fields of a request; each method gives one, or raises a UserError that names it."""

    def __init__(self, fields: Json):
        self._fields = fields

    def text(self, name: str, default: str | None = None, most: int = 200) -> str:
        """A short text."""
        value = self._fields.get(name, default)
        if not isinstance(value, str) or len(value) > most or not value.isprintable():
            raise UserError(f"{name} is to be a short text")
        return value

    def whole(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """A whole number between two, both included."""
        value = self._fields.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise UserError(f"{name} is to be a whole number from {low} to {high}")
        return value

    def number(self, name: str, low: float, high: float, default: float | None = None) -> float:
        """A number between two."""
        value = self._fields.get(name, default)
        known = isinstance(value, int | float) and not isinstance(value, bool)
        if not known or not math.isfinite(value) or not low <= value <= high:
            raise UserError(f"{name} is to be a number from {low:g} to {high:g}")
        return float(value)

    def steps(self) -> int | None:
        """Steps of the sampler; None leaves them to the run."""
        if self._fields.get("steps") is None:
            return None
        return self.whole("steps", 0, MOST_STEPS)

    def seed(self) -> int:
        """Of all that is random."""
        return self.whole("seed", 0, 2**32 - 1, 0)

    def fps(self) -> float:
        """Frames a second."""
        return self.number("fps", 0.1, 240, 8.0)

    def codes(self, studio: Studio, most: int) -> Int[np.ndarray, "t n"]:
        """Codes of a run, at least one and at most so many frames of them."""
        rows = self._fields.get("codes")
        if not isinstance(rows, list) or not 1 <= len(rows) <= most:
            raise UserError(f"codes are to be those of 1 to {most} frames")
        for row in rows:
            good = isinstance(row, list) and len(row) == studio.groups
            if not good or not all(type(x) is int and 0 <= x < studio.codes for x in row):
                raise UserError(
                    f"a frame has {studio.groups} codes, whole numbers from 0 to {studio.codes - 1}"
                )
        return np.array(rows, np.int32)


def job_name(request: Request) -> str:
    """By what the page will ask how far its work is; "" where it will not."""
    name = request.headers.get("x-vdd-job", "")
    return name if re.fullmatch(r"[0-9a-f]{1,32}", name) else ""


def sentence(text: str) -> str:
    """A message as one sentence."""
    text = " ".join(text.split())[:300]
    return (text[:1].upper() + text[1:]).rstrip(".") + "."
