"""What each address answers; all but the page itself is asked by the page's own scripts."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from vdd import files
from vdd.data import sheet_files, synthetic, video_io
from vdd.errors import UserError
from vdd.serve import ask, clips, out
from vdd.serve.client import Client
from vdd.serve.rooms import Room, Shown
from vdd.serve.studio import Studio
from vdd.serve.work import Progress, Steps
from vdd.values import Json

if TYPE_CHECKING:
    from vdd.serve.app import Server

STATIC = Path(__file__).parent / "static"


async def page(request: Request) -> Response:
    """The page."""
    return FileResponse(STATIC / "index.html")


async def hello(request: Request) -> Response:
    """Somebody has opened the page: who they are, and what is served."""
    server = _server(request)
    client = server.new_client()
    limits = server.limits
    return JSONResponse(
        {
            "client": client.id,
            "runs": [_about(room) for room in server.rooms.values()],
            "frames": limits.frames,
            "upload_bytes": limits.upload_bytes,
            "endings": [*video_io.INPUT_ENDINGS],
            "columns": out.COLUMNS,
            "mp4": out.has_mp4(),
        }
    )


def _about(room: Room) -> Json:
    studio = room.studio
    height, width, channels = studio.run.model.latents.size
    return {
        "name": room.name,
        "size": [height, width],
        "alpha": channels == 4,
        "groups": studio.groups,
        "codes": studio.codes,
        "steps": studio.sampler(None).steps,
        "prior": studio.prior is not None,
        "motions": room.motions,
        "faces": clips.finds_faces(studio.run),
    }


async def gallery(request: Request) -> Response:
    """Clips of the data set."""
    server, client, room = await _of_run(request)
    shown = await server.do(client, room.rows(), name=ask.job_name(request))
    return JSONResponse([_told(one) for one in shown])


async def random(request: Request) -> Response:
    """A clip of the data set, at random."""
    server, client, room = await _of_run(request)
    shown = await server.do(client, room.row(None), name=ask.job_name(request))
    return JSONResponse(_told(shown))


async def upload(request: Request) -> Response:
    """A file that was dropped, its bytes as the body; read at once by the run that is named."""
    server, limits = _server(request), _server(request).limits
    client = server.client(request)
    told = ask.Question(dict(request.query_params))
    room = server.room(told.text("run"))
    name, layout, face = told.text("name"), told.text("layout", ""), bool(told.text("face", ""))
    ending = re.search(r"\.[a-z0-9]{1,5}$", name.lower())
    if ending is None or ending[0] not in video_io.INPUT_ENDINGS:
        raise UserError("this is no picture, animation or video that is read here")
    if layout:
        sheet_files.parse(layout)
    path = client.new_file(ending[0])
    with files.writing(path) as file:
        async for piece in ask.pieces(request, limits.upload_bytes, limits):
            file.write(piece)
    clip = clips.of_file(path, name, layout, face and clips.finds_faces(room.studio.run))
    client.add(clip)
    server.clients.make_room()
    try:
        return JSONResponse(_told(await server.show(client, room, clip.id, ask.job_name(request))))
    except UserError:
        client.forget(clip.id)
        raise


async def coded(request: Request) -> Response:
    """The motion in a .vdd file that was dropped, its bytes as the body."""
    server, limits = _server(request), _server(request).limits
    client = server.client(request)
    room = server.room(ask.Question(dict(request.query_params)).text("run"))
    data = b"".join([piece async for piece in ask.pieces(request, limits.question_bytes, limits)])

    def work() -> Steps[out.Motion]:
        yield Progress(0, 1, "decoding motion")
        return room.coder.from_bytes(data, limits.frames)

    motion = await server.do(client, work(), name=ask.job_name(request), behind=True)
    return JSONResponse({"codes": motion.codes.tolist(), "fps": motion.fps})


async def read(request: Request) -> Response:
    """What a run reads in a clip."""
    return JSONResponse(_told((await _clip(request))[-1]))


async def frames(request: Request) -> Response:
    """The frames of a clip, as one picture."""
    server, client, _, _, shown = await _clip(request)
    return _png(await server.do(client, as_png(shown.answer.video), behind=True))


async def draw(request: Request) -> Response:
    """A clip's content in a motion, as one picture."""
    server, client, room, asked, shown = await _clip(request)
    studio, lane = room.studio, asked.text("lane", "")
    codes, steps, seed = asked.codes(studio, server.limits.frames), asked.steps(), asked.seed()

    def work() -> Steps[bytes]:
        video = yield from studio.draw(shown.read.content, codes, steps, seed)
        return (yield from as_png(video))

    behind = lane == "atlas"
    return _png(await server.do(client, work(), lane, ask.job_name(request), behind))


async def words(request: Request) -> Response:
    """The codes that the data set uses, by use."""
    server, client, room = await _of_run(request)

    found = await server.do(client, room.words(), name=ask.job_name(request), behind=True)
    return JSONResponse([{"codes": word.codes, "share": word.share} for word in found])


async def make_up(request: Request) -> Response:
    """Motion that the prior makes up."""
    server = _server(request)
    client, asked = server.client(request), await ask.question(request, server.limits)
    studio = server.room(asked.text("run")).studio
    made = studio.make_up(
        asked.whole("frames", 1, server.limits.frames),
        asked.number("temperature", 0, 10, 1.0),
        asked.number("top_p", 0.001, 1, 1.0),
        asked.seed(),
    )
    codes = await server.do(client, made, name=ask.job_name(request))
    return JSONResponse({"codes": codes.tolist()})


async def meter(request: Request) -> Response:
    """What a motion costs."""
    server, client, room, asked, shown = await _clip(request)
    piece = _piece(room.studio, asked, shown, server.limits.frames)

    def work() -> Steps[Json]:
        used = yield from room.words()
        video = yield from room.studio.draw(shown.read.content, *piece[2:5])
        return (yield from out.meter(room.studio, room.coder, piece, video, used))

    name = ask.job_name(request)
    return JSONResponse(await server.do(client, work(), "meter", name, behind=True))


async def save(request: Request) -> Response:
    """A file to keep."""
    server, client, room, asked, shown = await _clip(request)
    kind = request.path_params["kind"]
    if kind not in out.KINDS:
        raise UserError("there is no such format")
    piece = _piece(room.studio, asked, shown, server.limits.frames)

    def work() -> Steps[bytes]:
        if kind == "py":
            return out.call(room.studio, piece).encode()
        if kind == "vdd":
            return room.coder.to_bytes(piece)
        video = yield from room.studio.draw(shown.read.content, *piece[2:5])
        mark = synthetic.mark(room.studio.run.config.data)
        return out.encode(kind, video, piece.fps, mark)

    data = await server.do(client, work(), name=ask.job_name(request))
    name = {"content-disposition": f'attachment; filename="result.{kind}"'}
    return Response(data, media_type=out.KINDS[kind], headers=name)


async def progress(request: Request) -> Response:
    """How far work is."""
    server = _server(request)
    job = server.find_job(server.client(request), request.path_params["job"])
    return JSONResponse(None if job is None else job.progress._asdict())


async def cancel(request: Request) -> Response:
    """Ends work."""
    server = _server(request)
    job = server.find_job(server.client(request), request.path_params["job"])
    if job is not None:
        job.cancel()
    return JSONResponse(None)


def _server(request: Request) -> "Server":
    return request.app.state.server


async def _of_run(request: Request) -> tuple["Server", Client, Room]:
    server = _server(request)
    client, asked = server.client(request), await ask.question(request, server.limits)
    return server, client, server.room(asked.text("run"))


async def _clip(request: Request) -> tuple["Server", Client, Room, ask.Question, Shown]:
    """Who asks what of which run, and the clip that is named."""
    server = _server(request)
    client, asked = server.client(request), await ask.question(request, server.limits)
    room = server.room(asked.text("run"))
    shown = await server.show(client, room, asked.text("clip"), ask.job_name(request))
    return server, client, room, asked, shown


def _piece(studio: Studio, asked: ask.Question, shown: Shown, most: int) -> out.Piece:
    codes = asked.codes(studio, most)
    how = (asked.steps(), asked.seed(), asked.fps())
    return out.Piece(shown.answer.video, shown.clip.call, codes, *how)


def _told(shown: Shown) -> Json:
    clip, answer, read = shown
    return {
        "id": clip.id,
        "name": clip.name,
        "frames": len(answer.video),
        "fps": answer.fps,
        "told": answer.told,
        "codes": read.codes.tolist(),
        "content_bits": round(read.content_bits, 1),
    }


def as_png(video: UInt8[np.ndarray, "t h w c"]) -> Steps[bytes]:
    """All frames as one picture."""
    buffer = io.BytesIO()
    Image.fromarray(out.sheet(video)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
    yield  # so that it is work


def _png(data: bytes) -> Response:
    return Response(data, media_type="image/png")


ALL = (
    ("GET", "/", page),
    ("POST", "/api/hello", hello),
    ("POST", "/api/gallery", gallery),
    ("POST", "/api/random", random),
    ("PUT", "/api/clips", upload),
    ("PUT", "/api/coded", coded),
    ("POST", "/api/read", read),
    ("POST", "/api/frames", frames),
    ("POST", "/api/draw", draw),
    ("POST", "/api/words", words),
    ("POST", "/api/make_up", make_up),
    ("POST", "/api/meter", meter),
    ("POST", "/api/out/{kind}", save),
    ("GET", "/api/jobs/{job}", progress),
    ("DELETE", "/api/jobs/{job}", cancel),
)
