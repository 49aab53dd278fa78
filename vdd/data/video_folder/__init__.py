"""Real videos: windows of the clips of a folder, as `python -m vdd.data.prepare` wrote them.

`load_windows` reads a split into memory; where it was written as ArrayRecord, without TensorFlow.
"""

from vdd.data.video_folder.prepared import (
    VideoWindows,
    has_split,
    load_windows,
    stored_frames,
)
from vdd.data.video_folder.splits import SPLITS

__all__ = ["SPLITS", "VideoWindows", "has_split", "load_windows", "stored_frames"]
