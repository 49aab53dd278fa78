"""The time of a step is measured before a training that is to take a given time."""

import toy

from vdd.training import timing


class Clock:
    """Stands for `time`, and moves only where it is told to."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


class Slow:
    """Batches that take their time, by this clock."""

    def __init__(self, clips, clock, seconds):
        self._clips, self._clock, self._seconds = clips, clock, iter(seconds)
        self.get_state, self.set_state = clips.get_state, clips.set_state

    def __next__(self):
        self._clock.now += next(self._seconds)
        return next(self._clips)


def test_a_step_takes_as_long_as_its_slowest_part(monkeypatch):
    clock, config = Clock(), toy.get_config()
    monkeypatch.setattr(timing, "time", clock)
    # The first is read before any step, and the next two are of steps that do not count.
    batches = Slow(toy.Clips(config), clock, [99.0, 99.0, 99.0, 1.0, 50.0, 2.0, 4.0, 3.0])
    assert timing.seconds_per_step(config, batches, *toy.build(config)) == 3.0
    assert clock.now == 357.0, "every batch has been read"
