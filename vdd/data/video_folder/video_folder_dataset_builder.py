"""TFDS builder of a folder of videos: `video_folder/video` and `video_folder/latents`."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from vdd.data.video_folder.examples import Windows
from vdd.data.video_folder.workers import import_beam
from vdd.errors import UserError


class Builder(tfds.core.GeneratorBasedBuilder):
    """Writes windows of decoded clips; both data sets hold the same windows in the same order.

    `python -m vdd.data.prepare` gives it the windows. What is prepared is read without it, by
    `tfds.builder_from_directory`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="video", description="Pixels."),
        tfds.core.BuilderConfig(name="latents", description="Latents of an image autoencoder."),
    ]

    def __init__(
        self,
        *,
        windows: Mapping[str, Windows] | None = None,
        metadata: Mapping[str, Any] | None = None,
        beam: bool = False,
        **kwargs: Any,
    ):
        if not windows:
            raise UserError("a video_folder is prepared by python -m vdd.data.prepare")
        self._windows = windows
        self._metadata = dict(metadata or {})
        self._beam = beam
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        pixels = next(iter(self._windows.values())).example(0)[self._key]
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    # Plain bytes are read several times faster than any compressed encoding.
                    self._key: tfds.features.Tensor(
                        shape=pixels.shape, dtype=pixels.dtype, encoding="bytes"
                    ),
                    "path": tfds.features.Text(),
                    "clip": np.int32,
                    "identity": np.int32,
                    "fps": np.float32,
                    "start": np.float32,
                    "end": np.float32,
                }
            ),
            license="that of the videos",
            metadata=tfds.core.MetadataDict(self._metadata),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        return {split: self._generate_examples(windows) for split, windows in self._windows.items()}

    def _generate_examples(self, windows: Windows) -> Any:
        if not self._beam:
            return _in_order(windows)
        beam = import_beam()
        read = functools.partial(_read, windows)
        return beam.Create(range(len(windows))) | beam.Reshuffle() | beam.Map(read)

    @property
    def _key(self) -> str:
        return str(self.builder_config_name)


def _in_order(windows: Windows) -> Iterator[tuple[int, dict[str, Any]]]:
    for row in range(len(windows)):
        yield _read(windows, row)


def _read(windows: Windows, row: int) -> tuple[int, dict[str, Any]]:
    # TFDS sorts the records by their keys in pieces, and takes the piece from the key's first bits:
    # small numbers would all be in one, which has to fit into memory.
    return row * ((1 << 128) // len(windows)), windows[row]
