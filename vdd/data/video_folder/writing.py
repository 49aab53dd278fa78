"""Windows of decoded clips into record files, by the TFDS builder."""

import contextlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from vdd import files
from vdd.data.video_folder.examples import Row, Windows
from vdd.data.video_folder.prepared import directory
from vdd.data.video_folder.store import Store
from vdd.data.video_folder.workers import beam_options
from vdd.errors import UserError
from vdd.values import Json, Report

PARTS = "parts-"  # how a folder in a store begins in which a data set is made


def write(
    out: Path,
    file_format: str,
    store: Store,
    rows: Mapping[str, Sequence[Row]],
    chosen: Report,
    weights: str | None = None,
    beam: str | None = None,
) -> None:
    """Writes a data set, unless that has been done.

    Args:
      out: under this folder.
      file_format: "tfrecord" or "array_record".
      store: where the frames are.
      rows: the windows of each split, in their order.
      chosen: what the data set was made from and how, kept with it.
      weights: folder of an autoencoder: its latents are written, not the pixels.
      beam: options of an Apache Beam pipeline that writes; None is this process.

    Raises:
      UserError: no room, no right to write.
    """
    from vdd.progress import progress_bar

    kind = "latents" if weights else "video"
    if directory(out, kind).exists():
        return
    # Made in a folder of the store: what an interruption leaves of it goes with that.
    begun = Path(store.folder) / f"{PARTS}{secrets.token_hex(4)}"
    total = sum(len(own) for own in rows.values())
    try:
        with (
            progress_bar(f"writing {kind}", total, beam is None) as advance,
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            tell = advance if beam is None else None  # a pipeline's workers cannot
            windows = {split: Windows(store, own, weights, tell) for split, own in rows.items()}
            metadata = {"fps": float(store.settings.fps), "chosen": dict(chosen)}
            _build(begun, kind, file_format, windows, metadata, beam)
        files.move(directory(begun, kind), directory(out, kind))
    except UserError:
        raise
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:200]
        raise UserError(f"{out}: the data set cannot be written ({reason})") from error


def _build(
    folder: Path,
    kind: str,
    file_format: str,
    windows: Mapping[str, Windows],
    metadata: Json,
    beam: str | None,
) -> None:
    """Has the TFDS builder write its files into a folder."""
    import tensorflow_datasets as tfds

    from vdd.data.video_folder.video_folder_dataset_builder import Builder

    tfds.disable_progress_bar()
    options = None if beam is None else beam_options(beam)
    builder = Builder(
        windows=windows,
        metadata=metadata,
        beam=beam is not None,
        config=kind,
        data_dir=folder,
    )
    settings = tfds.download.DownloadConfig(beam_options=options)
    builder.download_and_prepare(file_format=file_format, download_config=settings)
