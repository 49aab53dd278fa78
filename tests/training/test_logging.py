import io
import json
import resource
import struct
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath
from PIL import Image
from rich.console import Console

from vdd.errors import UserError
from vdd.training import logging, progress, tensorboard, windows


def test_numbers_are_exact_and_valid_json(tmp_path):
    value = np.float32(0.1) / np.float32(3)
    with logging.Writer(tmp_path) as writer:
        writer.write(5, {"loss": value, "count": 3, "mfu": None, "snr": np.float32(np.inf)})
    text = (tmp_path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {
        "step": 5, "loss": float(str(value)), "count": 3, "mfu": None, "snr": None,
    }  # fmt: skip
    assert np.float32(json.loads(text)["loss"]) == value


def test_lines_are_appended_and_dropped(tmp_path):
    path = epath.Path(tmp_path / "metrics.jsonl")
    lines = logging.Lines(path)
    for step in (1, 2, 3):
        lines.add(json.dumps({"step": step}))
    lines.add('{"step": 4, "half')
    logging.drop_lines_after(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'


def test_lines_of_somebody_else_stay(tmp_path):
    path = epath.Path(tmp_path / "metrics.jsonl")
    path.write_text("theirs\n")
    for change in (
        lambda: logging.Lines(path).add("{}"),
        lambda: logging.drop_lines_after(path, 2),
    ):
        with pytest.raises(UserError, match="not as vdd wrote it"):
            change()
    assert path.read_text() == "theirs\n"


def test_in_a_bucket_lines_are_written_once_a_checkpoint(tmp_path, monkeypatch):
    path, written = epath.Path(tmp_path / "metrics.jsonl"), []
    path.write_text("0\n")
    monkeypatch.setattr(logging.files, "is_remote", lambda _: True)
    monkeypatch.setattr(logging.files, "write", lambda path, text: written.append(text))
    lines = logging.Lines(path)
    path.unlink()  # it is read but once
    for line in "12":
        lines.add(line)
    assert written == []
    lines.flush()
    lines.add("3")
    lines.flush()
    lines.flush()
    assert written == ["0\n1\n2\n", "0\n1\n2\n3\n"]


def test_full_disk(tmp_path):
    """The limit on file sizes stands for the disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with logging.Writer(tmp_path) as writer:
        writer.write(1, {"loss": 1.0})
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, before[1]))
        try:
            with pytest.raises(
                UserError, match=rf"{tmp_path}/metrics\.jsonl: cannot be written \(File too large\)"
            ):
                writer.write(2, {"loss": 1.0})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 1.0}\n'


def test_unwritable(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(UserError, match="Is a directory"), logging.Writer(tmp_path) as writer:
        writer.write(1, {"loss": 1.0})


def read_events(path):
    """The records of a TensorBoard file; asserts their checksums."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    data, events = io.BytesIO(path.read_bytes()), []
    while header := data.read(8):
        (header_crc,) = struct.unpack("<I", data.read(4))
        record = data.read(struct.unpack("<Q", header)[0])
        assert (header_crc, *struct.unpack("<I", data.read(4))) == (
            masked_crc32c(header),
            masked_crc32c(record),
        )
        events.append(Event.FromString(record))
    return events


def test_tensorboard_events_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # importing it fails
    writer = tensorboard.tensorboard_writer(tmp_path)
    assert isinstance(writer, tensorboard.EventWriter)
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    writer.write_scalars(7, {"loss": 0.25})
    writer.write_images(7, {"grid": image[None]})
    writer.close()

    (path,) = tmp_path.iterdir()
    version, scalars, images = read_events(path)
    assert version.file_version == "brain.Event:2"
    assert (scalars.step, scalars.summary.value[0].tag) == (7, "loss")
    assert scalars.summary.value[0].simple_value == 0.25
    png = images.summary.value[0].image.encoded_image_string
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), image)


def test_tensorboard_events_with_tensorflow(tmp_path):
    pytest.importorskip("tensorflow")
    writer = tensorboard.tensorboard_writer(tmp_path)
    assert type(writer).__module__.startswith("clu.")
    writer.write_scalars(7, {"loss": 0.25})
    writer.close()
    (path,) = tmp_path.iterdir()
    assert [event.step for event in read_events(path)][-1] == 7


def test_plain_lines_now_and_then():
    out = io.StringIO()
    with progress.ProgressLine(1000, Console(file=out, width=200)) as line:
        for step in range(10, 1001, 10):
            line.update(step, {"loss": 1 / step, "bits_per_frame": 8.0, "steps_per_second": 2.0})
    shown = out.getvalue().splitlines()
    assert len(shown) == 2  # the first and the last: the others come too soon after
    assert shown[0] == "step 10/1000  loss 0.1000  8.00 bits/frame  2 steps/s  ETA 8 min"
    assert shown[1].startswith("step 1000/1000 ")


def test_live_line_on_a_terminal():
    """All of it is seen in 80 columns."""
    out = io.StringIO()
    console = Console(file=out, width=80, force_terminal=True, color_system=None)
    values = {"loss": 0.5, "bits_per_frame": 35.96, "steps_per_second": 0.5207}
    with progress.ProgressLine(12_000, console) as line:
        line.update(50, {**values, "examples_per_second": 12345.6, "mfu": 0.423})
    shown = "loss 0.5000  35.96 bits/frame  0.5207 steps/s  ETA 6 h 22 min"
    assert f"   50/12000 {shown}" in out.getvalue()


def test_what_was_not_measured_is_left_out():
    assert progress.summary(1, 2, {"loss": 1.0, "mfu": None}) == "loss 1.0000"


@pytest.mark.parametrize(
    ("seconds", "text"), [(45, "45 s"), (720, "12 min"), (11_100, "3 h 05 min")]
)
def test_duration(seconds, text):
    assert progress.duration(seconds) == text


def test_window_notes_the_first_bad_step_and_survives_json():
    window = windows.empty(["loss", "bits"])
    for step, loss in enumerate([0.1, np.nan, 0.3, np.inf], 1):
        metrics = {"loss": jnp.float32(loss), "bits": jnp.float32(step)}
        window = windows.add(window, metrics, jnp.int32(step))
    window = jax.device_get(window)
    with pytest.raises(UserError, match="step 2"):
        windows.check_finite(window)
    assert windows.means(window)["bits"] == 2.5
    again = windows.from_json(json.loads(json.dumps(windows.to_json(window))), ["bits", "loss"])
    assert windows.to_json(again)["sums"]["bits"] == 10.0
    assert (int(again.count), int(again.bad_step)) == (4, 2)


def test_window_of_other_metrics_starts_anew():
    saved = windows.to_json(windows.empty(["loss", "old"])) | {"count": 5}
    assert int(windows.from_json(saved, ["loss", "new"]).count) == 0
