"""Video files, read by PyAV (FFmpeg): the track of pictures, its times, its frames upright.

Errors do not name the file; `decoding`, which opens it, does.
"""

import contextlib
import importlib
import itertools
import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
from etils import epath
from jaxtyping import UInt8

from vdd.data.clock import Times, believed, running_clock
from vdd.data.picture_files import MAX_PIXELS, check_pixels
from vdd.errors import UserError

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoCodecContext, VideoFrame, VideoStream
    from av.container import InputContainer
    from av.video.reformatter import VideoReformatter

ENDINGS = (
    ".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".3gp", ".3g2", ".mpg", ".mpeg", ".ts", ".mts",
    ".m2ts", ".flv", ".wmv", ".asf", ".ogv",
)  # fmt: skip
# Playlists name other files, addresses even: none of FFmpeg's formats that do is listed.
CONTAINERS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg"
}
DEFAULT_RATE = Fraction(25)
_ASPECTS = (Fraction(1, 4), Fraction(4))  # of one pixel; any nearer to 1 than a hundredth is 1
# FFmpeg's own decoders of these drop what the file says of transparency.
_DECODERS_OF_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
# Of these FFmpeg tells when what is there ends.
_MEASURED = ("mpegts", "mpeg", "ogg", "asf")
_STILL_CODECS = ("mjpeg", "png", "bmp", "gif", "webp", "tiff")

RGB = UInt8[np.ndarray, "h w 3"]


def import_av() -> ModuleType:
    """PyAV.

    Raises:
      UserError: it is not installed.
    """
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise UserError("video files need PyAV: pip install 'vdd-video[video]'") from error


def open_container(stack: contextlib.ExitStack, path: epath.Path) -> "InputContainer":
    """PyAV's container of a file; `stack` closes both."""
    file = stack.enter_context(path.open("rb"))
    av = import_av()
    options: dict[str, object] = {"options": CONTAINERS}
    if int(av.__version__.partition(".")[0]) < 19:  # from 19 on no metadata are an error
        options["metadata_errors"] = "ignore"
    return stack.enter_context(av.open(file, **options))


def picture_track(container: "InputContainer") -> "VideoStream":
    """The track that a player shows, of those that can be decoded; never a cover picture.

    A track of one picture beside a video is a cover that is not marked as one. Of several videos
    it is the one that the file marks as the default, else the first.
    """
    covers = importlib.import_module("av.stream").Disposition.attached_pic
    tracks = [track for track in container.streams.video if not track.disposition & covers]
    if not tracks:
        raise UserError("has no picture track")
    known = [track for track in tracks if track.codec_context is not None]
    if not known:
        raise UserError("its pictures are in a codec that FFmpeg cannot decode here")
    track = max(known, key=lambda one: (not _is_still(one), _is_default(one)))
    check_pixels(track.height, track.width)
    return track


def sound_track(container: "InputContainer") -> "AudioStream | None":
    """The sound that a player plays, of what can be decoded; None where there is nothing.

    The one that the file marks as the default, else the first.
    """
    known = [track for track in container.streams.audio if track.codec_context is not None]
    return max(known, key=_is_default, default=None)


def _is_still(track: "VideoStream") -> bool:
    """Whether a track holds one picture; of formats that count no frames, by its codec."""
    return track.frames == 1 or (not track.frames and track.codec_context.name in _STILL_CODECS)


def _is_default(track: "VideoStream | AudioStream") -> bool:
    return bool(track.disposition & importlib.import_module("av.stream").Disposition.default)


def _decoder(path: epath.Path, stream: "VideoStream") -> "VideoCodecContext":
    """What decodes a track, transparency too."""
    decoder = stream.codec_context
    name = _DECODERS_OF_ALPHA.get(decoder.name)
    if name and stream.metadata.get("alpha_mode") == "1":
        try:
            decoder = import_av().CodecContext.create(name, "r")
        except (LookupError, ValueError):
            warnings.warn(f"{path}: FFmpeg here cannot read its transparency", stacklevel=2)
    decoder.options = {"max_pixels": str(MAX_PIXELS)}
    decoder.thread_type = "AUTO"
    return decoder


def frames(
    path: epath.Path, container: "InputContainer", stream: "VideoStream", lenient: bool
) -> Iterator["AvFrame"]:
    """The frames of a track; damage is an error, or with `lenient` a warning that names `path`.

    Raises:
      UserError: frames of more than `MAX_PIXELS`.
      What PyAV raises.
    """
    # One reformatter with one thread: PyAV 18 makes a thread pool per frame otherwise, 30x slower.
    reformatter = importlib.import_module("av.video.reformatter").VideoReformatter()
    aspect = stream.sample_aspect_ratio
    aspect = Fraction(aspect) if aspect and _ASPECTS[0] <= aspect <= _ASPECTS[1] else Fraction(1)
    base = Fraction(stream.time_base or 0)
    step = 1 / (believed(stream.average_rate) or DEFAULT_RATE)
    decoded, again = itertools.tee(_decode(path, container, stream, lenient))
    stamps = (None if frame.pts is None else frame.pts * base for frame in again)
    for time, frame in zip(running_clock(stamps, step), decoded):
        check_pixels(frame.height, frame.width)
        yield AvFrame(frame, reformatter, time, (frame.duration or 0) * base, aspect)


def _decode(
    path: epath.Path, container: "InputContainer", stream: "VideoStream", lenient: bool
) -> Iterator["VideoFrame"]:
    """The frames as PyAV has them."""
    decoder, count, error, packet = _decoder(path, stream), 0, None, None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            for frame in decoder.decode(packet):
                count += 1
                yield frame
        except import_av().FFmpegError as damage:
            # The last packet of a file that was cut off; whether it is told depends on threads.
            if not lenient and not (packet and packet.is_corrupt):
                raise
            error = damage
    if error is not None:
        if not count:
            raise error
        if lenient:
            warnings.warn(f"{path}: is damaged; what cannot be decoded is left out", stacklevel=2)


class AvFrame:
    """A frame of a video (`decoding.Frame`)."""

    def __init__(
        self,
        frame: "VideoFrame",
        reformatter: "VideoReformatter",
        time: Fraction,
        seconds: Fraction,
        aspect: Fraction,
    ):
        self._frame = frame
        self._reformatter = reformatter
        self._transposed, self._mirrored, self._flipped = _orientation(frame)
        self.time, self.seconds = time, seconds
        stretched = abs(aspect - 1) > Fraction(1, 100)
        lying = frame.height, round(frame.width * aspect) if stretched else frame.width
        self.height, self.width = self._turned(*lying)

    def scaled(self, height: int, width: int) -> RGB:
        """The whole frame at a size."""
        lying_height, lying_width = self._turned(height, width)
        rgb = self._reformatter.reformat(
            self._opaque(),
            width=lying_width,
            height=lying_height,
            format="rgb24",
            interpolation="AREA" if lying_height <= self._frame.height else "BICUBIC",
            threads=1,
        ).to_ndarray()
        upright = rgb.swapaxes(0, 1) if self._transposed else rgb
        return upright[:: -1 if self._flipped else 1, :: -1 if self._mirrored else 1]

    def _opaque(self) -> "VideoFrame":
        """The frame laid on black, before it is scaled: what is hidden must not bleed."""
        form = self._frame.format
        if not (form.has_palette or any(part.is_alpha for part in form.components)):
            return self._frame
        layer = self._reformatter.reformat(self._frame, format="rgba", threads=1).to_ndarray()
        alpha = layer[..., 3:].astype(np.uint16)
        rgb = ((layer[..., :3] * alpha + 127) // 255).astype(np.uint8)
        return import_av().VideoFrame.from_ndarray(rgb, format="rgb24")

    def _turned(self, height: int, width: int) -> tuple[int, int]:
        return (width, height) if self._transposed else (height, width)


def _orientation(frame: "VideoFrame") -> tuple[bool, bool, bool]:
    """How a stored frame becomes upright: transposed, then mirrored, then flipped upside down."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    # It maps (x, y) to (a x + c y, b x + d y).
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, a < 0, d < 0
    return True, c < 0, b < 0


def _declared_end(
    container: "InputContainer", stream: "VideoStream", seen: Fraction, played: Fraction
) -> tuple[Fraction, Fraction] | None:
    """`Times.ends`; a track was `seen` and any of the file `played` up to there."""
    name, rate = container.format.name, believed(stream.average_rate) or DEFAULT_RATE
    if name == "avi":  # its duration is that of what is there, and it need not hold all frames
        cut = stream.frames and _is_shorter_than_told(container.name)
        return (seen, stream.frames / rate) if cut else None
    if name in _MEASURED:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return seen, ((stream.start_time or 0) + stream.duration) * Fraction(stream.time_base)
    if container.duration is None:
        return None
    # The file's length is that of its longest track, which may be the sound.
    from_zero = name == "flv" or name.startswith("matroska")
    start = 0 if from_zero else max(container.start_time or 0, 0)
    return max(seen, played), Fraction(start + container.duration, 10**6)


def times(container: "InputContainer", stream: "VideoStream") -> Times:
    """The times of a track's frames. Nothing is decoded."""
    packets, played = [], Fraction(0)
    for packet in _packets(container):
        told = packet.pts, packet.dts, packet.duration or 0, packet.is_discard
        if packet.stream.index == stream.index:
            packets.append(told)
        elif (at := packet.dts if packet.pts is None else packet.pts) is not None:
            played = max(played, (at + told[2]) * Fraction(packet.time_base or 0))
    kept = [packet for packet in packets if not packet[3]]
    # Some formats tell the times of some frames, and in which order they are decoded of all.
    which = 0 if all(packet[0] is not None for packet in kept) else 1
    base = Fraction(stream.time_base or 0)
    stamps = sorted((stamp, packet[2]) for packet in kept if (stamp := packet[which]) is not None)
    last, duration = stamps[-1] if stamps else (0, 0)
    end = (last + duration) * base if duration else None
    ends = _declared_end(container, stream, (last + duration) * base, played) if stamps else None
    # An AVI also counts those that are not there, because the one before is shown for longer.
    declared = 0 if container.format.name == "avi" else stream.frames
    return Times([stamp * base for stamp, _ in stamps], end, len(packets), declared, ends)


def _packets(container: "InputContainer") -> Iterator["Packet"]:
    """What can be read of all tracks, of a damaged file too."""
    with contextlib.suppress(import_av().FFmpegError):
        yield from (packet for packet in container.demux() if packet.size)


def _is_shorter_than_told(path: str) -> bool:
    """Whether an AVI ends before its own header says."""
    try:
        with open(path, "rb") as file:
            told = 8 + int.from_bytes(file.read(8)[4:], "little")
            return file.seek(0, os.SEEK_END) < told
    except OSError:
        return False
