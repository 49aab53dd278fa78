"""Live: frames of a camera come over a WebSocket, and each drives the content that was chosen.

A frame is sent when the one before has been answered. So a slow machine gives fewer frames, and
never late ones. Frames come as plain pixels (RGBA), and no decoder is asked.
"""

import asyncio
import collections
import contextlib
import json

import jax
import numpy as np
from jaxtyping import UInt8
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from vdd import compiled
from vdd.data.picture_files import with_ground
from vdd.errors import UserError
from vdd.serve.ask import Question, sentence
from vdd.serve.routes import as_png
from vdd.serve.studio import Studio
from vdd.serve.work import CancelledError, Progress, Steps

_TOO_BIG, _WRONG = 1009, 1008  # reasons to close, RFC 6455


async def camera(socket: WebSocket) -> None:
    """First a JSON object (client, run, clip), then frames; each is answered by a PNG."""
    await socket.accept()
    server = socket.app.state.server
    with contextlib.suppress(WebSocketDisconnect):
        try:
            asked = _question(await _message(socket, server.limits.head_seconds))
            client = server.clients.find(asked.text("client"))
            room = server.room(asked.text("run"))
            shown = await server.show(client, room, asked.text("clip"))
            await socket.send_text("ready")
            live = Live(room.studio, shown.read.content)
            while True:
                message = await _message(socket, server.limits.body_seconds)
                frame = live.frame(message.get("bytes"))
                with contextlib.suppress(CancelledError):
                    await socket.send_bytes(await server.do(client, live.answer(frame)))
        except UserError as error:
            await socket.send_text(json.dumps({"error": sentence(str(error))}))
            await socket.close(_WRONG)


async def _message(socket: WebSocket, seconds: float) -> Message:
    """What comes next; a page that is hidden sends nothing, and lets go of its camera."""
    try:
        async with asyncio.timeout(seconds):
            return await socket.receive()
    except TimeoutError as error:
        raise UserError(f"no frame has come for {seconds:g} seconds") from error


def _question(message: Message) -> Question:
    try:
        fields = json.loads(message.get("text") or "")
    except (ValueError, RecursionError) as error:
        raise UserError("what was asked is no JSON") from error
    return Question(fields if isinstance(fields, dict) else {})


class Live:
    """Frames one by one to pictures; motion is read with the few frames before."""

    def __init__(self, studio: Studio, content: np.ndarray):
        self._studio, self._content = studio, content
        before = studio.run.model.motion_window or 1
        self._frames: collections.deque[np.ndarray] = collections.deque(maxlen=before)
        self._read = compiled.Reader(studio.run.model, studio.run.params)

    def frame(self, data: bytes | None) -> UInt8[np.ndarray, "h w c"]:
        """The pixels of a message.

        Raises:
            UserError: they are not a frame of the model's size.
        """
        if data is None:
            raise WebSocketDisconnect
        height, width, _ = self._studio.run.model.latents.size
        if len(data) != height * width * 4:
            raise UserError(f"a frame is to be {width}x{height} pixels, RGBA")
        pixels = np.frombuffer(data, np.uint8).reshape(height, width, 4)
        return with_ground(pixels, self._studio.run.ground)

    def answer(self, frame: UInt8[np.ndarray, "h w c"]) -> Steps[bytes]:
        """The content in the motion of this frame, as a PNG."""
        while len(self._frames) < (self._frames.maxlen or 1) - 1:
            self._frames.append(frame)
        self._frames.append(frame)
        yield Progress(0, 2, "reading")
        video = np.stack(list(self._frames))[None]
        codes = np.asarray(jax.device_get(self._read(video).codes))
        drawn = yield from self._studio.draw(self._content, codes[0, -1:])
        return (yield from as_png(drawn))
