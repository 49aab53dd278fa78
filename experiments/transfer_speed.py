"""How many frames a second does a transfer make, and where does the time go?

    python experiments/transfer_speed.py RUN --content CLIP --motion CLIP [--frames N] [--tiny]

*whole* is what `vdd transfer` does with the driving clip: read, encode, draw and write an mp4 with
its sound, window by window. The other rows are its parts, each alone and on the same frames:

- *read*: decode the driving clip, scale and crop;
- *into latents*: the autoencoder, or the folding of pixels;
- *into codes*: the transformer and the codebook (encoding, less the row above);
- *denoise*: the mean and the sampler's passes (sampling, less the row below);
- *into pixels*: the autoencoder's other half;
- *write*: H.264, and the sound.

Everything runs once before it is timed, so that no compilation is counted. Frames that two windows
share are drawn twice; times are given for each frame of the result.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Any

import jax
import numpy as np

import vdd
from vdd import apply, streaming
from vdd.data import video_io, video_writer
from vdd.diffusion.samplers import Sampler
from vdd.evaluation.report import machine
from vdd.method.disentangler import Disentangler
from vdd.run import Run
from vdd.startup import keep_freed_memory


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--content", required=True, help="whose content: a clip")
    parser.add_argument("--motion", required=True, help="the driving clip")
    parser.add_argument("--out", default="transfer.mp4", help="where the result goes")
    parser.add_argument("--frames", type=int, default=200, help="at most so many")
    parser.add_argument("--tiny", action="store_true", help="few frames, for tests")
    options = parser.parse_args(arguments)
    keep_freed_memory()
    run, frames = vdd.load(options.run), 20 if options.tiny else options.frames
    sampler = Sampler(**run.config.eval.sampler)
    size, overlap = run.windows
    height, width, _ = run.model.latents.size
    read = partial(read_frames, options.motion, (height, width), frames)
    content = video_io.read_clip(options.content, (height, width), max_frames=size)
    write = partial(write_clip, options.out, options.motion)

    def whole() -> None:
        given = (run.model, run.params, 0, content, read(), sampler, size, overlap)
        write(frame for piece in streaming.transfer(*given) for frame in piece)

    kept = list(read())
    windows = [window.frames[None] for window in streaming.windows(kept, size, overlap)]
    times = {"read": seconds(lambda: list(read())), **model_times(run, sampler, windows)}
    times |= {"write": seconds(lambda: write(kept)), "whole": seconds(whole)}
    print(*machine().values(), sep=", ")
    print(
        f"{options.run} at step {run.step}, {sampler.name} of {sampler.nfe} passes: {len(kept)}"
        f" frames of {width}x{height} in windows of {size} that share {overlap}"
    )
    print("| part | ms a frame | frames a second | share of the whole |\n|---|---|---|---|")
    for name, time_taken in times.items():
        each, share = time_taken / len(kept), time_taken / times["whole"]
        rate = f"{1 / each:.1f}" if each else "no time at all"  # a difference may come to nothing
        print(f"| {name} | {1e3 * each:.2f} | {rate} | {100 * share:.1f} % |")


def model_times(run: Run, sampler: Sampler, windows: list[np.ndarray]) -> dict[str, float]:
    """Seconds of the model's parts over all windows [1 s h w c]."""
    model, key = run.model, jax.random.key(0)

    def into_latents(params: Any, video: Any) -> Any:
        return model.apply({"params": params}, video, method=Disentangler.to_latents)

    def into_pixels(params: Any, latents: Any) -> Any:
        return model.apply({"params": params}, latents, method=Disentangler.to_video)

    def encode(params: Any, video: Any) -> Any:
        return apply.encode(model, params, video)

    def sample(params: Any, encoding: apply.Encoding) -> Any:
        return apply.sample(model, params, key, encoding.content, encoding.motion, sampler)

    def through(function: Callable, inputs: list) -> tuple[float, list]:
        program = jax.jit(function)

        def run_all() -> list:
            return [jax.block_until_ready(program(run.params, x)) for x in inputs]

        return seconds(run_all), run_all()

    first, latents = through(into_latents, windows)
    encoding, encoded = through(encode, windows)
    last, _ = through(into_pixels, latents)
    sampling, _ = through(sample, encoded)
    return {
        "into latents": first,
        "into codes": max(encoding - first, 0.0),
        "denoise": max(sampling - last, 0.0),
        "into pixels": last,
    }


def seconds(call: Callable[[], Any]) -> float:
    """Time of the second of two calls."""
    call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def read_frames(path: str, size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """The first frames of a clip, scaled and cropped."""
    with video_io.open_clip(path, size) as clip:
        yield from islice(clip.frames, count)


def write_clip(path: str, motion: str, frames: Iterable[np.ndarray]) -> None:
    """An mp4 at the driving clip's rate and with its sound."""
    with (
        video_io.open_clip(motion) as driving,
        video_writer.open_clip(path, driving.fps or 8.0, driving.sound) as clip,
    ):
        for frame in frames:
            clip.write(frame)


if __name__ == "__main__":
    main()
