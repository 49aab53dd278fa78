"""The server: its runs, threads and clients, and the addresses of `routes` and `camera`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TypeVar

from etils import epath
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from vdd.errors import UserError
from vdd.run import Run
from vdd.serve import camera, routes
from vdd.serve.ask import TooMuch, sentence
from vdd.serve.client import Client, Clients
from vdd.serve.guard import Guard
from vdd.serve.limits import LIMITS, Limits
from vdd.serve.reading import Reader
from vdd.serve.rooms import Room, Shown
from vdd.serve.work import CancelledError, Job, Steps, Worker

T = TypeVar("T")

OWN = "server"  # whose turns take what nobody has asked for
_BEHIND = "~"


class Server:
    """What requests share; `app` is the ASGI application."""

    def __init__(
        self,
        runs: Mapping[str, Run],
        folder: epath.PathLike,
        host: str = "127.0.0.1",
        port: int = 8000,
        token: str | None = None,
        limits: Limits = LIMITS,
    ):
        """Args as `vdd serve` has them.

        Args:
            runs: by the names under which they are shown.
            folder: a temporary one, for files that are dropped; whoever made it removes it.
            host: what is bound.
            port: what is bound.
            token: what requests must know; None asks for none.
            limits: on everything.
        """
        self.limits = limits
        self.rooms = {name: Room(name, run, limits) for name, run in runs.items()}
        self.clients = Clients(epath.Path(folder), limits)
        self.reader = Reader(limits)
        # Of two threads one may compile for long while the other draws.
        self.drawing = Worker("drawing", threads=2, most=limits.jobs)
        self.reading = Worker("reading", threads=1, most=limits.jobs)
        self.app = Guard(self._application(), host, port, token)

    def _application(self) -> Starlette:
        app = Starlette(
            routes=[
                *(Route(path, function, methods=[method]) for method, path, function in routes.ALL),
                WebSocketRoute("/api/camera", camera.camera),
                Mount("/static", StaticFiles(directory=routes.STATIC)),
            ],
            exception_handlers={
                UserError: _tell,
                HTTPException: _tell_http,
                Exception: _tell_unforeseen,
            },
            lifespan=self._live,
        )
        app.state.server = self
        return app

    @contextlib.asynccontextmanager
    async def _live(self, app: Starlette) -> AsyncIterator[None]:
        for room in self.rooms.values():
            self.drawing.submit(OWN, room.warm_up())
        yield
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Ends all work, and forgets everybody."""
        self.reader.close()
        self.drawing.close()
        self.reading.close()
        self.clients.close()

    def new_client(self) -> Client:
        """Somebody has opened the page."""
        client, gone = self.clients.new()
        for worker, owner in self._lines(gone) if gone else ():
            worker.cancel_all(owner)
        return client

    def client(self, request: Request) -> Client:
        """Who asks.

        Raises:
            UserError: nobody who is known.
        """
        return self.clients.find(request.headers.get("x-vdd-client", ""))

    def room(self, name: str) -> Room:
        """The run of that name.

        Raises:
            UserError: none such is served.
        """
        if name not in self.rooms:
            raise UserError("there is no such run here")
        return self.rooms[name]

    def find_job(self, client: Client, name: str) -> Job | None:
        """Work of a client, as long as it is not done."""
        found = (worker.find(owner, name) for worker, owner in self._lines(client))
        return next((job for job in found if job is not None), None)

    def _lines(self, client: Client) -> list[tuple[Worker, str]]:
        """Where work of a client may be."""
        drawing = [(self.drawing, client.id), (self.drawing, client.id + _BEHIND)]
        return [*drawing, (self.reading, client.id)]

    async def do(
        self,
        client: Client,
        steps: Steps[T],
        lane: str = "",
        name: str = "",
        behind: bool = False,
    ) -> T:
        """What work gives, once it is done; the event loop waits without blocking.

        Work `behind` the page, the atlas say, has turns of its own: what is looked at does not wait
        for it.
        """
        owner = client.id + (_BEHIND if behind else "")
        job = self.drawing.submit(owner, steps, lane, name)
        return await asyncio.wrap_future(job.future)

    async def show(self, client: Client, room: Room, name: str, job: str = "") -> Shown:
        """A clip as a run takes it, and what it reads in it.

        Raises:
            UserError: there is no such clip, or it cannot be read.
        """
        row = room.find_row(name)
        if row is not None:
            return await self.do(client, room.row(row), name=job)
        known = client.kept(name, room.name)
        if known is None:
            opening = self.reading.submit(client.id, room.open(client, name, self.reader), name=job)
            answer = await asyncio.wrap_future(opening.future)
            steps = room.take(client.find(name), answer)
            known = await self.do(client, steps, name=job)
            client.keep(name, room.name, known, answer.video.nbytes)
        return known


async def _tell(request: Request, error: Exception) -> Response:
    if isinstance(error, CancelledError):  # which the page has asked for
        return Response(status_code=204)
    status = 413 if isinstance(error, TooMuch) else 400
    return JSONResponse({"error": sentence(str(error))}, status)


async def _tell_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    known = {404: "there is nothing at this address", 405: "that is not asked for in this way"}
    text = known.get(error.status_code, error.detail)
    return JSONResponse({"error": sentence(text)}, error.status_code)


async def _tell_unforeseen(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "Something went wrong that was not foreseen."}, 500)
