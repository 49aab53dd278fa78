"""How short may the code of the content be? Leakage of the action and swaps against its price.

    python experiments/content_code.py RUN [--prices 1e-4,2e-4] [--updates 2000]
        [--split validation] [--tiny]

One content code is learned for each price (`vdd compress` takes the default); `none` is the content
without a code. Codewords are merged in all rows, as `vdd compress` does it. Probes learn on what
the run was trained on and are tested on `--split`, whose characters should be others; of a code
they read the numbers, each as one-hot. Swaps are mean frames, the same pairs for all. Minutes are
those of learning; the clips are read once, for all codes.
"""

import argparse
import dataclasses
import time
from typing import Any, NamedTuple

import numpy as np

import vdd
from vdd import markdown
from vdd.compression import content_code, merging, rereading
from vdd.compression.compress import without_short_codes
from vdd.data import sprites as data
from vdd.data.datasets import trained_split
from vdd.data.sprites import prepared
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import judge, sections
from vdd.evaluation.inference import Encoded, encode_clips, functions_of
from vdd.evaluation.probes import one_hot
from vdd.evaluation.report import machine
from vdd.evaluation.sprites import protocol as sprites
from vdd.method.content import ContentCode

HEAD = (
    "price", "bits a clip", "codes", "motion from content", "attributes from content",
    "swaps: motion", "attributes", "all five", "PSNR, dB", "minutes",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--prices", default="5e-5,1e-4,2e-4,4e-4")
    parser.add_argument("--split", default="validation", choices=data.SPLITS)
    parser.add_argument("--updates", type=int, default=content_code.DEFAULT_SETTINGS.num_steps)
    parser.add_argument("--pairs", type=int, default=592)
    parser.add_argument("--seed", type=int, default=0, help="of the code")
    parser.add_argument("--tiny", action="store_true", help="a few clips and updates, for tests")
    options = parser.parse_args(arguments)
    run = vdd.load(options.run)
    sampler = Sampler(name="mean", steps=0)
    art, art_dir = run.config.data.art, prepared.sheets_dir(run.config.data)
    names = trained_split(run.config.data), options.split
    train, test = (prepared.load_split(run.config.data, split) for split in names)
    if options.tiny:
        options.pairs, options.updates = 4, 2
        train, test = (
            data.SpritesArrays(*(x[:: len(x) // 27] for x in clips)) for clips in (train, test)
        )
    settings = judge.JudgeSettings(steps=run.config.eval.judge_steps)
    referee = judge.load_or_train(art, art_dir, settings=settings)
    print(*machine().values(), sep=", ")
    measured = f"{options.pairs} {options.split} swaps"
    print(f"{options.run} at step {run.step}, {options.updates} updates, {measured}")
    print(markdown.table(HEAD))

    model, params = without_short_codes(run)
    readings = rereading.read(model, params, train.video, seed=options.seed)
    model, params = merging.merge_codewords(model, params, readings)
    size = run.config.eval.batch_size
    functions = functions_of(model, params, sampler)
    plain = [encode_clips(functions, clips.video, size) for clips in (train, test)]
    compared = Compared(train, test, plain, referee, options.pairs, size)
    print(markdown.row(("none", *compared.cells(model, params), "0.0")), flush=True)
    defaults = dataclasses.replace(
        content_code.DEFAULT_SETTINGS, num_steps=options.updates, seed=options.seed
    )
    for price in options.prices.split(","):
        start = time.perf_counter()
        settings = dataclasses.replace(defaults, price=float(price))
        coded = content_code.learn(model, params, readings, settings)
        minutes = (time.perf_counter() - start) / 60
        print(markdown.row((price, *compared.cells(*coded), f"{minutes:.1f}")), flush=True)


class Compared(NamedTuple):
    """What codes are compared on."""

    train: data.SpritesArrays
    test: data.SpritesArrays
    plain: list[Encoded]  # both, without a code
    referee: judge.Judge
    pairs: int
    batch_size: int

    def cells(self, model: Any, params: dict[str, Any]) -> list[str]:
        """The figures of a model with a code, or without."""
        read, bits = self.read(model, params)
        encoded = [x._replace(content=y) for x, y in zip(self.plain, read, strict=True)]
        functions = functions_of(model, params, Sampler(name="mean", steps=0))
        (train, test), count = encoded, functions.num_codewords
        leaks = sections.leakage((train, self.train), (test, self.test), count)
        swaps = sprites.quick_evaluate(
            functions, self.test, self.referee, num_pairs=self.pairs, batch_size=self.batch_size
        )
        shares = (
            leaks["motion_from_content_acc"], leaks["content_from_content_acc"],
            swaps["swap_motion_acc"], swaps["swap_content_acc"], swaps["swap_joint_acc"],
        )  # fmt: skip
        psnr = swaps["swap_psnr"]
        return [
            f"{np.mean(bits):.1f}",
            str(len(np.unique(read[1], axis=0))),
            *(f"{share:.3f}" for share in shares),
            "-" if psnr is None else f"{psnr:.1f}",
        ]

    def read(self, model: Any, params: dict[str, Any]) -> tuple[list[Any], Any]:
        """The content of both, as the code has it if there is one; and its bits, of the test."""
        read, code = [x.content for x in self.plain], model.content_code
        if code is None:
            return read, self.plain[1].content_bits
        learned = {"params": params["content_code"]}
        said = (code.apply(learned, x, method=ContentCode.to_numbers) for x in read)
        numbers = [np.round(np.asarray(x)) for x in said]
        whole = [np.asarray(x, int)[:, None] + code.reach for x in numbers]
        bits = code.apply(learned, numbers[1], method=ContentCode.bits)
        return [one_hot(x, 2 * code.reach + 1) for x in whole], bits


if __name__ == "__main__":
    main()
