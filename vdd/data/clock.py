"""When frames are seen: time stamps that never go back, and clips at one constant rate."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from numbers import Rational
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")

MAX_GAP = Fraction(2)  # seconds; over a longer gap between two frames `nearest` leaves ticks out
MAX_HOLD = Fraction(600)  # seconds that a frame is held: stamps must not ask for endless frames
_MAX_UNEVEN_RATE = 60  # frames a second of a clip whose frames are not evenly spaced
_FAR = 6  # frames that follow one another otherwise than they are shown lie nearer
_RATES = (Fraction(1, 10), Fraction(1000))


class Times(NamedTuple):
    """The times of a file's frames, found without decoding them."""

    stamps: list[Fraction]  # seconds, in order; none where the file has no clock
    end: Fraction | None  # when the last frame has been seen
    frames: int  # that the file holds
    declared: int = 0  # that its header tells of; 0 where that says nothing
    # When what it holds ends, and when that ends by its header; None where that says nothing.
    ends: tuple[Fraction, Fraction] | None = None

    @property
    def longest_gap(self) -> Fraction:
        """Seconds from one frame to the next, at most."""
        gaps = (b - a for a, b in itertools.pairwise(self.stamps))
        return max(gaps, default=Fraction(0))


def running_clock(stamps: Iterable[Fraction | None], step: Fraction) -> Iterator[Fraction]:
    """Times that never go back, from time stamps that may be missing, doubled or start anew.

    Where a stamp is missing, `step` has passed. One that is a little behind the last is taken for
    it; one that is a second or more behind is the start of a new clock, `step` after the last, and
    so is the second in a row that is more than `_FAR` steps behind.
    """
    last, shift, far = None, Fraction(0), False
    for stamp in stamps:
        if last is None:
            time = stamp or Fraction(0)
        elif stamp is None:
            time = last + step
        else:
            was_far, far = far, stamp + shift < last - _FAR * step
            if stamp + shift <= last - 1 or (far and was_far):
                shift, far = last + step - stamp, False
            time = max(last, stamp + shift)
        last = time
        yield time


def nearest(frames: Iterable[tuple[Fraction, T]], fps: Fraction) -> Iterator[tuple[int, T]]:
    """The frame nearest in time to each tick of a clock that starts with the first frame.

    Tick i is i / `fps` seconds after the first frame; of two frames equally near the earlier one is
    taken. A frame may be seen at several ticks or at none. Where a gap is longer than `MAX_GAP`,
    ticks are left out, so that hostile time stamps cannot ask for endless frames.

    Args:
      frames: seconds, never less than those before, and the frame.
      fps: ticks a second.
    """
    start = previous = item = None
    tick, half = 0, 1 / (2 * fps)
    for time, following in frames:
        if start is None or previous is None:
            start = time
        else:
            gap = time - previous
            half = gap / 2 if gap <= MAX_GAP else 1 / (2 * fps)
            while start + tick / fps <= previous + half:
                yield tick, item  # pyright: ignore[reportReturnType] - it has been set with `start`
                tick += 1
            if gap > MAX_GAP:
                tick = max(tick, math.ceil((time - half - start) * fps))
        previous, item = time, following
    while start is not None and previous is not None and start + tick / fps <= previous + half:
        yield tick, item  # pyright: ignore[reportReturnType]
        tick += 1


def hold(frames: Iterable[tuple[Fraction, Fraction, T]], fps: Fraction) -> Iterator[T]:
    """What a player shows at each tick: a frame from the tick nearest to its time up to the next.

    The clip lasts as long as its time stamps say. Of two frames at one tick the later is shown.

    Args:
      frames: seconds, never less than those before, how long it is seen if it is the last, and the
        frame.
      fps: ticks a second.
    """
    due, tick, last, held = Fraction(0), 0, None, None
    for time, seconds, frame in frames:
        if last is not None and held is not None:
            due += min(time - last, MAX_HOLD)
            while tick < _nearest_tick(due * fps):
                yield held[1]
                tick += 1
        last, held = time, (seconds, frame)
    if held is not None:
        end = _nearest_tick((due + min(held[0], MAX_HOLD)) * fps)
        for _ in range(tick, max(end, tick + 1)):
            yield held[1]


def constant_rate(
    stamps: Sequence[Fraction], end: Fraction | None, declared: Fraction | None
) -> Fraction | None:
    """The frames a second at which `hold` shows every frame once, if there is such a rate.

    Otherwise one at which even frames that follow one another quickly are seen, 60 at most. None
    where nothing is known.

    Args:
      stamps: seconds of the frames, in order.
      end: when the last frame has been seen.
      declared: what the header says, or None; believed if the stamps do not contradict it.
    """
    times = np.array([float(stamp - stamps[0]) for stamp in stamps])
    if len(times) < 2 or not times[-1]:
        return declared
    for rate in _even_rates(times, float(end - stamps[0]) if end else 0.0, declared):
        if np.all(np.abs(times * float(rate) - np.arange(len(times))) < 0.25):
            return _within(rate)
    gaps = np.diff(times)
    gaps = gaps[gaps > 0]
    quick = float(np.mean(gaps[gaps <= 1.5 * np.quantile(gaps, 0.05)]))
    rate = min(1 / quick, _MAX_UNEVEN_RATE)
    whole = round(rate)
    near = whole and abs(whole - rate) < 0.02 * rate
    return _within(Fraction(whole) if near else Fraction(rate).limit_denominator(1001))


def _even_rates(times: np.ndarray, seconds: float, declared: Fraction | None) -> Iterator[Fraction]:
    """Rates that frames which are evenly spaced may have; the likeliest first."""
    measured = [(len(times) - 1) / times[-1]]
    if seconds > times[-1]:
        measured.insert(0, len(times) / seconds)
    for rate in measured:
        if declared and abs(float(declared) / rate - 1) < 0.01:
            yield declared
        if abs(round(rate) / rate - 1) < 0.02:
            yield Fraction(round(rate))
        yield Fraction(rate).limit_denominator(1001)
        yield Fraction(rate)


def _within(rate: Fraction) -> Fraction:
    return min(max(rate, _RATES[0]), _RATES[1])


def believed(rate: Rational | None) -> Fraction | None:
    """A frame rate that a header declares; None where no clip has such a rate."""
    return Fraction(rate) if rate and _RATES[0] <= rate <= _RATES[1] else None


def _nearest_tick(ticks: Fraction) -> int:
    return math.floor(ticks + Fraction(1, 2))
