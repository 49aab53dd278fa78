"""TFDS builder of Universal LPC: a fixed number of clips of each split."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from vdd.data.universal_lpc.art import Art
from vdd.data.universal_lpc.characters import SPLITS
from vdd.data.universal_lpc.clips import COUNTS, SEED, Settings, draw_clip
from vdd.data.universal_lpc.sheets import NUM_CELLS, SIZE
from vdd.data.universal_lpc.wardrobe import SLOTS
from vdd.errors import UserError

FINGERPRINT = "sheets_sha256"


class Builder(tfds.core.GeneratorBasedBuilder):
    """Draws the clips in the order of their numbers.

    The settings and the number of train clips are in the name of the data set's directory; the
    fingerprint of the sheets is kept with it.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES: ClassVar = {"1.0.0": "First release."}

    def __init__(
        self,
        *,
        art: Art | None = None,
        settings: Settings | None = None,
        num_clips: int = 0,
        **kwargs: Any,
    ):
        if art is None or settings is None:
            raise UserError("universal_lpc is prepared by the training that reads it")
        self._art, self._settings = art, settings
        self._counts = {"train": num_clips, **COUNTS}
        name = f"{settings.frames}x{settings.channels}_{settings.background}_{num_clips}"
        if settings.recolour:
            name += f"_recolour{settings.recolour:g}"
        super().__init__(config=tfds.core.BuilderConfig(name=name), **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        frames, channels = self._settings.frames, self._settings.channels
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    # Plain bytes are read several times faster than any compressed encoding.
                    "video": tfds.features.Tensor(
                        shape=(frames, SIZE, SIZE, channels), dtype=np.uint8, encoding="bytes"
                    ),
                    "cell": tfds.features.Tensor(shape=(frames,), dtype=np.int32),
                    "parts": tfds.features.Tensor(shape=(len(SLOTS),), dtype=np.int32),
                }
            ),
            description=f"Characters of the Universal LPC collection at play, {NUM_CELLS} poses.",
            homepage="https://github.com/makrohn/Universal-LPC-spritesheet",
            license="CC-BY-SA 3.0 or GPL 3.0",
            metadata=tfds.core.MetadataDict({FINGERPRINT: self._art.fingerprint}),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        return {split: self._generate_examples(split) for split in SPLITS}

    def _generate_examples(self, split: str) -> Iterator[tuple[int, dict[str, Any]]]:
        settings, count = self._settings, self._counts[split]
        if split != "train":
            settings = settings._replace(background="grey", recolour=0.0)
        for number in range(count):
            # TFDS sorts the records by their keys in pieces, and takes the piece from the key's
            # first bits: small numbers would all be in one, which has to fit into memory.
            key = number * ((1 << 128) // count)
            yield key, draw_clip(self._art, settings, SEED, split, number)._asdict()
