"""Processes of one training on several machines: one is lost, or told to go.

    python experiments/campaigns/preemption.py --work DIR [--count 2] [--processes 4]

`vdd train` in so many processes on this machine, which find each other on the loopback; again and
again in one run directory. One of them is killed at a random moment, in every other round the first
one. The rest have to end within a minute, each with one line of the tool's on stderr. JAX may have
said something of its own before, if the first process was gone, by which all are connected. Started
again, all go on from the last checkpoint; one of them gets SIGTERM, and all have to save the same
step and end well. What is trained is `toy_task`.
"""

import os
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import common
import numpy as np

MINUTE = 60.0
STEPS = 1_000_000  # more than there is time for


def main() -> None:
    parser = common.parser(__doc__, 2)
    parser.add_argument("--processes", type=int, default=4)
    options = parser.parse_args()
    common.quick_xla()
    import vdd.main
    import vdd.training.tensorboard  # noqa: F401 (once, for all children)

    start, rng = time.monotonic(), np.random.default_rng(options.seed)
    rows: list[list[Any]] = []
    with common.new_folder(options.work.absolute()) as work:
        for turn in range(options.count):
            lost = 0 if turn % 2 else int(rng.integers(1, options.processes))
            rows.append(turn_of(work, turn, lost, options.processes, rng))
            print(rows[-1], flush=True)
    print(f"{time.monotonic() - start:.0f} s, seed {options.seed}, {common.describe_machine()}")
    names = ("killed", "the rest ended after, s", "statuses", "told in a line", "went on at step")
    common.table((*names, "SIGTERM to", "statuses", "saved at step"), rows)
    sys.exit(not all(row[-1] and row[3] and float(row[1]) < MINUTE for row in rows))


def turn_of(work: Path, turn: int, lost: int, count: int, rng: np.random.Generator) -> list[Any]:
    """One is killed, all are started again, one gets SIGTERM: what came of it."""
    children = launch(work, f"kill{turn}", count)
    wait_for_steps(work, children[0], rng)
    children[lost].kill(signal.SIGKILL)
    killed = time.monotonic()
    ended = [child.wait(3 * MINUTE) for i, child in enumerate(children) if i != lost]
    took = time.monotonic() - killed
    for child, end in zip([c for i, c in enumerate(children) if i != lost], ended, strict=True):
        if end is None:
            child.kill(signal.SIGKILL)
    statuses = [end.status if end else None for end in ended]
    ours = [
        [line for line in end.err.splitlines() if line.startswith("vdd: ")] for end in ended if end
    ]
    told = len(ours) == len(ended) and all(len(lines) == 1 for lines in ours)
    alone = all(end and end.err.count("\n") == 1 for end in ended)
    children = launch(work, f"term{turn}", count)
    step = wait_for_steps(work, children[0], rng)
    told_to_go = int(rng.integers(count))
    children[told_to_go].kill(signal.SIGTERM)
    last = [child.end() for child in children]
    saved = re.search(r"saved at step (\d+)", last[0].out)
    good = all(end.status == 128 + signal.SIGTERM and end.told for end in last)
    after = [end.status for end in last]
    return [
        lost,
        f"{took:.0f}",
        statuses,
        told
        and all(status == 2 for status in statuses)
        and ("yes" if alone else "beside what JAX says"),
        step,
        told_to_go,
        after,
        good and saved and saved[1],
    ]


def launch(work: Path, name: str, count: int) -> list[common.Child]:
    """All processes of the training."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]

    def train(index: int) -> int:
        import toy_task

        process = ("VDD_COORDINATOR", "VDD_NUM_PROCESSES", "VDD_PROCESS_ID")
        os.environ.update(zip(process, (f"localhost:{port}", str(count), str(index))))
        common.use_cache(work / "xla")
        toy_task.use()
        steps = (f"--config.train.num_steps={STEPS}", "--config.train.checkpoint_every=20")
        more = ("--config.train.log_every=20", "--config.train.eval_every=0")
        return common.vdd(
            "train", f"--config={common.TINY}:toy", f"--workdir={work / 'run'}", *steps, *more
        )

    return [common.Child(lambda i=i: train(i), work / f"{name}-{i}") for i in range(count)]


def wait_for_steps(work: Path, first: common.Child, rng: np.random.Generator) -> int:
    """Waits until a random number of checkpoints more is there; where the training went on."""
    begun, wanted = latest(work), int(rng.integers(1, 4))
    end = time.monotonic() + 10 * MINUTE
    while latest(work) < begun + 20 * wanted and time.monotonic() < end:
        if (ended := first.wait(0.1)) is not None:
            raise SystemExit(f"the first process ended: {ended}")
    return begun


def latest(work: Path) -> int:
    """The step of the latest checkpoint."""
    found = (work / "run" / "checkpoints").glob("*/commit_success.txt")
    names = [path.parent.name for path in found]
    return max((int(name) for name in names if name.isdigit()), default=0)


if __name__ == "__main__":
    main()
