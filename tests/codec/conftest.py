"""A clip to code."""

import pytest
import tiny

from vdd.data import video_io


@pytest.fixture
def clip(tmp_path):
    video = tiny.random_video(1, 5, seed=3)[0]
    return str(video_io.write_clip(tmp_path / "clip.gif", video, fps=20))
