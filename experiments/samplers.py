"""What does a sampler step buy? Quality of swaps against number of function evaluations.

    python experiments/samplers.py RUN [--split validation] [--pairs 512] [--tiny]

The same pairs and the same noise for every sampler; PSNR is against the real clip that the swap
ought to be, of one reconstruction likewise. `mean` is the answer at infinite noise: no steps.
"""

import argparse
import time

import vdd
from vdd import markdown
from vdd.data import sprites as data
from vdd.data.sprites import prepared
from vdd.diffusion.samplers import Sampler
from vdd.evaluation import judge
from vdd.evaluation.inference import Functions, functions_of
from vdd.evaluation.report import machine
from vdd.evaluation.sprites import protocol as sprites

STEPS = {"mean": (0,), "euler": (1, 2, 4, 8, 16), "heun": (2, 4, 8), "dpmpp_2m": (2, 4, 8, 16)}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--split", default="validation", choices=data.SPLITS)
    parser.add_argument("--pairs", type=int, default=512)
    parser.add_argument("--sigma_max", type=float, help="the config's, if not given")
    parser.add_argument("--tiny", action="store_true", help="one step each, for tests")
    options = parser.parse_args(arguments)
    run = vdd.load(options.run)
    settings = run.config.eval.sampler
    low, high = settings.sigma_min, options.sigma_max or settings.sigma_max
    art_dir = prepared.sheets_dir(run.config.data)
    clips = prepared.load_split(run.config.data, options.split)
    referee = judge.load_or_train(
        run.config.data.art,
        art_dir,
        settings=judge.JudgeSettings(steps=run.config.eval.judge_steps),
    )
    pairs = 4 if options.tiny else options.pairs
    print(*machine().values(), sep=", ")
    measured = f"{pairs} {options.split} swaps, sigma {high:g} to {low:g}"
    print(f"{options.run} at step {run.step}, {measured}")
    shares = ("motion", "attributes", "joint")
    print(markdown.table(("sampler", "steps", "NFE", *shares, "swap PSNR", "seconds")))

    def row(name: str, steps: int, nfe: int, functions: Functions) -> None:
        start = time.perf_counter()
        size = run.config.eval.batch_size
        found = sprites.quick_evaluate(functions, clips, referee, num_pairs=pairs, batch_size=size)
        keys = ("swap_motion_acc", "swap_content_acc", "swap_joint_acc")
        cells = [f"{found[key]:.3f}" for key in keys]
        cells += [_number(found["swap_psnr"]), f"{time.perf_counter() - start:.0f}"]
        print(markdown.row((name, steps, nfe, *cells)), flush=True)

    for name, counts in STEPS.items():
        for steps in counts[:1] if options.tiny else counts:
            sampler = Sampler(name, steps, low, high, settings.rho)
            row(name, steps, sampler.nfe, functions_of(run.model, run.params, sampler))


def _number(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
