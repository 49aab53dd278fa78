"""A run at work: clips are read, codes drawn, motion made up, all in steps that are short.

Programs are compiled for few shapes: a clip of a window's length, and a handful of frames that are
drawn together. What is edited has the same shapes, so that no edit compiles anything.
"""

import collections
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8

from vdd import compiled, streaming
from vdd.diffusion import samplers
from vdd.diffusion.samplers import Sampler
from vdd.errors import UserError
from vdd.priors import PriorRun
from vdd.run import Run
from vdd.serve.kept import Kept
from vdd.serve.work import Progress, Steps

TOGETHER = 8  # frames that are drawn in one step, where each is drawn by itself
COUNTED = 96  # clips on which codes are counted
SHOWN = 192  # codes that the atlas shows
_SHORTEST = 16  # lengths of the prior's programs are this times a power of two


class Read(NamedTuple):
    """What a model reads in a clip."""

    content: Float[np.ndarray, "k d"]
    codes: Int[np.ndarray, "t n"]
    content_bits: float


class Word(NamedTuple):
    """A code of all groups together, and its fraction of the frames."""

    codes: tuple[int, ...]
    share: float


class Studio:
    """A loaded run."""

    def __init__(self, name: str, run: Run, drawn_bytes: int):
        self.name, self.run = name, run
        self.prior = _prior_of(run)
        self._drawn = Kept(drawn_bytes)
        self._words: list[Word] | None = None
        book = run.model.quantizer.codebook
        self.groups, self.codes = book.num_groups, book.num_codes
        # A frame of the mean is a function of its own code, where frames do not look at each other.
        self._alone = not run.model.denoiser.network.temporal

    def sampler(self, steps: int | None) -> Sampler:
        """The sampler with so many steps; None: as the run's config says."""
        return samplers.choose(self.run.config.eval, "sampler", steps)

    def read(self, video: UInt8[np.ndarray, "t h w c"]) -> Steps[Read]:
        """Reads a clip, window by window; as `Run.encode`."""
        run, parts = self.run, []
        size, overlap = run.windows
        total = max(1, -(-(len(video) - overlap) // (size - overlap)))
        yield Progress(0, total, "reading")
        for read, kept in streaming.read(run.model, run.params, video[None], size, overlap):
            parts.append((jax.tree.map(np.asarray, read), kept))
            yield Progress(len(parts), total, "reading")
        codes = np.concatenate([read.codes[0, kept] for read, kept in parts])
        first, _ = parts[0]
        return Read(first.content[0], codes, float(first.content_bits[0]))

    def draw(
        self,
        content: Float[np.ndarray, "k d"],
        codes: Int[np.ndarray, "t n"],
        steps: int | None = None,
        seed: int = 0,
    ) -> Steps[UInt8[np.ndarray, "t h w c"]]:
        """Draws content in a motion; as `Run.decode`, but for what was drawn before."""
        sampler = self.sampler(steps)
        who = hashlib.sha256(content.tobytes()).digest()
        if self._alone and not sampler.steps:
            return (yield from self._draw_frames(content, who, codes, sampler))
        return (yield from self._draw_windows(content, who, codes, sampler, seed))

    def _draw_frames(
        self, content: np.ndarray, who: bytes, codes: np.ndarray, sampler: Sampler
    ) -> Steps[np.ndarray]:
        """Each code once, a few in a step."""
        rows = [row.tobytes() for row in codes]
        known = {row: self._drawn.get((who, row)) for row in rows}
        frames = {row: frame for row, frame in known.items() if frame is not None}
        new = {row: code for row, code in zip(rows, codes) if row not in frames}
        names, missing = list(new), list(new.values())
        yield Progress(0, len(names), "drawing")
        for start in range(0, len(names), TOGETHER):
            some = names[start : start + TOGETHER]
            size = 1 if len(names) == 1 else TOGETHER
            piece = _filled(np.stack(missing[start : start + TOGETHER]), size)
            video = self._draw(sampler, content, piece, seed=0, number=0)
            for row, frame in zip(some, video):
                frames[row] = frame.copy()
                self._drawn.put((who, row), frames[row], frames[row].nbytes)
            yield Progress(start + len(some), len(names), "drawing")
        return np.stack([frames[row] for row in rows])

    def _draw_windows(
        self, content: np.ndarray, who: bytes, codes: np.ndarray, sampler: Sampler, seed: int
    ) -> Steps[np.ndarray]:
        """Window by window, since its frames share noise, or look at each other."""
        size, parts = self.run.windows[0], []
        starts = range(0, len(codes), size)
        yield Progress(0, len(starts), f"drawing, {sampler.told} a window")
        for number, start in enumerate(starts):
            piece = codes[start : start + size]
            key = (who, sampler, seed, number, piece.tobytes())
            video = self._drawn.get(key)
            if video is None:
                video = self._draw(sampler, content, _filled(piece, size), seed, number)
                video = video[: len(piece)].copy()
                self._drawn.put(key, video, video.nbytes)
            parts.append(video)
            yield Progress(number + 1, len(starts), f"drawing, {sampler.told} a window")
        return np.concatenate(parts)

    def _draw(
        self, sampler: Sampler, content: np.ndarray, codes: np.ndarray, seed: int, number: int
    ) -> UInt8[np.ndarray, "t h w c"]:
        noise = compiled.noise(seed, number)
        given = (noise, content[None], codes[None].astype(np.int32))
        return np.asarray(compiled.draw(self.run.model, sampler, self.run.params, *given))[0]

    def words(self, videos: Iterable[UInt8[np.ndarray, "t h w c"]]) -> Steps[list[Word]]:
        """The codes that clips use, the most frequent first; counted once.

        Of codes of several groups there are too many: these are the most used.
        """
        if self._words is None:
            counts = collections.Counter()
            for number, video in enumerate(videos):
                yield Progress(number, COUNTED, "counting codes")
                read = yield from self.read(video)
                counts.update(map(tuple, read.codes.tolist()))
            total = sum(counts.values())
            found = [Word(code, count / total) for code, count in counts.most_common(SHOWN)]
            if self.groups == 1:  # what no clip has, too
                rest = sorted(self._sent() - counts.keys())
                found += [Word(code, 0.0) for code in rest]
            self._words = found
        return self._words

    def _sent(self) -> set[tuple[int, ...]]:
        """The codes of one group; of those that were merged, one."""
        book = self.run.model.quantizer.codebook
        if not book.merged:
            return {(code,) for code in range(self.codes)}
        aliases = np.asarray(self.run.params["quantizer"]["codebook"]["aliases"])
        return {(int(code),) for code in np.unique(aliases[0])}

    def make_up(
        self, frames: int, temperature: float, top_p: float, seed: int
    ) -> Steps[Int[np.ndarray, "t n"]]:
        """Codes that the prior makes up; as `Run.generate` has them.

        Raises:
            UserError: there is no prior.
        """
        prior = self.prior
        if prior is None:
            raise UserError("this run has no prior that could make motion up")
        yield Progress(0, 1, "making motion up")
        # A frame does not depend on how many come after it.
        key = jax.random.key(seed)
        given = (_length(frames), 1, prior.params, key, None, temperature, top_p)
        codes = streaming.made_up_codes(prior.model, *given)
        return np.asarray(codes)[0, :frames]

    def prior_bits(self, codes: Int[np.ndarray, "t n"]) -> float | None:
        """Bits a frame under the prior; None without one."""
        prior = self.prior
        if prior is None:
            return None
        filled = _filled(codes, _length(len(codes)))[None].astype(np.int32)
        bits = compiled.bits_of_codes(prior.model, prior.params, filled)
        return float(np.asarray(bits)[0, : len(codes)].sum(-1).mean())


def _prior_of(run: Run) -> PriorRun | None:
    """The run's prior; None where there is none of this model."""
    try:
        return run.prior
    except UserError:
        return None


def _filled(codes: Int[np.ndarray, "t n"], size: int) -> Int[np.ndarray, "s n"]:
    """Codes of that length, filled up with copies of the last."""
    return np.pad(codes, [(0, size - len(codes)), (0, 0)], mode="edge")


def _length(frames: int) -> int:
    """The length of the program that takes so many frames."""
    length = _SHORTEST
    while length < frames:
        length *= 2
    return length
