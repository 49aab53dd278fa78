"""A long training of small steps: do memory, open files and the time of a step stay as they are?

    python experiments/campaigns/endurance.py --work DIR [--count 20000] [--variant sprites]

`vdd train` with a checkpoint each 200 steps and a line each 20, of the tiny model on random clips,
or of `toy_task` (`--variant toy`), whose steps are shorter still. Each hundredth of the steps tells
the resident memory, the open files and the threads of the process, and the CPU time it has used.
Compared are the medians of the first and of the last tenth, without the very first hundredth. None
may have grown by more than a twentieth, or by `FLOORS` where a twentieth is less.

Other work on a machine lengthens CPU time too. So a short computation that is always the same is
timed at each look, and what is compared of a step is how many of these it takes.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import common
import numpy as np

SLACK = 0.05  # of what the first tenth has
# What may be added in any case: a buffer of the allocator, a thread that is about to end.
FLOORS = {"MiB resident": 8.0, "open files": 1.0, "threads": 1.0, "yardsticks a step": 0.002}


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
    spent = 0.0  # on yardsticks

    def look(step: int, state: Any) -> dict[str, Any]:
        nonlocal spent
        del state
        seconds, yardsticks = time.process_time() - spent, [yardstick() for _ in range(5)]
        spent += sum(yardsticks)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        now = {
            "step": step,
            "MiB resident": pages * os.sysconf("SC_PAGESIZE") / 2**20,
            "open files": len(os.listdir("/proc/self/fd")),
            "threads": len(os.listdir("/proc/self/task")),
            "seconds": seconds,
            "yardstick": float(np.median(yardsticks)),
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


def yardstick() -> float:
    """Seconds of CPU that this thread takes for some Python and some arithmetic of arrays."""
    start, x, said = time.thread_time(), np.linspace(0.0, 1.0, 1 << 16), 0
    for i in range(20):
        x = np.sqrt(x * x + 1.0)
        said += len(json.dumps({str(k): k for k in range(i)}))
    return time.thread_time() - start


def tell(looks: list[dict[str, float]]) -> bool:
    """A table of the first and the last tenth; whether nothing grows."""
    times = np.diff([look["seconds"] for look in looks]) / np.diff([look["step"] for look in looks])
    values = {name: [look[name] for look in looks[1:]] for name in looks[0]}
    values["ms of CPU a step"] = list(times * 1000)
    values["yardsticks a step"] = list(times / values["yardstick"])
    tenth = max(len(looks) // 10, 1)
    rows, good = [], True
    for name in (*FLOORS, "ms of CPU a step"):
        first, last = (float(np.median(v)) for v in (values[name][:tenth], values[name][-tenth:]))
        growing = name in FLOORS and grows(name, first, last)
        cells = (*(f"{x:.4g}" for x in (first, last, max(values[name]))), "yes" if growing else "")
        rows.append([name, *cells])
        good &= not growing
    common.table(("", "first tenth", "last tenth", "most", "grows"), rows)
    print(f"{looks[-1]['step']} steps")
    return good


def grows(name: str, first: float, last: float) -> bool:
    """Whether the last tenth has more than noise explains."""
    return last > first + max(SLACK * first, FLOORS[name])


if __name__ == "__main__":
    main()
