"""What does a clip take as a file, and does anything change on the way?

    python experiments/bitstream.py RUN [--prior PRIOR] [--split validation] [--pairs 592] [--tiny]

Every clip of the split becomes a file (`vdd encode`) and is read again: the codes have to be
the same. In bits a frame: `file` is what the chunk of a clip holds, in whole bytes; `clip` is the
code of one clip that ends where it ends; `stream` is all clips in one code, of which the model
starts anew at each; `ideal` is what the frequencies say; `float` is the cross-entropy of the prior
as it was trained, which `ideal` repeats in whole numbers. Beside them what the codes hold without a
prior: the entropy of a frame, and the floor for clips that show one of nine motions, log2(9) / 8.
Swaps are drawn of what the files hold, and of the run as it is, the same pairs.
"""

import argparse
import math
import time

import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange

import vdd
from vdd import apply, markdown
from vdd.codec import container
from vdd.codec.coded_run import Coded, CodedRun
from vdd.codec.description import size_of
from vdd.codec.motion import coded_bits
from vdd.data import sprites as data
from vdd.data.sprites import prepared
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import judge, metrics
from vdd.evaluation.inference import Encoded, batches, functions_of, padded
from vdd.evaluation.report import machine
from vdd.evaluation.sprites import protocol as sprites
from vdd.priors import PriorRun, load_prior_of
from vdd.tasks.prior import evaluation as prior_evaluation

HEAD = ("motion, bits a frame", "file", "clip", "stream", "ideal", "float")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="a run, with a prior")
    parser.add_argument("--prior", help="the run's own, if not given")
    parser.add_argument("--split", default="validation", choices=data.SPLITS)
    parser.add_argument("--pairs", type=int, default=592)
    parser.add_argument("--tiny", action="store_true", help="a few clips, for tests")
    options = parser.parse_args(arguments)
    run = vdd.load(options.run)
    prior = load_prior_of(run, options.run, options.prior)
    settings = run.config.eval
    art, art_dir = run.config.data.art, prepared.sheets_dir(run.config.data)
    clips = prepared.load_split(run.config.data, options.split)
    if options.tiny:
        options.pairs, clips = 4, data.SpritesArrays(*(part[::200] for part in clips))
    print(*machine().values(), sep=", ")
    measured = f"{len(clips.video)} clips of the {options.split} split"
    print(f"{options.run} at step {run.step}, {measured}")

    counting, predicting = CodedRun.create(run, None), CodedRun.create(run, prior)
    coded = take_apart(predicting, clips.video, settings.batch_size)
    codes = np.stack([clip.codes for clip in coded])
    print(markdown.table(HEAD))
    print(markdown.row(("counting", *cells_of(counting, codes, None))), flush=True)
    reference = cross_entropy(prior, codes, settings.batch_size)
    print(markdown.row(("prior", *cells_of(predicting, codes, reference))), flush=True)
    frames = rearrange(codes, "c t n -> (c t) n")
    print(f"entropy of a frame's codes {metrics.joint_entropy(frames):.3f} bits,", end=" ")
    print(f"floor {math.log2(len(data.MOTIONS)) / codes.shape[1]:.3f}")

    written = write_files(predicting, coded)
    read_files(predicting, coded, written)
    referee = judge.load_or_train(
        art, art_dir, settings=judge.JudgeSettings(steps=settings.judge_steps)
    )
    functions = functions_of(run.model, run.params, Sampler(**settings.sampler))
    for name, encode in (
        ("as they are", functions.encode),
        ("through files", lambda video: through_files(predicting, video)),
    ):
        swaps = sprites.quick_evaluate(
            functions._replace(encode=encode),
            clips,
            referee,
            num_pairs=options.pairs,
            batch_size=settings.batch_size,
        )
        keys = ("swap_motion_acc", "swap_content_acc", "swap_joint_acc")
        figures = ", ".join(f"{key[5:]} {swaps[key]:.4f}" for key in keys)
        print(f"{options.pairs} swaps {name}: {figures}", flush=True)


def cells_of(coded_run: CodedRun, codes: np.ndarray, reference: float | None) -> list[str]:
    """Bits a frame: as the columns of the table have them."""
    bits = coded_bits(coded_run.motion, codes)
    totals = (8 * bits.clip_bytes, bits.clip_bits, bits.stream_bits, bits.ideal_bits)
    cells = [f"{total / bits.num_frames:.4f}" for total in totals]
    return [*cells, "-" if reference is None else f"{reference:.4f}"]


def take_apart(coded_run: CodedRun, video: np.ndarray, batch_size: int) -> list[Coded]:
    coded = []
    for piece in batches(len(video), batch_size):
        rows = padded(np.arange(piece.start, piece.stop), batch_size)
        coded += coded_run.take_all_apart(video[rows])[: piece.stop - piece.start]
    return coded


def cross_entropy(prior: PriorRun, codes: np.ndarray, batch_size: int) -> float:
    """Bits a frame of the prior in floats."""
    rates = prior_evaluation.rates(prior.model, prior.params, codes.astype(np.int32), batch_size)
    return rates["prior_bits_per_frame"]


def write_files(coded_run: CodedRun, coded: list[Coded]) -> list[bytes]:
    """A file a clip; prints where its bytes are, on average."""
    start = time.perf_counter()
    written = [coded_run.to_bytes(clip, fps=8.0) for clip in coded]
    seconds = time.perf_counter() - start
    sizes = np.array([size_of(container.read(file), len(file))[:3] for file in written])
    total, numbers, motion = sizes.mean(axis=0)
    frames = sum(len(clip.codes) for clip in coded)
    print(
        f"bytes of a file: {total:.1f}, header and marks {total - numbers - motion:.1f}", end=", "
    )
    print(f"content {numbers:.2f}, motion {motion:.2f};", end=" ")
    print(f"written at {frames / seconds:.0f} frames a second", flush=True)
    return written


def read_files(coded_run: CodedRun, coded: list[Coded], written: list[bytes]) -> None:
    """Reads all files again.

    Raises AssertionError if a code or a number of the content is another.
    """
    start = time.perf_counter()
    read = [coded_run.from_bytes(file) for file in written]
    seconds = time.perf_counter() - start
    for clip, decoded in zip(coded, read, strict=True):
        np.testing.assert_array_equal(decoded.codes, clip.codes)
        assert decoded.content is not None
        numbers = coded_run.content.decode(decoded.content)
        np.testing.assert_array_equal(numbers, clip.numbers)
    frames = sum(len(clip.codes) for clip in coded)
    print(f"read at {frames / seconds:.0f} frames a second: all codes and numbers are the same")


def through_files(coded_run: CodedRun, video: np.ndarray) -> Encoded:
    """What a decoder knows of clips that were written to files."""
    read = [
        coded_run.from_bytes(coded_run.to_bytes(clip, fps=8.0))
        for clip in coded_run.take_all_apart(video)
    ]
    numbers = [coded_run.content.decode(clip.content or b"") for clip in read]
    tokens = jnp.concatenate([coded_run.tokens(row) for row in numbers])
    codes = jnp.asarray(np.stack([clip.codes for clip in read]))
    run = coded_run.run
    motion = jax.jit(apply.lookup, static_argnums=0)(run.model, run.params, codes)
    return Encoded(tokens, motion, codes, jnp.zeros(len(read)))


if __name__ == "__main__":
    main()
