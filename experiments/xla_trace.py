"""What XLA's threads did in a trace of `jax.profiler`, and of which kind an operation is."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

WHOLE, WAIT = "ThunkExecutor::Execute (wait for completion)", "SlinkyThreadPool::Await"
POOL = "ThreadpoolListener::"  # Record puts a task there, StartRegion and StopRegion run one
OTHERS = (WHOLE, WAIT, POOL, "ThunkExecutor::Execute")
MOVES = {
    "bitcast", "broadcast", "concatenate", "constant", "copy", "dynamic-slice", "get-tuple-element",
    "dynamic-update-slice", "iota", "pad", "parameter", "reshape", "reverse", "slice", "transpose",
    "tuple",
}  # fmt: skip
# Kinds of operations by what is in them; the first that is found holds.
HLO_KINDS = {
    "convolution": {"convolution"},
    "matrix product": {"dot"},
    "random numbers": {"rng-bit-generator", "xor"},
    "reduction": {"reduce", "reduce-window", "sort"},
    "gather, scatter": {"gather", "scatter"},
}


class Event(NamedTuple):
    """Of the profiler; nanoseconds."""

    start: float
    end: float
    name: str
    task: int  # of those put into the pool


class Span(NamedTuple):
    """A thread is busy with an operation; nanoseconds."""

    start: float
    end: float
    thread: int
    name: str


class Spent(NamedTuple):
    """What a kind of operation took; milliseconds."""

    wall: float  # any thread at it
    threads: float  # busy meanwhile with anything, on average
    alone: float  # it kept one thread busy, and no other was


def read_trace(profile: Any) -> list[list[Event]]:
    """What XLA's threads did."""
    threads = []
    for line in profile.find_plane_with_name("/host:CPU").lines:
        if not line.name.startswith("tf_"):
            continue
        threads.append([])
        for e in line.events:
            stats = dict(e.stats)
            ours = "hlo_op" in stats or e.name.startswith(OTHERS)
            if ours:
                task = stats.get("_p", stats.get("_c", 0))
                threads[-1].append(Event(e.start_ns, e.end_ns, e.name, task))
    return threads


def read_hlo(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """The kind of each operation of a compiled program, and where in the model it is from."""
    inside: dict[str, set[str]] = defaultdict(set)  # a computation's operations
    found, sources, computation = {}, {}, ""
    for line in text.splitlines():
        if header := re.match(r"(?:ENTRY )?%([\w.-]+) \(.*\{$", line):
            computation = header[1]
        elif match := re.match(r"  (?:ROOT )?%([\w.-]+) = (?:\(.*?\)|\S+) ([a-z][a-z-]*)\(", line):
            inside[computation].add(match[2])
            called = re.search(r"calls=%([\w.-]+)", line)
            found[match[1]] = (match[2], called[1] if called else "")
            source = re.search(r'op_name="([^"]*)"', line)
            sources[match[1]] = source[1].removeprefix("jit(step)/") if source else ""
    kinds = {name: hlo_kind({code} | inside[calls]) for name, (code, calls) in found.items()}
    return kinds, sources


def hlo_kind(operations: set[str]) -> str:
    """The kind of an operation that is made of these."""
    for kind, signs in HLO_KINDS.items():
        if operations & signs:
            return kind
    if operations - MOVES - {"fusion"}:
        return "elementwise"
    joined = operations & {"concatenate", "pad", "dynamic-update-slice"}
    return "concatenation, padding" if joined else "copy, transposition"


def busy(threads: Sequence[Sequence[Event]]) -> list[Span]:
    """The innermost operation of each thread at each moment.

    A task of the pool counts to the operation that put it there.
    """
    edges = []
    for thread, events in enumerate(threads):
        for e in events:
            if e.name == WHOLE:
                continue
            edges.append((e.start, 1, thread, e))
            if not e.name.startswith(POOL):
                edges.append((max(e.end, e.start + 1), 0, thread, e))
    stacks: list[list[str]] = [[] for _ in threads]
    since, owners, spans = [0.0] * len(threads), {}, []
    for now, begins, thread, e in sorted(edges, key=lambda edge: edge[:2]):
        stack = stacks[thread]
        if e.name == POOL + "Record":
            owners[e.task] = stack[-1] if stack else "task"
            continue
        if stack and stack[-1] != WAIT and now > since[thread]:
            spans.append(Span(since[thread], now, thread, stack[-1]))
        since[thread] = now
        if e.name == POOL + "StartRegion":
            stack.append(owners.get(e.task, "task"))
        elif begins and e.name != POOL + "StopRegion":
            stack.append(e.name)
        elif stack:
            stack.pop()
    return spans


def spent_by_name(spans: Iterable[Span]) -> dict[str, Spent]:
    """Sums over moments; the spans of one thread do not overlap."""
    edges = sorted((t, on, x) for x in spans for t, on in ((x.start, 1), (x.end, 0)))
    sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(3))
    active: set[Span] = set()
    last = 0.0
    for now, begins, span in edges:
        for name in {x.name for x in active}:
            sums[name] += (now - last) / 1e6 * np.array([1, len(active), len(active) == 1])
        last = now
        (active.add if begins else active.remove)(span)
    return {name: Spent(w, t / w if w else 0.0, a) for name, (w, t, a) in sums.items()}


def by_one_thread(spans: Iterable[Span]) -> dict[str, bool]:
    """Whether a single thread did all that an operation is, but for a twentieth."""
    sums: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for x in spans:
        sums[x.name][x.thread] += x.end - x.start
    return {name: max(t.values()) > 0.95 * sum(t.values()) for name, t in sums.items()}
