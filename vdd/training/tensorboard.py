"""TensorBoard events: through clu where TensorFlow is in use, else without it."""

import io
import os
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from etils import epath
from PIL import Image

from vdd.values import Figures


@runtime_checkable
class SummaryWriter(Protocol):
    """What clu's writers and `EventWriter` have in common."""

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """One value a name."""
        ...

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """uint8 [b h w 3] a name."""
        ...

    def flush(self) -> None:
        """Write what is buffered."""
        ...

    def close(self) -> None:
        """Flush, and let the file go."""
        ...


class EventWriter:
    """TensorBoard event files from the `tensorboard` package alone.

    Only its record format and messages are used: its own file writer would import TensorFlow.
    """

    def __init__(self, logdir: epath.PathLike):
        from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboard.summary.writer.record_writer import RecordWriter

        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}"
        self._file = (epath.Path(logdir) / name).open("wb")
        self._writer = RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """One value a name."""
        self._add(step, [{"tag": name, "simple_value": value} for name, value in scalars.items()])

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """uint8 [b h w 3] a name, as PNG."""
        values = []
        for name, batch in images.items():
            for index, image in enumerate(batch):
                png = io.BytesIO()
                Image.fromarray(image).save(png, format="png")
                height, width, depth = image.shape
                summary = {
                    "height": height,
                    "width": width,
                    "colorspace": depth,
                    "encoded_image_string": png.getvalue(),
                }
                values.append({"tag": f"{name}/image/{index}", "image": summary})
        self._add(step, values)

    def flush(self) -> None:
        """Write what is buffered."""
        self._file.flush()

    def close(self) -> None:
        """Flush, and let the file go."""
        self._file.close()

    def _add(self, step: int, values: list[Figures]) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
        from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]

        summary = Summary(value=[Summary.Value(**value) for value in values])
        self._write(Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Any) -> None:
        self._writer.write(event.SerializeToString())


def tensorboard_writer(logdir: epath.PathLike) -> SummaryWriter | None:
    """clu's writer where TensorFlow is in use anyway, else `EventWriter`, else None.

    Importing TensorFlow only for this would take longer than a small run's first steps.
    """
    if sys.modules.get("tensorflow"):
        try:
            from clu import metric_writers

            return metric_writers.SummaryWriter(str(logdir))
        except ImportError:
            pass
    try:
        return EventWriter(logdir)
    except ImportError:
        return None
