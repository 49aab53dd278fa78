"""A small world whose right answers are known."""

import pytest
from world import World, random_clips


@pytest.fixture
def world() -> World:
    return World(random_clips(8))
