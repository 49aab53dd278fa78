"""Does one recipe train every data set? A training of each, and a row of its own report.

    python experiments/one_recipe.py [--only builtin,vivid] [--fraction 0.5] [--faces DATA]
        [--set KEY=VALUE ...] [--quick]

Every data set's config is taken as it is, for `--fraction` of its steps, and its report is that of
the validation split. `--set` changes one key for all, so that a part of the recipe can be left out
everywhere: `--set objective.reread_clips=0`. Runs lie in runs/one_recipe and resume; what has its
report is not trained again. A data set that is not here is left out with a word. Faces are clips
that were prepared as configs/talking_head.py says. "Keys" counts where a config and the recipe
(configs/base.py) differ.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from throughput import load_config

from vdd import markdown
from vdd.evaluation.report import machine

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"


class Data(NamedTuple):
    """A data set: its config, and the small one for tests.

    folder: the environment variable that names its folder; None: drawn by the package.
    right: the key of a report that has the share of swaps, or of their frames, that are right.
    """

    config: str
    quick: str
    folder: str | None = None
    right: str | None = None


DATA = {
    "builtin": Data("sprites.py", "sprites.py:smoke", None, "joint_acc"),
    "lpc": Data("sprites.py:lpc", "sprites.py:lpc_smoke", "VDD_SPRITES_ART", "joint_acc"),
    "vivid": Data("sprites.py:vivid", "sprites.py:vivid_smoke", None, "joint_acc"),
    "universal_lpc": Data(
        "universal_lpc.py", "universal_lpc.py:smoke", "VDD_UNIVERSAL_LPC", "pose_acc"
    ),
    "faces": Data("talking_head.py:small", "talking_head.py:smoke"),
}
COLUMNS = (
    "data", "keys", "steps", "bits told", "bits held", "right, %", "swaps, dB", "rebuilt, dB",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(DATA), help="some of these, with commas")
    parser.add_argument("--fraction", type=float, default=0.5, help="of each config's steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faces", help="folder of prepared clips")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", default=str(ROOT / "runs/one_recipe"))
    parser.add_argument("--quick", action="store_true", help="the smoke configs, for tests")
    options = parser.parse_args(arguments)
    for text in options.set:
        if "=" not in text:
            parser.error(f"--set {text}: KEY=VALUE is needed")
    if unknown := set(options.only.split(",")) - set(DATA):
        parser.error(f"--only {','.join(sorted(unknown))}: take of {', '.join(DATA)}")
    print(*machine().values(), sep=", ")
    print(markdown.table(COLUMNS))
    for name in options.only.split(","):
        if missing := what_is_missing(name, options):
            print(f"{name} is left out: {missing}", file=sys.stderr)
            continue
        try:
            print(markdown.row(row(name, options)), flush=True)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            print(f"{name} is left out: {error}", file=sys.stderr)


def what_is_missing(name: str, options: argparse.Namespace) -> str | None:
    """What has to be given for a data set."""
    if name == "faces" and not options.faces:
        return "give --faces DATA, clips prepared as configs/talking_head.py says"
    variable = DATA[name].folder
    return f"${variable} is not set" if variable and not os.environ.get(variable) else None


def row(name: str, options: argparse.Namespace) -> list[str]:
    """The cells of a data set, which is trained if need be."""
    data = DATA[name]
    file = data.quick if options.quick else data.config
    config = load_config(str(CONFIGS / file))
    steps = round(config.train.num_steps * (1 if options.quick else options.fraction))
    report = train(name, file, steps, options)
    swaps, rate = report["transfer"], report["bitrate"]
    held = rate["joint_entropy_bits_per_frame"] or rate["entropy_bits_per_frame"]
    right = f"{100 * swaps[data.right]:.1f}" if data.right else "–"
    numbers = (held, swaps["psnr"], report["reconstruction"]["psnr"])
    bits, *decibels = ("–" if x is None else f"{x:.2f}" for x in numbers)
    told = str(rate["target_bits_per_frame"])
    return [name, str(changed(config)), f"{steps:,}", told, bits, right, *decibels]


def train(name: str, file: str, steps: int, options: argparse.Namespace) -> dict[str, Any]:
    """The report of a data set's training; what was stopped resumes."""
    changes = [text.replace("=", "-").replace("/", "-") for text in options.set]
    faces = [Path(options.faces).name] if name == "faces" else []
    config = file.replace(".py", "").replace(":", "_")
    run = Path(options.out, "_".join([config, *faces, *changes, str(steps), str(options.seed)]))
    report = run / "eval" / f"{steps}.json"
    if not report.exists():
        keys = {
            "seed": options.seed,
            "train.num_steps": steps,
            "train.sample_every": 0,
            "eval.split": "validation",
            **({"data.data_dir": options.faces} if name == "faces" else {}),
            **dict(text.split("=", 1) for text in options.set),
        }
        command = [sys.executable, "-m", "vdd.main", f"--config={CONFIGS / file}"]
        command += [f"--workdir={run}", *(f"--config.{key}={x}" for key, x in keys.items())]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads(report.read_text())


def changed(config: Any) -> int:
    """In how many keys a config and the recipe differ."""
    recipe, own = (flat(x.to_dict()) for x in (load_config(str(CONFIGS / "base.py")), config))
    return sum(recipe.get(key, ...) != own.get(key, ...) for key in recipe.keys() | own.keys())


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The keys of a tree with dots between, and their values."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        found.update(inner)
    return found


if __name__ == "__main__":
    main()
