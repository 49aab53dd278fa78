"""TFDS builder of the Sprites benchmark: `sprites/lpc`, `sprites/builtin`, `sprites/vivid`."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from etils import epath

from vdd import files
from vdd.data import sprites
from vdd.data.sprites import benchmark, lpc
from vdd.data.sprites.renderer import Art, render

SHEETS_URL = (
    "https://raw.githubusercontent.com/YingzhenLi/Sprites/3ce4048c5227802bd8f1888e293fd3afdba91c0c"
)
STORED_SPLITS = ("fit", "validation", "test")
FINGERPRINT = "sheets_sha256"
SHEETS = "sheets"  # the folder in the data set's directory that keeps what was downloaded

_LICENSES = {
    "lpc": "CC-BY-SA 3.0 or GPL 3.0",
    "builtin": "Apache-2.0",
    "vivid": "Apache-2.0",
}
_FEATURES = tfds.features.FeaturesDict(
    {
        # Plain bytes are read several times faster than any compressed encoding.
        "video": tfds.features.Tensor(
            shape=(benchmark.NUM_FRAMES, benchmark.SIZE, benchmark.SIZE, 3),
            dtype=np.uint8,
            encoding="bytes",
        ),
        "motion": tfds.features.ClassLabel(names=list(benchmark.MOTIONS)),
        "attributes": tfds.features.Tensor(shape=(len(benchmark.ATTRIBUTES),), dtype=np.int32),
    }
)


class Builder(tfds.core.GeneratorBasedBuilder):
    """Renders fit in one fixed random order, validation and test in that of `load_arrays`.

    Fit is laid out at random since readers of record files shuffle within a window only. The
    published train split is not stored: it is "fit+validation". The LPC sheets come from `art_dir`,
    or without one from their public repository; the fingerprint of those used is kept with the data
    set.
    """

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES: ClassVar = {
        "1.0.0": "First release.",
        "1.1.0": "The built-in art: hair in muted colours, a bun for the pony tail.",
        "2.0.0": "Train is stored in two parts: fit (900 characters) and validation (100).",
    }
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="builtin", description="Drawn by this package."),
        tfds.core.BuilderConfig(name="lpc", description="The benchmark's Liberated Pixel Cup art."),
        tfds.core.BuilderConfig(name="vivid", description="As builtin, with hair that stands out."),
    ]

    def __init__(self, *, art_dir: epath.PathLike | None = None, **kwargs: Any):
        self._art_dir = sprites.find_art_dir(art_dir)
        super().__init__(**kwargs)
        self._original_state["art_dir"] = art_dir  # so that a pickled builder keeps its sheets

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=_FEATURES,
            homepage="https://github.com/YingzhenLi/Sprites",
            license=_LICENSES[self._art_name],
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        lpc_art = self._art_name == "lpc"
        art = self._lpc(dl_manager) if lpc_art else sprites.load_art(self._art_name)
        return {split: self._generate_examples(art, split) for split in STORED_SPLITS}

    def _generate_examples(self, art: Art, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        motion, attributes = benchmark.split_labels(split)
        order = np.arange(len(motion))
        if split == "fit":
            order = np.random.default_rng(0).permutation(order)
        # One motion's worth at a time bounds the memory.
        for rows in np.array_split(order, len(benchmark.MOTIONS)):
            for row, video in zip(rows, render(art, attributes[rows], motion[rows])):
                yield (
                    int(row),
                    {"video": video, "motion": motion[row], "attributes": attributes[row]},
                )

    @property
    def _art_name(self) -> str:
        return str(self.builder_config_name)

    def _lpc(self, dl_manager: tfds.download.DownloadManager) -> Art:
        paths: Mapping[str, epath.PathLike]
        if self._art_dir:
            paths = lpc.sheet_paths(self._art_dir)
        else:
            paths = dl_manager.download({name: f"{SHEETS_URL}/{name}" for name in lpc.SHEETS})
            self._keep(paths)
        metadata: Any = self.info.metadata
        metadata[FINGERPRINT] = lpc.fingerprint(paths)
        return lpc.load_art(paths)

    def _keep(self, downloaded: Mapping[str, epath.PathLike]) -> None:
        """Leaves the sheets beside the records: the judge and the probes draw clips themselves."""
        for name, path in downloaded.items():
            files.write(self.data_path / SHEETS / name, epath.Path(path).read_bytes())
