"""Work is done in turns: nobody waits for all of somebody else's."""

import threading
from concurrent.futures import wait

import pytest

from vdd.errors import UserError
from vdd.serve.work import WAITING, CancelledError, Progress, Worker


@pytest.fixture
def worker():
    made = Worker("test", threads=1, most=3)
    yield made
    made.close()


def steps(count, log=None, name="", gate=None):
    for i in range(count):
        yield Progress(i, count, "counting")
        if gate is not None:
            gate.wait(60)
        if log is not None:
            log.append(name)
    return name


def test_work_of_many_is_done_in_turns(worker):
    log, gate = [], threading.Event()
    jobs = [worker.submit("long", steps(30, log, "long", gate))]
    jobs += [worker.submit(f"client {i}", steps(2, log, f"{i}")) for i in range(10)]
    gate.set()
    wait([job.future for job in jobs], 60)
    assert jobs[0].future.result() == "long"
    # All ten were done while the long work had no more than a few turns.
    assert log[: max(log.index(f"{i}") for i in range(10))].count("long") <= 4


def test_work_of_one_owner_is_done_in_turns_too(worker):
    log, gate = [], threading.Event()
    first = worker.submit("me", steps(20, log, "atlas", gate))
    second = worker.submit("me", steps(1, log, "picture"))
    gate.set()
    wait([first.future, second.future], 60)
    assert log.index("picture") <= 3


def test_newer_work_in_a_lane_ends_the_older(worker):
    gate = threading.Event()
    old = worker.submit("me", steps(100, gate=gate), lane="result")
    other = worker.submit("you", steps(2, name="kept"), lane="result")
    new = worker.submit("me", steps(2, name="new"), lane="result")
    gate.set()
    assert new.future.result(60) == "new"
    assert other.future.result(60) == "kept"
    with pytest.raises(CancelledError):
        old.future.result(60)


def test_work_is_found_by_its_owner_alone_and_can_be_cancelled(worker):
    gate = threading.Event()
    job = worker.submit("me", steps(100, gate=gate), name="n")
    assert worker.find("me", "n") is job
    assert worker.find("you", "n") is None
    job.cancel()
    gate.set()
    with pytest.raises(CancelledError):
        job.future.result(60)


def test_an_error_ends_its_own_work_and_no_other(worker):
    def wrong():
        yield Progress(0, 1, "")
        raise KeyError("wrong")

    jobs = [worker.submit("me", wrong()), worker.submit("me", steps(2, name="right"))]
    with pytest.raises(KeyError):
        jobs[0].future.result(60)
    assert jobs[1].future.result(60) == "right"


def test_an_owner_has_so_much_in_work_and_not_more(worker):
    gate = threading.Event()
    for _ in range(3):
        worker.submit("me", steps(2, gate=gate))
    with pytest.raises(UserError, match="too much"):
        worker.submit("me", steps(1))
    other = worker.submit("you", steps(1, name="mine"))
    gate.set()
    assert other.future.result(60) == "mine"


def test_two_threads_never_work_for_one_owner_at_once():
    log, started, gate = [], threading.Event(), threading.Event()

    def held():
        started.set()
        gate.wait(600)
        log.append("held")
        yield Progress(1, 1, "holding")

    worker = Worker("test", threads=2)
    jobs = [worker.submit("me", held())]
    assert started.wait(600)
    jobs += [worker.submit("me", steps(5, log, "mine")) for _ in range(3)]
    # The other thread comes by my work at each of its turns.
    jobs.append(worker.submit("you", steps(20, log, "yours")))
    jobs[-1].future.result(600)
    assert log == ["yours"] * 20
    assert [job.progress for job in jobs[1:-1]] == [WAITING] * 3
    gate.set()
    wait([job.future for job in jobs], 600)
    worker.close()
    assert log[20:] == ["held"] + ["mine"] * 15


def test_closing_ends_what_waits():
    worker, gate = Worker("test"), threading.Event()
    jobs = [worker.submit(name, steps(1000, gate=gate)) for name in "ab"]
    gate.set()
    worker.close()
    assert not any(thread.is_alive() for thread in worker._threads)
    assert not any(job.future.done() and job.future.exception() is None for job in jobs)
