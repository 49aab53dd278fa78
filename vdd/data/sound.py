"""The sound of one clip on its way into another: in time with the pictures, and as long."""

import contextlib
import itertools
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from etils import epath
from jaxtyping import Float32

from vdd.data import av_files

if TYPE_CHECKING:
    from av import AudioFrame, AudioResampler
    from av.container import OutputContainer

# What AAC can have: other rates are resampled to the next, or to the usual one.
_RATES = (
    8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000
)  # fmt: skip
_USUAL_RATE = 48000
_SLACK = Fraction(1, 25)  # seconds that sound may be ahead or behind before it is put right

Samples = Float32[np.ndarray, "c n"]


class Sound(NamedTuple):
    """Where the sound of a clip lies."""

    path: epath.Path
    start: Fraction  # of the first picture, in seconds on the file's clock
    whole: bool = False  # where pictures end first the last one is held, as players hold it


class Track:
    """A sound track of an open mp4, written side by side with the pictures: AAC, mono or stereo.

    What cannot be decoded is silence. Where nothing can, there is no track. Both are told.
    """

    def __init__(self, stack: contextlib.ExitStack, container: "OutputContainer", sound: Sound):
        """Add the track to PyAV's `container`; `stack` closes what is read."""
        self._container, self._stream, self._written = container, None, 0
        decoded = _decode(stack, sound.path)
        first = next(decoded, None)
        if first is None:
            return
        self._rate = next((rate for rate in _RATES if rate >= first.sample_rate), _USUAL_RATE)
        self._layout = "mono" if first.layout.nb_channels == 1 else "stereo"
        self._stream = container.add_stream("aac", rate=self._rate, layout=self._layout)
        frames = itertools.chain([first], decoded)
        self._samples = _in_time(frames, sound, self._rate, self._layout)
        self._held = np.zeros((1 if self._layout == "mono" else 2, 0), np.float32)

    def advance(self, seconds: Fraction) -> None:
        """Write all up to a time, in seconds after the first picture."""
        if self._stream is None:
            return
        wanted = int(seconds * self._rate) - self._written
        self._hold(wanted)
        samples, self._held = self._held[:, :wanted], self._held[:, wanted:]
        if not samples.size:
            return
        samples = np.ascontiguousarray(samples)
        frame: AudioFrame = av_files.import_av().AudioFrame.from_ndarray(
            samples, "fltp", self._layout
        )
        frame.sample_rate, frame.pts = self._rate, self._written
        frame.time_base = Fraction(1, self._rate)
        self._container.mux(self._stream.encode(frame))
        self._written += samples.shape[1]

    def lasts(self, seconds: Fraction) -> bool:
        """Whether there is sound after a time, in seconds after the first picture."""
        if self._stream is None:
            return False
        wanted = int(seconds * self._rate) - self._written
        self._hold(wanted + 1)
        return self._held.shape[1] > wanted

    def _hold(self, wanted: int) -> None:
        """Read on until so many samples are held, if there are."""
        while self._held.shape[1] < wanted:
            following = next(self._samples, None)
            if following is None:
                break
            self._held = np.concatenate([self._held, following], axis=1)

    def finish(self) -> None:
        """Encode what is held back."""
        if self._stream is not None and self._written:
            self._container.mux(self._stream.encode(None))


def _decode(stack: contextlib.ExitStack, path: epath.Path) -> Iterator["AudioFrame"]:
    """The sound that a player plays (`av_files.sound_track`), as PyAV's frames."""
    av = av_files.import_av()
    container = av_files.open_container(stack, path)
    track = av_files.sound_track(container)
    if track is None:
        _tell(path, "is left out: FFmpeg cannot decode it here")
        return
    count = damage = 0
    packets = container.demux(track)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            for frame in packet.decode():
                count += 1
                yield frame
        except av.FFmpegError:
            damage += 1
            if count and damage == 1:
                _tell(path, "is damaged: what cannot be decoded is silent")
    if not count:
        _tell(path, "is left out: nothing of it can be decoded")


def _in_time(
    frames: Iterator["AudioFrame"], sound: Sound, rate: int, layout: str
) -> Iterator[Samples]:
    """Resampled sound from the first picture on: what is missing is silent, what is doubled cut."""
    av = av_files.import_av()
    resampler: AudioResampler | None = None
    given, form = 0, None
    try:
        for frame in frames:
            if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):
                # Into whole numbers FFmpeg mixes many channels so that nothing is cut off.
                kind = "s16p" if frame.layout.nb_channels > 2 else "fltp"
                resampler = av.AudioResampler(kind, layout, rate)
            skipped = 0
            if frame.pts is not None and frame.time_base:
                late = int((frame.pts * frame.time_base - sound.start) * rate) - given
                if late > 0 and (not given or late > _SLACK * rate):
                    yield from _silence(late, rate, layout)
                    given += late
                elif not given or late < -_SLACK * rate:
                    skipped = -late
            assert resampler is not None  # the first frame has a form
            for piece in resampler.resample(frame):
                samples = _floats(piece)[:, skipped:]
                skipped = max(skipped - piece.samples, 0)
                given += samples.shape[1]
                yield samples
        if resampler is not None:
            yield from (_floats(piece) for piece in resampler.resample(None))
    except (av.FFmpegError, ValueError) as error:
        _tell(sound.path, f"ends here: it cannot be converted ({error})")


def _floats(piece: "AudioFrame") -> Samples:
    """Samples of PyAV's frame, in [-1, 1]."""
    samples = piece.to_ndarray()
    whole = samples.dtype == np.int16
    return samples.astype(np.float32) / 32768 if whole else samples


def _silence(count: int, rate: int, layout: str) -> Iterator[Samples]:
    """In pieces of a second: a hostile time stamp must not fill the memory."""
    for start in range(0, count, rate):
        yield np.zeros((1 if layout == "mono" else 2, min(rate, count - start)), np.float32)


def _tell(path: epath.Path, what: str) -> None:
    warnings.warn(f"{path}: its sound {what}", stacklevel=2)
