"""How fast is it, as one feels it? All of it in one run, with the machine that it ran on.

    python experiments/realtime.py [--run sprites] [--faces experiments/heads]
        [--only PART ...] [--repeats 30] [--tiny]

- *start*: `vdd transfer` of eight frames, each time as a process of its own: cold, in a home that
  has no cache, and from the cache; then where the time goes;
- *stream*: frame by frame at batch 1 (`Run.follow`: read with the few frames before, quantise,
  draw), and drawing alone, by the mean and by sampler steps;
- *page*: from a changed code to the picture of the clip, asked of the server of `vdd serve`;
- *camera*: from a frame of the page's camera to the picture, over its WebSocket, by `--faces`;
- *video*: a video file to another, by `--faces`, and by `configs/talking_head.py:small` in patches
  of 4 pixels, not 8. Its parameters are untrained: they say how fast, not how well;
- *torch*: a pass of the run's UNet in PyTorch, eager, float32, where that is installed (`bench`).

Times are medians after warming up. Beside them is processor time, which others at work on the
machine lengthen less.
"""

import argparse
import functools
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from realtime_page import CLIENT, asking, can_ask, changes, clip, upload
from throughput import load_config
from transfer_speed import transfer_times

import vdd
from vdd import markdown, streaming
from vdd.data import video_io
from vdd.diffusion.samplers import Sampler
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory
from vdd.method.disentangler import Disentangler
from vdd.run import Run
from vdd.startup import keep_compiled_programs

Row = tuple[str, float, float]  # what, seconds by the clock, seconds of processors
COMMAND = "import sys; from vdd.cli import main; sys.exit(main())"
FACES = str(Path(__file__).parent / "heads")
OF_FACES = ("camera", "video")  # parts that a run on faces does
FINER = 4  # pixels along a side of a place, of the untrained run


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", default="sprites", help="whose start, stream and page")
    parser.add_argument("--faces", default=FACES, help="a run on faces: whose camera and video")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--tiny", action="store_true", help="few repeats and small, for tests")
    parser.add_argument("--phases", nargs=2, metavar="CLIP", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    keep_freed_memory()
    if options.phases:
        table(phases(options.run, *options.phases))
        return
    print(*machine().values(), f"load {os.getloadavg()[0]:.1f}", sep=", ")
    load, repeats = functools.cache(vdd.load), 2 if options.tiny else options.repeats
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only:
            print(f"\n{part}\n", flush=True)
            run = load(options.faces if part in OF_FACES else options.run)
            PARTS[part](run, Path(folder), repeats)


def table(rows: list[Row]) -> None:
    """Prints seconds as milliseconds, and how many go into a second."""
    cells = (
        (name, f"{1e3 * wall:.2f}", f"{1e3 * processor:.2f}", f"{1 / max(wall, 1e-9):.1f}")
        for name, wall, processor in rows
    )
    print(markdown.table(("what", "ms", "processor ms", "a second"), cells))


def timed(name: str, call: Callable[[], Any], repeats: int) -> Row:
    """Median times of calls, each waited for, after one to warm up."""
    jax.block_until_ready(call())
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        jax.block_until_ready(call())
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return name, statistics.median(walls), statistics.median(processors)


def start(run: Run, folder: Path, repeats: int) -> None:
    """Processes of `vdd transfer`, and where their time goes."""
    clips = [str(folder / f"{name}.gif") for name in ("content", "motion")]
    for place in clips:
        video_io.write_clip(place, clip(run, 8), fps=8)
    home = {**os.environ, "HOME": str(folder / "home")}
    home.pop("JAX_COMPILATION_CACHE_DIR", None)
    given = ["--content", clips[0], "--motion", clips[1], "--out", str(folder / "swap.gif")]
    command = [sys.executable, "-c", COMMAND, "transfer", run.home, *given, "--overwrite"]
    spent = [process_seconds(command, home) for _ in range(1 + min(repeats, 5))]
    warm = [statistics.median(times) for times in zip(*spent[1:], strict=True)]
    table([("cold", *spent[0]), ("from the cache", warm[0], warm[1])])
    print("\nwhere that goes\n", flush=True)
    again = [sys.executable, __file__, "--run", run.home, "--phases", *clips]
    print(subprocess.run(again, env=home, check=True, capture_output=True, text=True).stdout)


def process_seconds(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Seconds of a process by the clock, and of processors."""
    wall, before = time.perf_counter(), os.times()
    subprocess.run(command, env=env, check=True, capture_output=True)
    after = os.times()
    processor = after.children_user + after.children_system
    processor -= before.children_user + before.children_system
    return time.perf_counter() - wall, processor


def phases(name: str, content: str, motion: str) -> list[Row]:
    """What a command does, one after the other, in this process, which has imported all by now."""
    begun, rows = time.time() - _started(), []
    rows.append(("Python and imports", begun, time.process_time()))

    def phase(what: str, call: Callable[[], Any]) -> Any:
        wall, processor = time.perf_counter(), time.process_time()
        result = jax.block_until_ready(call())
        spent = time.perf_counter() - wall, time.process_time() - processor
        rows.append((what, *spent))
        return result

    keep_compiled_programs({})
    phase("devices", jax.devices)
    run = phase("load the model", lambda: vdd.load(name))
    side = run.model.latents.size[:2]
    both = (content, motion)
    clips = phase("read the clips", lambda: [video_io.read_clip(one, side) for one in both])
    sampler, (size, overlap) = Sampler(**run.config.eval.sampler), run.windows
    given: Any = (run.model, run.params, 0, *clips, sampler, size, overlap)
    (video,) = phase("load programs and draw", lambda: list(streaming.transfer(*given)))
    phase("draw again", lambda: list(streaming.transfer(*given)))
    phase("write", lambda: video_io.write_clip(Path(motion).with_name("again.gif"), video, fps=8))
    return rows


def _started() -> float:
    """When this process was started, in seconds of the epoch; Linux alone knows."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    booted = next(
        int(line.split()[1])
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith("btime")
    )
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def stream(run: Run, folder: Path, repeats: int) -> None:
    """Frame by frame, the latency of each; then drawing alone."""
    del folder
    frames = clip(run, repeats + 8)
    drawn = run.follow(frames[None, :8], _endless(frames))
    rows = [timed("a frame: read, quantise, draw", lambda: next(drawn), repeats)]
    encoded = run.encode(frames[None, :8])
    for steps in (0, 1, 2, 16):
        given = (encoded.content, encoded.codes[:, :1], "sampler", steps)
        name = f"draw it alone, {steps} steps" if steps else "draw it alone, the mean"
        rows.append(timed(name, lambda given=given: run.decode(*given), repeats))
    table(rows)


def _endless(frames: np.ndarray) -> Iterator[np.ndarray]:
    while True:
        yield from frames


def page(run: Run, folder: Path, repeats: int) -> None:
    """From a changed code to the picture, of the server without its socket."""
    if not can_ask():
        return
    with asking(run, folder) as (http, client):
        read = upload(run, http, client)
        given = {"run": "run", "clip": read["id"]}
        changed = changes(read["codes"], run.model.quantizer.codebook.num_codes)

        def picture() -> bytes:
            answer = http.post("/api/draw", json={**given, "codes": next(changed)}, headers=client)
            answer.raise_for_status()
            return answer.content

        table([timed("from a changed code to the picture", picture, repeats)])


def camera(run: Run, folder: Path, repeats: int) -> None:
    """From a frame of the camera to the picture, of the server without its socket."""
    if not can_ask():
        return
    frames = clip(run, repeats + 1)[..., :3]
    pixels = np.pad(frames, [(0, 0)] * 3 + [(0, 1)], constant_values=255)
    stream = _endless(pixels)
    with asking(run, folder) as (http, client):
        asked = {
            "client": client[CLIENT],
            "run": "run",
            "clip": upload(run, http, client)["id"],
        }
        with http.websocket_connect("ws://127.0.0.1:8000/api/camera") as socket:
            socket.send_text(json.dumps(asked))
            socket.receive_text()

            def picture() -> bytes:
                socket.send_bytes(next(stream).tobytes())
                return socket.receive_bytes()

            table([timed("from a frame of the camera to the picture", picture, repeats)])


def video(run: Run, folder: Path, repeats: int) -> None:
    """A video file to another, and the parts of that."""
    if importlib.util.find_spec("av") is None:
        print("left out: av is not installed")
        return
    tiny = repeats <= 2
    made = {} if tiny else {f"untrained, patches of {FINER}": untrained_video_run()}
    for name, one in {run.name: run, **made}.items():
        _video(name, one, folder, 20 if tiny else 120)


def _video(name: str, run: Run, folder: Path, frames: int) -> None:
    places = [str(folder / f"{place}.mp4") for place in ("who", "how", "made")]
    for place in places[:2]:
        moving = np.resize(clip(run, 40), (frames, *run.model.latents.size))
        video_io.write_clip(place, moving[..., :3], fps=25)
    who, how, made = places
    times = transfer_times(run, who, how, made, frames)
    height, width, _ = run.model.latents.size
    print(f"{Path(name).name}, {frames} frames of {width}x{height}, each:\n")
    table([(part, wall / frames, cpu / frames) for part, (wall, cpu) in times.items()])
    print()


def untrained_video_run() -> Run:
    """A run of `configs/talking_head.py:small` in finer places that has not been trained."""
    config = load_config("configs/talking_head.py:small")
    side = config.model.latents.size[0]
    config.model.latents.patch = config.model.denoiser.readout.patch = FINER
    config.model.content.update(side=side // FINER, dim=3 * FINER**2)  # a frame as it is
    model = Disentangler.from_config(config.model)
    one = jnp.zeros((1, 2, side, side, 3), jnp.uint8)
    params = jax.jit(model.init)(jax.random.key(0), one)["params"]
    return Run(config, model, params, 0, "untrained")


def torch(run: Run, folder: Path, repeats: int) -> None:
    """A pass of the denoiser's UNet on one frame, here and in PyTorch."""
    del folder
    settings, book = run.config.model.denoiser.network, run.model.quantizer.codebook
    if settings.get("kind", "unet") != "unet":
        print("left out: the run's network is no UNet")
        return
    rng, (k, d) = np.random.default_rng(0), run.model.content_shape
    shapes = ((1, 1, *run.model.latents.shape), (1, 1), (1, k, d))
    shapes = (*shapes, (1, 1, book.num_groups * book.code_dim))
    x, noise, content, motion = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    network = run.model.denoiser.network.clone(outputs=1)
    params = jax.jit(network.init)(jax.random.key(0), x, noise, content, motion, x)
    apply = jax.jit(network.apply)
    call = lambda: apply(params, x, noise, content, motion, x)  # noqa: E731
    rows = [timed("a pass of the UNet, JAX", call, repeats)]
    if importlib.util.find_spec("torch"):
        from torch_unet import torch_denoiser_pass

        call = torch_denoiser_pass(dict(settings), [x, noise, content, motion])
        rows.append(timed("the same, PyTorch eager", call, repeats))
    else:
        print("PyTorch is not installed: its row is left out\n")
    table(rows)


PARTS = {
    "start": start, "stream": stream, "page": page, "camera": camera, "video": video,
    "torch": torch,
}  # fmt: skip


if __name__ == "__main__":
    main()
