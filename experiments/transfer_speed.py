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
from typing import Any, NamedTuple

import jax
import numpy as np

import vdd
from vdd import apply, markdown, streaming
from vdd.data import video_io, video_writer
from vdd.diffusion.samplers import Sampler
from vdd.evaluation.report import machine
from vdd.memory import keep_freed_memory
from vdd.method.disentangler import Disentangler
from vdd.run import Run


class Times(NamedTuple):
    """Seconds by the clock, and of processors, of all threads together."""

    clock: float
    processor: float


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
    times = transfer_times(run, options.content, options.motion, options.out, frames)
    sampler, (size, overlap) = Sampler(**run.config.eval.sampler), run.windows
    height, width, _ = run.model.latents.size
    count = len(list(read_frames(options.motion, (height, width), frames)))
    print(*machine().values(), sep=", ")
    print(
        f"{options.run} at step {run.step}, {sampler.name} of {sampler.nfe} passes: {count}"
        f" frames of {width}x{height} in windows of {size} that share {overlap}"
    )
    print(markdown.table(("part", "ms a frame", "processor ms", "frames a second", "share")))
    for name, (taken, processor) in times.items():
        each, share = taken / count, taken / times["whole"][0]
        rate = f"{1 / each:.1f}" if each else "no time at all"  # a difference may come to nothing
        spent = f"{1e3 * each:.2f}", f"{1e3 * processor / count:.2f}"
        print(markdown.row((name, *spent, rate, f"{100 * share:.1f} %")))


def transfer_times(
    run: Run, content_path: str, motion_path: str, out: str, frames: int
) -> dict[str, Times]:
    """Seconds of a transfer of so many frames, by its parts and whole."""
    sampler, (size, overlap) = Sampler(**run.config.eval.sampler), run.windows
    read = partial(read_frames, motion_path, run.model.latents.size[:2], frames)
    content = video_io.read_clip(content_path, run.model.latents.size[:2], max_frames=size)
    write = partial(write_clip, out, motion_path)

    def whole() -> None:
        given = (run.model, run.params, 0, content, read(), sampler, size, overlap)
        write(frame for piece in streaming.transfer(*given) for frame in piece)

    kept = list(read())
    windows = [window.frames[None] for window in streaming.windows(kept, size, overlap)]
    times = {"read": seconds(lambda: list(read())), **model_times(run, sampler, windows)}
    return {**times, "write": seconds(lambda: write(kept)), "whole": seconds(whole)}


def model_times(run: Run, sampler: Sampler, windows: list[np.ndarray]) -> dict[str, Times]:
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

    def through(function: Callable, inputs: list) -> tuple[Times, list]:
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
        "into codes": difference(encoding, first),
        "denoise": difference(sampling, last),
        "into pixels": last,
    }


def seconds(call: Callable[[], Any]) -> Times:
    """Times of the second of two calls."""
    call()
    start, processor = time.perf_counter(), time.process_time()
    call()
    return Times(time.perf_counter() - start, time.process_time() - processor)


def difference(all_of_it: Times, part: Times) -> Times:
    """What is left; differences of times that were measured may come to nothing."""
    return Times(*(max(a - b, 0.0) for a, b in zip(all_of_it, part, strict=True)))


def read_frames(path: str, size: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """The first frames of a clip, scaled and cropped."""
    with video_io.open_clip(path, size) as clip:
        yield from islice(clip.frames, count)


def write_clip(path: str, motion: str, frames: Iterable[np.ndarray]) -> None:
    """An mp4 at the driving clip's rate and with its sound."""
    with (
        video_io.open_clip(motion) as driving,
        video_writer.writing_clip(path, driving.fps or 8.0, driving.sound) as clip,
    ):
        for frame in frames:
            clip.write(frame)


if __name__ == "__main__":
    main()
