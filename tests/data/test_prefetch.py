"""Reading ahead: in order, bounded, and never a thread left behind."""

import gc
import itertools
import threading
import time

import pytest

from vdd.data.prefetch import prefetch


def wait_until(condition, seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def test_items_come_in_order_and_end():
    items = prefetch(lambda: iter(range(50)), depth=3)
    assert list(items) == list(range(50))
    assert list(items) == []


def test_it_reads_ahead_no_further_than_its_depth():
    read = []

    def start():
        for item in itertools.count():
            read.append(item)
            yield item

    items = prefetch(start, depth=3)
    next(items)
    waiting = items._items
    # The reader can do no more: one is delivered, and one in its hand.
    assert wait_until(lambda: waiting.full() and len(read) == waiting.qsize() + 2)
    assert len(read) == 5
    items.close()


def test_an_error_comes_where_its_item_would_have():
    def start():
        yield 1
        raise RuntimeError("no more")

    items = prefetch(start, depth=2)
    assert next(items) == 1
    with pytest.raises(RuntimeError, match="no more"):
        next(items)
    with pytest.raises(StopIteration):
        next(items)


@pytest.mark.parametrize("end", ["close", "collect"])
def test_the_thread_ends_with_its_iterator(end: str):
    before = threading.active_count()
    items = prefetch(itertools.count, depth=2)
    next(items)
    assert threading.active_count() == before + 1
    if end == "close":
        items.close()
    else:
        del items
        gc.collect()
    assert wait_until(lambda: threading.active_count() == before)


def test_closing_closes_the_source():
    closed = threading.Event()

    def start():
        try:
            yield from itertools.count()
        finally:
            closed.set()

    items = prefetch(start, depth=2)
    next(items)
    items.close()
    gc.collect()
    assert closed.wait(60)
