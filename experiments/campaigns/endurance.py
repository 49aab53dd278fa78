"""A long training of small steps: do memory, open files and the time of a step stay as they are?

    python experiments/campaigns/endurance.py --work DIR [--count 20000] [--variant sprites]

`vdd train` with a checkpoint each 200 steps and a line each 20, of the tiny model on random clips,
or of `toy_task` (`--variant toy`), whose steps are shorter still. Each hundredth of the steps tells
the resident memory, the open files and the threads of the process, and the CPU time it has used.
Compared are the medians of the first and of the last tenth, without the very first hundredth.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import common
import numpy as np


def main() -> None:
    parser = common.parser(__doc__, 20_000)
    parser.add_argument("--variant", default="sprites", choices=("sprites", "toy"))
    options = parser.parse_args()
    common.quick_xla()
    import vdd.main
    import vdd.training.tensorboard  # noqa: F401

    start = time.monotonic()
    with common.new_folder(options.work.absolute()) as work:
        ended = common.Child(lambda: train(work, options), work / "said").end()
        if ended.status:
            raise SystemExit(f"status {ended.status}: {ended.err[-2000:]}")
        looks = [json.loads(line) for line in (work / "looks").read_text().splitlines()]
    print(f"{options.variant}, {time.monotonic() - start:.0f} s, {common.describe_machine()}")
    sys.exit(not (tell(looks) or options.tiny))  # a short one is still warming up


def train(work: Path, options: Any) -> int:
    """The training, in this process, which looks at itself."""
    every = max(options.count // 100, 1)

    def look(step: int, state: Any) -> dict[str, Any]:
        del state
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        now = {
            "step": step,
            "MiB resident": pages * os.sysconf("SC_PAGESIZE") / 2**20,
            "open files": len(os.listdir("/proc/self/fd")),
            "threads": len(os.listdir("/proc/self/task")),
            "seconds": time.process_time(),
        }
        with open(work / "looks", "a") as file:
            file.write(json.dumps(now) + "\n")
        return {}

    common.use_cache(work / "xla")
    if options.variant == "toy":
        import toy_task as task

        task.use()
    else:
        from vdd.tasks import disentangler as task

        common.random_sprites()
        task.evaluate = lambda workdir: options.count  # the judge knows larger frames alone
    task.hooks = lambda config, workdir: [(every, look)]
    changes = {"num_steps": options.count, "log_every": 20, "checkpoint_every": 200}
    flags = [f"--config.train.{key}={value}" for key, value in changes.items()]
    config = f"--config={common.TINY}:{options.variant}"
    return common.vdd("train", config, f"--workdir={work / 'run'}", *flags)


def tell(looks: list[dict[str, float]]) -> bool:
    """A table of the first and the last tenth; whether nothing grows: by a twentieth is noise."""
    times = np.diff([look["seconds"] for look in looks]) / np.diff([look["step"] for look in looks])
    values = {name: [look[name] for look in looks[1:]] for name in looks[0]}
    values["ms of CPU a step"] = list(times * 1000)
    tenth = max(len(looks) // 10, 1)
    rows, good = [], True
    for name in ("MiB resident", "open files", "threads", "ms of CPU a step"):
        first, last = (float(np.median(v)) for v in (values[name][:tenth], values[name][-tenth:]))
        rows.append([name, f"{first:.4g}", f"{last:.4g}", f"{max(values[name]):.4g}"])
        good &= last <= 1.05 * first + 1
    common.table(("", "first tenth", "last tenth", "most"), rows)
    print(f"{looks[-1]['step']} steps")
    return good


if __name__ == "__main__":
    main()
