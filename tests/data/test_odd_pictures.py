"""Pictures of every depth and kind of transparency, byte by byte as other programs write them."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from vdd.data import video_io


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def write_png(path, bits: int, kind: int, row: bytes, *more: bytes):
    """Eight equal rows of eight pixels; `kind` is 0 for grey, 2 for colours."""
    head = struct.pack(">IIBBBBB", 8, 8, bits, kind, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress((b"\0" + row) * 8)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(more) + body)
    return path


def halves(left: tuple[int, ...], right: tuple[int, ...]) -> bytes:
    """A row of 16 bits a value."""
    return struct.pack(f">{8 * len(left)}H", *left * 4, *right * 4)


@pytest.mark.parametrize(
    ("bits", "kind", "row", "clear", "shown"),
    [
        (1, 0, b"\xf0", (1,), 0),
        (1, 0, b"\x0f", (0,), 255),
        (2, 0, bytes([0b01010101, 0b11111111]), (1,), 255),
        (4, 0, bytes([0x77, 0x77, 0xAA, 0xAA]), (7,), 170),
        (8, 0, bytes([9] * 4 + [200] * 4), (9,), 200),
        (16, 0, halves((1000,), (30000,)), (1000,), 117),
        (8, 2, bytes([1, 2, 3] * 4 + [200] * 12), (1, 2, 3), 200),
        (16, 2, halves((1000, 2000, 3000), (51400,) * 3), (1000, 2000, 3000), 200),
        # What these numbers would be with 8 bits is another colour.
        (16, 2, halves((200, 200, 200), (51400,) * 3), (200, 200, 200), 200),
    ],
)
def test_the_colour_that_a_png_calls_transparent_is(tmp_path, bits, kind, row, clear, shown):
    told = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    path = write_png(tmp_path / "a.png", bits, kind, row, told)
    (frame,) = video_io.read_clip(path, ground=None)
    assert frame[..., 3].tolist() == [[0] * 4 + [255] * 4] * 8
    assert np.abs(frame[:, 4:, :3].astype(int) - shown).max() <= 1
    (laid,) = video_io.read_clip(path, ground=(9, 8, 7))
    assert (laid[:, :4] == (9, 8, 7)).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_with_alpha_keeps_both(tmp_path, bits):
    pair = (30000, 32896)
    row = struct.pack(">16H", *pair * 8) if bits == 16 else bytes([117, 128] * 8)
    (frame,) = video_io.read_clip(write_png(tmp_path / "a.png", bits, 4, row), ground=None)
    assert np.abs(frame.astype(int) - (117, 117, 117, 128)).max() <= 1


def test_the_palette_s_transparency_is_kept(tmp_path):
    picture = Image.fromarray(
        np.repeat([[0, 1]], 8, axis=0).repeat(4, axis=1).astype(np.uint8), "L"
    )
    picture = picture.convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "a.png", transparency=bytes([128, 255]))
    (frame,) = video_io.read_clip(tmp_path / "a.png", ground=None)
    assert frame[0, 0].tolist() == [255, 0, 0, 128]
    assert frame[0, 7].tolist() == [0, 255, 0, 255]
    assert (
        np.abs(video_io.read_clip(tmp_path / "a.png")[0, 0, 0].astype(int) - (128, 0, 0)).max() <= 1
    )


def write_tiff(path, bits: list[int], data: bytes, white_is_zero: bool = False, extra: int = -1):
    """Eight by eight pixels, of so many bits each value."""
    photometric = 2 if len(bits) > 2 else 0 if white_is_zero else 1
    entries = {256: [8], 257: [8], 258: bits, 259: [1], 262: [photometric], 277: [len(bits)]}
    entries |= {278: [8], **({338: [extra]} if extra >= 0 else {})}
    size = 10 + 12 * (len(entries) + 2)
    after = size + 4 + len(data)
    lines, values = [], b""
    for tag in sorted({*entries, 273, 279}):
        if tag in (273, 279):
            lines.append(struct.pack("<HHII", tag, 4, 1, size + 4 if tag == 273 else len(data)))
            continue
        packed = struct.pack(f"<{len(entries[tag])}H", *entries[tag])
        if len(packed) > 4:
            place, values = after + len(values), values + packed
            packed = struct.pack("<I", place)
        lines.append(struct.pack("<HHI", tag, 3, len(entries[tag])) + packed.ljust(4, b"\0"))
    head = b"II*\0" + struct.pack("<IH", 8, len(lines))
    path.write_bytes(head + b"".join(lines) + bytes(4) + data + values)
    return path


def test_deep_grey_of_tiffs_is_scaled_from_its_own_white(tmp_path):
    half = bytes([0x80, 0x08, 0x00] * 32)  # two values of 12 bits, 2048, in three bytes
    for bits, data, white_is_zero, shade in (
        (12, half, False, 128),
        (16, struct.pack("<64H", *[60000] * 64), False, 233),
        (16, struct.pack("<64H", *[60000] * 64), True, 22),
        (8, bytes([200] * 64), True, 55),
    ):
        path = write_tiff(tmp_path / "a.tif", [bits], data, white_is_zero)
        assert np.abs(video_io.read_clip(path).astype(int) - shade).max() <= 1, (bits, shade)


def test_premultiplied_colours_of_a_tiff_are_divided_again(tmp_path):
    path = write_tiff(tmp_path / "a.tif", [8] * 4, bytes([100, 50, 25, 128] * 64), extra=1)
    (frame,) = video_io.read_clip(path, ground=None)
    assert np.abs(frame.astype(int) - (199, 100, 50, 128)).max() <= 1


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_pictures_for_printing_have_their_colours(tmp_path, name):
    pixels = np.full((16, 16, 3), (200, 50, 20), np.uint8)
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / name, quality=95)
    assert np.abs(video_io.read_clip(tmp_path / name)[0].astype(int) - pixels).max() <= 4
