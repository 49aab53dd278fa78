"""What was it worth that a recipe was chosen by figures of the published test split?

    python experiments/unseen_permutation.py RUN [--seed 424] [--workdir DIR]

Trains the config of RUN again, on characters that another permutation puts into the training
(`data.permutation_seed`; the published one is 423), and measures both runs, each on the test split
of its own permutation. Prints a row each, and how many of the other's test characters are in the
published test split, by which the recipe may have been chosen. All else is the same but for the
order of the clips. Runs by `vdd.main`, so it resumes.

One judge serves both. It has learned from the published train split, and so knows most of the
other's test characters: its accuracy on real clips stands beside the figures.

Raises UserError for a run that is not on Sprites, or one with short codes.
"""

import argparse
import os
from typing import Any

from etils import epath
from ml_collections import ConfigDict
from short_runs import cells

from vdd import markdown, runs
from vdd import train as training
from vdd.data.sprites.benchmark import PERMUTATION_SEED, split_characters
from vdd.data.sprites.prepared import permutation_seed
from vdd.errors import UserError
from vdd.evaluation.report import machine
from vdd.evaluation.run import evaluate_run
from vdd.memory import keep_freed_memory
from vdd.startup import keep_compiled_programs

COLUMNS = {
    "swaps: motion": "transfer.motion_acc",
    "attributes": "transfer.content_acc",
    "all five": "transfer.joint_acc",
    "leak": "transfer.leak_acc",
    "PSNR, dB": "transfer.psnr",
    "rebuilt: PSNR, dB": "reconstruction.psnr",
    "bits a frame": "bitrate.joint_entropy_bits_per_frame",
    "motion from content": "leakage.motion_from_content_acc",
    "attributes from codes": "leakage.content_from_motion_acc",
    "judge on real clips: motion": "judge.motion_acc",
    "judge on real clips: attributes": "judge.content_acc",
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--seed", type=int, default=424, help="of the other permutation")
    parser.add_argument("--workdir", help="of the other run (RUN_permutation_SEED)")
    options = parser.parse_args(arguments)
    published = runs.find(options.run)
    config = permuted(runs.load_config(published), options.seed)
    workdir = epath.Path(options.workdir or f"{options.run}_permutation_{options.seed}")
    keep_compiled_programs(os.environ)
    keep_freed_memory()
    if training.train(config, workdir):
        return  # stopped: the same command goes on
    print(*machine().values(), sep=", ")
    shared, count = shared_test_characters(options.seed)
    print(f"{shared} of {count} test characters of permutation {options.seed} are published ones")
    print(markdown.table(("permutation", "step", *COLUMNS)))
    for folder in (published, workdir):
        report = evaluate_run(folder, split="test")
        seed = permutation_seed(runs.load_config(folder).data)
        found = cells(report, " ".join(COLUMNS.values()))
        print(markdown.row((seed, report["step"], *found)), flush=True)


def permuted(config: Any, seed: int) -> Any:
    """The config with another permutation of characters."""
    if config.data.dataset != "sprites" or "compression" in config:
        raise UserError("take a run on Sprites as `vdd.main` wrote it, before `vdd compress`")
    if seed == permutation_seed(config.data):
        raise UserError(f"--seed {seed}: that is the permutation of the run itself")
    changed: Any = ConfigDict(config)
    with changed.unlocked():
        changed.data.source, changed.data.permutation_seed = "in_memory", seed
    return changed


def shared_test_characters(seed: int) -> tuple[int, int]:
    """Test characters of a permutation that are published test characters; and how many it has."""
    one, other = (split_characters("test", number) for number in (PERMUTATION_SEED, seed))
    return int((one[:, None] == other[None]).all(-1).any(0).sum()), len(other)


if __name__ == "__main__":
    main()
