"""Kills `vdd train`, `prepare` and `compress` at random moments: is the end as if nothing had been?

    python experiments/campaigns/kill.py --work DIR [--count 100] [--seed 0] [--commands train,...]

Each command is run again and again in one folder, each time stopped at a random moment, until it
ends by itself; then in the next folder, until `--count` attempts have been stopped. Half of the
moments are random times; half are random changes of files (the n-th of those that Python reports).
A tenth of the attempts has no compiled programs. What is in the folder at last is compared with
that of an uninterrupted run: arrays bit for bit, all else byte for byte but for times.

Stopped by SIGKILL, SIGTERM, SIGINT; a disk that is full (a tmpfs of random size, which then grows;
where none can be mounted a limit on the size of files, which is then lifted); a second process
meanwhile, which has to be refused.

`train` trains `toy_task`: programs that compile in a moment, and the loop, checkpoints, logs and
reports of every training. `compress` has its learning left out, which writes nothing.
"""

import collections
import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import common
import numpy as np
from left_behind import can_mount, contents, step_of, steps_of, tmpfs

COMMANDS = ("train", "prepare", "compress")
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT}
# What Python tells an audit hook of changes of files.
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.setxattr", "os.truncate")


class World(NamedTuple):
    """Where a campaign works, and how each command is run on a folder there."""

    work: Path
    rng: np.random.Generator

    def command(self, name: str, out: Path) -> int:
        """Runs a command in this process; its exit status."""
        cold = self.work / "no-cache" / str(os.getpid())
        common.use_cache(cold if os.environ.get("CAMPAIGN_COLD") else self.work / "xla")
        if name == "train":
            import toy_task

            toy_task.use()
            return common.vdd("train", f"--config={common.TINY}:toy", f"--workdir={out}")
        if name == "prepare":
            source = ("--source", self.work / "clips", "--out", out, "--workers", 0)
            shape = ("--size", 16, "--frames", 8, "--test", 0.25, "--validation", 0.25)
            return common.vdd("prepare", *source, *shape)
        common.random_sprites()
        leave_out_learning()
        return common.vdd("compress", self.work / "run", out)


def leave_out_learning() -> None:
    """`vdd compress` reads and writes a run as ever, and learns nothing."""
    from vdd.compression import content_code, merging, rereading
    from vdd.method.content import ContentCode

    code = ContentCode(12, 8, (2, 4))
    rereading.read = lambda *args: None  # pyright: ignore
    merging.merge_codewords = lambda model, params, *args: (model, params)
    content_code.learn = lambda model, params, *args: (model.clone(content_code=code), params)


def save_run(folder: Path) -> None:
    """A run of random parameters on Sprites."""
    import jax
    import jax.numpy as jnp
    import tiny
    from etils import epath

    from vdd.method.disentangler import Disentangler
    from vdd.training import checkpoints, workdir

    config = tiny.get_config("sprites")
    model = Disentangler.from_config(config.model)
    video = jax.ShapeDtypeStruct((1, tiny.FRAMES, tiny.SIDE, tiny.SIDE, 3), jnp.uint8)
    shapes = jax.eval_shape(model.init, jax.random.key(0), video)["params"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes)
    workdir.claim(epath.Path(folder), config)
    with checkpoints.Checkpoints(epath.Path(folder)) as saved:
        saved.save(3, {"ema_params": params}, {})


def die_at(change: int, folder: Path) -> list[int]:
    """Kills this process at the n-th change below a folder (0: never); how many there were."""
    count, below = [0], str(folder.parent)  # some is written beside it

    def hook(event: str, args: tuple) -> None:
        is_write = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wxa+")
        if (event in CHANGES or is_write) and below in str(args[0]):
            count[0] += 1
            if count[0] == change:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return count


class Campaign:
    """Attempts at one command, in folder after folder."""

    def __init__(self, world: World, name: str):
        self.world, self.name = world, name
        self.faults: list[str] = []
        self.stopped: collections.Counter[str] = collections.Counter()
        self.left_over = self.folders = self.number = 0
        whole = self.folder("whole")
        self.changes = int(self.finish(whole, change=0).out.splitlines()[-1])
        self.whole = self.contents(whole)
        self.seconds = self.finish(self.folder("again")).seconds
        self.compare(self.folder("again"))

    def folder(self, name: object) -> Path:
        """Where an attempt of that name works."""
        return self.world.work / self.name / str(name)

    def start(
        self, out: Path, change: int | None = None, cold: bool = False, most: int = 0
    ) -> common.Child:
        """The command, killed at a change of files, without compiled programs, or short of room."""

        def work() -> int:
            os.environ.update({"CAMPAIGN_COLD": "1"} if cold else {})
            if most:
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            count = [0] if change is None else die_at(change, out)
            try:
                return self.world.command(self.name, out)
            finally:
                if change is not None:
                    print(count[0])

        self.number += 1
        said = self.world.work / "said" / f"{self.name}-{self.number}"
        said.parent.mkdir(exist_ok=True)
        return common.Child(work, said)

    def finish(self, out: Path, **options: Any) -> common.Ended:
        """Runs the command to its end, which has to be a good one."""
        ended = self.start(out, **options).end()
        self.check(self.is_done(ended) and ended.told, out, f"{ended.status}: {ended.err[-300:]}")
        return ended

    def is_done(self, ended: common.Ended) -> bool:
        """Whether all has been done that the command does."""
        # A new run that was whole when the command was killed is told so.
        whole = self.name == "compress" and "already there" in ended.err
        # A training that is told to go ends well, too, and says what starts it again.
        return whole or (not ended.status and "the same command" not in ended.out)

    def check(self, good: bool, out: Path, fault: str) -> None:
        """Notes a fault."""
        if not good:
            self.faults.append(f"{out.name}: {fault}")
            print(f"FAULT {self.name} {out.name}: {fault}", flush=True)

    def contents(self, out: Path) -> dict[str, str]:
        """What is in a folder, asked in a child."""
        return common.result_of(lambda: contents(out), self.world.work / "said" / "contents")

    def compare(self, out: Path) -> None:
        """Whether a folder holds what an uninterrupted run leaves."""
        found = self.contents(out)
        # Of the last steps a few are kept, and a stop saves one more.
        gone = steps_of(self.whole) - steps_of(found)
        last = max(steps_of(self.whole), key=int, default="")
        if last in gone or len(steps_of(found)) < len(steps_of(self.whole)):
            gone = set()
        other = [
            name
            for name, value in self.whole.items()
            if found.get(name) != value and step_of(name) not in gone
        ]
        self.check(not other, out, f"not as an uninterrupted run leaves it: {other[:5]}")
        self.left_over += len(found.keys() - self.whole.keys())
        self.folders += 1

    def signals(self, kind: str, count: int) -> None:
        """Stops the command `count` times, by a signal."""
        rng, number = self.world.rng, SIGNALS[kind]
        while self.stopped[kind] < count:
            out, done = self.folder(f"{kind}{self.folders}"), False
            while not done and self.stopped[kind] < count:
                cold, at_change = rng.random() < 0.1, kind == "kill" and rng.random() < 0.5
                change = int(rng.integers(1, self.changes + 1)) if at_change else None
                fresh = not out.exists()
                child = self.start(out, change, cold)
                if not at_change and child.wait(rng.uniform(0, self.seconds)) is None:
                    child.kill(number)
                ended = child.end()
                if done := self.is_done(ended):
                    if fresh:  # the first ones may have been slow
                        self.seconds = min(self.seconds, ended.seconds)
                    self.check(ended.told, out, ended.err[-300:])
                else:
                    self.stopped[kind] += 1
                    self.check_stop(kind, number, ended, out)
            if not done:
                self.finish(out)
            self.compare(out)
        print(f"{self.name}: {kind} {count}, {len(self.faults)} faults", flush=True)

    def check_stop(self, kind: str, number: int, ended: common.Ended, out: Path) -> None:
        """Whether a signal ended the command as it should."""
        good = {"kill": (-9,), "term": (0, 143, -15), "int": (0, 130, -2)}[kind]
        said = f"{number!r}: status {ended.status}, {ended.out[-100:]!r}, {ended.err[-300:]!r}"
        self.check(ended.status in good and ended.told, out, said)
        if self.name == "train" and ended.status == 143:
            self.check("the same command" in ended.out, out, said)

    def full_disk(self, count: int, mount: bool) -> None:
        """Runs out of room `count` times, then goes on with enough."""
        size = max(self.sizes()) if not mount else sum(self.sizes())
        for _ in range(count):
            out, most = self.folder(f"disk{self.folders}"), int(self.world.rng.uniform(4096, size))
            with tmpfs(out.parent / "disk", most) if mount else contextlib.nullcontext() as grow:
                out = out.parent / "disk" / "out" if grow else out
                ended = self.start(out, most=0 if grow else most).end()
                good = ended.status in (0, 2) and ended.told
                self.check(good, out, f"full at {most}: {ended.status} {ended.err[-500:]!r}")
                self.stopped["disk"] += bool(ended.status)
                if grow:
                    grow()
                self.finish(out)
                self.compare(out)

    def sizes(self) -> list[int]:
        """Bytes of each file that an uninterrupted run leaves."""
        return [p.stat().st_size for p in self.folder("whole").rglob("*") if p.is_file()]

    def two(self, count: int) -> None:
        """Starts the command twice at once: one does the work, the other one is refused."""
        for _ in range(count):
            out = self.folder(f"two{self.folders}")
            ended = sorted(child.end() for child in [self.start(out), self.start(out)])
            refused = ended[1].status == 2 and ended[1].told
            # Or it came so late that all was done.
            good = not ended[0].status and (refused or not ended[1].status)
            self.check(good, out, f"two at once: {[(e.status, e.err[-200:]) for e in ended]}")
            self.stopped["two"] += refused
            self.finish(out)
            self.compare(out)


def main() -> None:
    parser = common.parser(__doc__, 100)
    parser.add_argument("--commands", default=",".join(COMMANDS), help="some of these")
    parser.add_argument("--others", type=int, help="SIGTERM, SIGINT, full disks (a fifth)")
    options = parser.parse_args()
    if unknown := set(options.commands.split(",")) - set(COMMANDS):
        parser.error(f"--commands {','.join(sorted(unknown))}: take of {', '.join(COMMANDS)}")
    others = max(options.count // 5, 1) if options.others is None else options.others
    common.quick_xla()
    # A shell's background jobs ignore it, and so would their children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    start = time.monotonic()
    with common.new_folder(options.work.absolute()) as work:
        world = World(work, np.random.default_rng(options.seed))
        common.Child(lambda: common.write_videos(work / "clips") and 0, work / "clips-said").end()
        import tensorflow_datasets  # noqa: F401

        import vdd.data.prepare
        import vdd.evaluation.report
        import vdd.main  # noqa: F401 (once, for all children)

        common.Child(lambda: save_run(work / "run"), work / "run-said").end()
        mount = not options.tiny and can_mount(work / "mounted")
        rows, faults = [], []
        for name in options.commands.split(","):
            campaign = Campaign(world, name)
            campaign.signals("kill", options.count)
            campaign.signals("term", others)
            campaign.signals("int", others)
            campaign.full_disk(others, mount)
            campaign.two(min(others, 3))
            stopped = [campaign.stopped[kind] for kind in (*SIGNALS, "disk", "two")]
            rows.append(
                [name, *stopped, campaign.folders, campaign.left_over, len(campaign.faults)]
            )
            faults += campaign.faults
    print(f"seed {options.seed}, {time.monotonic() - start:.0f} s, {common.describe_machine()}")
    print("full disks are", "a tmpfs" if mount else "limits on the size of files")
    names = ("command", "SIGKILL", "SIGTERM", "SIGINT", "full disk", "second refused")
    common.table((*names, "folders compared", "files left over", "faults"), rows)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
