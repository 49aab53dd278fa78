"""The sound of clips: as long as the frames, and in time with them."""

from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
import tiny
from moving import moving_square, sound_seconds, write_tone

from vdd.data import video_io, video_writer

av = pytest.importorskip("av", reason="needs PyAV (the extra `video`)")


def write_with_sound(path, seconds=2.0, codec="aac", silence=0.0, first_picture=0):
    """A clip of 10 frames a second with a tone that begins after a silence.

    Its first picture comes only after so many frames' time.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height = stream.width = 32
        stream.pix_fmt = "yuv420p"
        sound = container.add_stream(codec, rate=48000)
        for i, pixels in enumerate(moving_square(int(10 * seconds))):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = first_picture + i, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        time = np.arange(int(48000 * seconds)) / 48000
        tone = (0.5 * np.sin(2 * np.pi * 440 * time) * (time > silence)).astype(np.float32)[None]
        for start in range(0, tone.shape[1], 960):
            samples = np.ascontiguousarray(tone[:, start : start + 960])
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate = 48000
            container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path


def sound_of(path):
    with video_io.open_clip(path) as clip:
        return clip.sound


def tone_begins(path):
    """Seconds after the first picture at which the tone is heard."""
    with av.open(str(path)) as container:
        first = container.streams.video[0].start_time * container.streams.video[0].time_base
        for frame in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(frame.to_ndarray()[0]) > 0.1)
            if loud.size:
                return float(frame.pts * frame.time_base - first) + loud[0] / frame.sample_rate
    return None


@pytest.mark.parametrize(("codec", "ending"), [("aac", "mp4"), ("libopus", "webm")])
def test_sound_lasts_as_long_as_the_frames(tmp_path, codec, ending):
    if codec not in av.codec.codecs_available:
        pytest.skip(f"FFmpeg here has no {codec}")
    # H.264 in webm is refused, so the opus track comes in an mp4 that is only named so.
    source = write_with_sound(tmp_path / "source.mp4", codec=codec)
    out = tmp_path / "out.mp4"
    with video_writer.writing_clip(out, 10, sound=sound_of(source)) as clip:
        for frame in moving_square(10):
            clip.write(frame)
    assert len(video_io.read_clip(out)) == 10
    assert sound_seconds(out) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("codec", ["aac", "libopus"])
@pytest.mark.parametrize("first_picture", [0, 5])
def test_sound_stays_with_the_pictures(tmp_path, codec, first_picture):
    if codec not in av.codec.codecs_available:
        pytest.skip(f"FFmpeg here has no {codec}")
    source = write_with_sound(
        tmp_path / "source.mp4", codec=codec, silence=1.2, first_picture=first_picture
    )
    with video_writer.writing_clip(tmp_path / "out.mp4", 10, sound=sound_of(source)) as clip:
        for frame in moving_square(15):
            clip.write(frame)
    expected = 1.2 - first_picture / 10
    assert tone_begins(source) == pytest.approx(expected, abs=0.05), "the test's own clip"
    assert tone_begins(tmp_path / "out.mp4") == pytest.approx(expected, abs=0.05)


def test_a_clip_without_sound_stays_silent(tmp_path):
    video_io.write_clip(tmp_path / "silent.mp4", moving_square(4), 8)
    with video_writer.writing_clip(
        tmp_path / "out.mp4", 8, sound=sound_of(tmp_path / "silent.mp4")
    ) as clip:
        clip.write(moving_square(1)[0])
    assert not tiny.has_sound(tmp_path / "out.mp4")


def copy_with_sound(source, out, frames=None):
    """Writes a clip as `vdd transfer` does, at its own rate."""
    with (
        video_io.open_clip(source) as clip,
        video_writer.writing_clip(out, clip.fps or 0.0, clip.sound) as written,
    ):
        for frame in islice(clip.frames, frames):
            written.write(frame)
    return out


@pytest.mark.parametrize(
    ("ending", "codec", "rate", "channels"),
    [
        ("mov", "pcm_mulaw", 8000, 1),
        ("mov", "pcm_s16le", 11025, 1),
        ("mov", "pcm_s16le", 48000, 2),
        ("mkv", "pcm_s16le", 192000, 1),
        ("mkv", "pcm_s16le", 4000, 1),
        ("mkv", "flac", 37800, 2),
        ("mkv", "pcm_s16le", 48000, 6),
        ("mkv", "libopus", 48000, 2),
        ("mp4", "aac", 44100, 2),
    ],
)
@pytest.mark.parametrize("seconds", [1.0, 0.02])
def test_all_of_the_sound_is_written(tmp_path, ending, codec, rate, channels, seconds):
    source = tmp_path / f"source.{ending}"
    write_tone(source, rate, codec, int(rate * seconds), channels)
    out = copy_with_sound(source, tmp_path / "out.mp4")
    assert sound_seconds(out) == pytest.approx(min(seconds, 1.0), abs=0.15)
    assert sound_seconds(out) > 0.95 * seconds


def test_sound_that_is_longer_than_the_pictures_ends_with_them(tmp_path):
    source = write_tone(tmp_path / "source.mkv", 16000, "flac", 48000)  # pieces of 0.256 s
    out = copy_with_sound(source, tmp_path / "out.mp4", frames=6)
    assert sound_seconds(out) == pytest.approx(0.6, abs=0.08)
    assert len(video_io.read_clip(out)) == 6


def test_sound_lasts_as_long_as_an_uneven_clip(tmp_path):
    source = tmp_path / "phone.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 30)
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for i, pixels in enumerate(moving_square(30)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i + 3 * max(i - 15, 0), Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 19200), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    out = copy_with_sound(source, tmp_path / "out.mp4")
    info = video_io.probe_clip(out)
    assert info.frames / info.fps == pytest.approx(72 / 30, abs=0.15)
    assert sound_seconds(out) == pytest.approx(72 / 30, abs=0.15)


def test_a_sound_track_that_cannot_be_decoded_is_left_out_with_a_line(tmp_path):
    source = write_tone(tmp_path / "source.mov", 8000, "pcm_mulaw", 8000)
    source.write_bytes(source.read_bytes().replace(b"ulaw", b"zzzz"))
    with pytest.warns(UserWarning, match=r"source.mov: its sound is left out: FFmpeg cannot"):
        out = copy_with_sound(source, tmp_path / "out.mp4")
    assert not tiny.has_sound(out)
    assert len(video_io.read_clip(out)) == 10


def test_a_sound_track_that_can_be_decoded_is_taken(tmp_path):
    source = tmp_path / "source.mov"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        tracks = [container.add_stream(codec, rate=8000) for codec in ("pcm_mulaw", "pcm_s16le")]
        for pixels in moving_square(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
        for track in tracks:
            wave = 10000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
            frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
            container.mux([*track.encode(frame), *track.encode()])
    source.write_bytes(source.read_bytes().replace(b"ulaw", b"zzzz"))
    assert sound_seconds(copy_with_sound(source, tmp_path / "out.mp4")) > 0.95


def test_a_damaged_packet_of_sound_does_not_end_the_clip(tmp_path):
    source = write_tone(tmp_path / "source.mkv", 16000, "flac", 16000)
    data = bytearray(source.read_bytes())
    at = data.rindex(b"\xff\xf8")  # the last frame of flac begins so
    data[at : at + 60] = bytes(60)
    source.write_bytes(data)
    with pytest.warns(UserWarning, match=r"source.mkv: its sound is damaged"):
        out = copy_with_sound(source, tmp_path / "out.mp4")
    assert len(video_io.read_clip(out)) == 10
    assert sound_seconds(out) > 0.6


def test_many_channels_are_mixed_without_being_cut_off(tmp_path):
    source = write_tone(tmp_path / "loud.mp4", 48000, "aac", 48000, channels=6, peak=30000)
    with av.open(str(copy_with_sound(source, tmp_path / "out.mp4"))) as container:
        samples = np.concatenate([x.to_ndarray() for x in container.decode(audio=0)], axis=1)
    assert samples.shape[0] == 2
    assert 0.7 < np.abs(samples[:, 4800:-4800]).max() < 1.05


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_the_sound_is_the_one_that_a_player_plays(tmp_path, ending):
    source = tmp_path / f"two.{ending}"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 32, "yuv420p"
        tracks = [container.add_stream("aac", rate=48000, layout="mono") for _ in range(2)]
        tracks[1].disposition = av.stream.Disposition.default
        for pixels in moving_square(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
        for track, hertz in zip(tracks, (440, 1000)):
            wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(48000) / 48000)
            frame = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
            container.mux(track.encode(frame))
            container.mux(track.encode())
    with av.open(str(copy_with_sound(source, tmp_path / "out.mp4"))) as container:
        samples = np.concatenate([x.to_ndarray()[0] for x in container.decode(audio=0)])
    loudest = np.abs(np.fft.rfft(samples)).argmax() * 48000 / len(samples)
    assert loudest == pytest.approx(1000, abs=5)
