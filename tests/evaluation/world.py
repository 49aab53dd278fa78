"""Random clips that stand for characters and motions, and models that know the right answer."""

from typing import NamedTuple

import numpy as np

from vdd.data.sprites import MOTIONS, SpritesArrays
from vdd.evaluation.inference import Encoded, Functions
from vdd.evaluation.judge import Verdict


def random_clips(num_characters: int, seed: int = 0) -> SpritesArrays:
    """Noise of its own for each pair of a character and a motion, in the benchmark's order."""
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(6**4)[:num_characters]
    characters = np.stack(np.unravel_index(numbers, (6,) * 4), -1).astype(np.int32)
    motion = np.repeat(np.arange(len(MOTIONS), dtype=np.int32), num_characters)
    attributes = np.tile(characters, (len(MOTIONS), 1))
    video = rng.integers(0, 256, (len(motion), 8, 16, 16, 3), dtype=np.uint8)
    return SpritesArrays(video, motion, attributes)


class World(NamedTuple):
    """Clips, and functions that know their labels by heart."""

    clips: SpritesArrays

    def find(self, video) -> np.ndarray:
        """The rows of clips, by their pixels."""
        rows = {clip.tobytes(): i for i, clip in enumerate(self.clips.video)}
        return np.array([rows[np.asarray(clip).tobytes()] for clip in video])

    def judge(self, video) -> Verdict:
        """Is certain, and right."""
        rows = self.find(video)
        motion = 50.0 * np.eye(9, dtype=np.float32)[self.clips.motion[rows]]
        return Verdict(motion, 50.0 * np.eye(6, dtype=np.float32)[self.clips.attributes[rows]])

    def model(self, heeds_motion: bool = True) -> Functions:
        """Copies the clip that has the content's attributes and the motion that it heeds."""
        motion, attributes = self.clips.motion, self.clips.attributes

        def encode(video) -> Encoded:
            rows = self.find(video)
            content = np.column_stack([attributes[rows], np.eye(9)[motion[rows]]])[:, None]
            codes = np.tile(motion[rows, None, None], (1, video.shape[1], 1))
            return Encoded(content, codes.astype(float), codes, np.full(len(rows), 10.0))

        def sample(keys, content, driving):
            assert len(keys) == len(content) == len(driving)
            who, own = content[:, 0, :4], content[:, 0, 4:].argmax(1)
            wanted = driving[:, 0, 0] if heeds_motion else own
            match = (attributes[None] == who[:, None]).all(-1) & (motion == wanted[:, None])
            return self.clips.video[match.argmax(1)]

        return Functions(encode, sample, num_codewords=9)
