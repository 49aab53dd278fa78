"""The time of a step is measured before a training that is to take a given time."""

import time

import toy

from vdd.training import timing


class Slow:
    """Batches that take their time."""

    def __init__(self, clips):
        self._clips, self.given = clips, 0
        self.get_state, self.set_state = clips.get_state, clips.set_state

    def __next__(self):
        self.given += 1
        time.sleep(0.2)
        return next(self._clips)


def test_a_step_takes_as_long_as_its_slowest_part():
    config = toy.get_config()
    batches = Slow(toy.Clips(config))
    seconds = timing.seconds_per_step(config, batches, *toy.build(config))
    assert 0.15 < seconds < 2
    assert batches.given >= 7, "the first steps do not count"
