"""Composites layered sprites into clips: the bytes of Pillow's `Image.alpha_composite` chain."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from einops import rearrange
from jaxtyping import Int, UInt8

from vdd.data.sprites.benchmark import ATTRIBUTES, NUM_FRAMES, SIZE


class Art(NamedTuple):
    """What a drawing style gives the renderer.

    Attributes:
      order: pairs (part, factor), the rearmost part first. The factor is the attribute that chooses
        the part's variant, or None for a part that every character wears (variant 1).
      part_frames: (part, variant, motion) -> RGBA uint8 [t h w 4] with straight alpha.
    """

    order: tuple[tuple[str, str | None], ...]
    part_frames: Callable[[str, int, int], UInt8[np.ndarray, "t h w 4"]]


_COMMON_VARIANT = 1


def render(
    art: Art, attributes: Int[np.ndarray, "n 4"], motion: Int[np.ndarray, "n"]
) -> UInt8[np.ndarray, "n t h w 3"]:
    """Draws n clips: every part in the art's order, by alpha, over opaque black.

    Args:
      art: parts and their order.
      attributes: variant of each of `ATTRIBUTES` for each clip.
      motion: motion label of each clip.
    """
    clips = np.empty((len(motion), NUM_FRAMES, SIZE, SIZE, 3), np.uint8)
    for label in np.unique(motion):
        rows = np.flatnonzero(motion == label)
        clips[rows] = _render_motion(art, attributes[rows], int(label))
    return clips


def _render_motion(
    art: Art, attributes: Int[np.ndarray, "n 4"], motion: int
) -> UInt8[np.ndarray, "n t h w 3"]:
    """Draws n clips of one motion.

    Clips that agree in the attributes drawn so far share one canvas; it is copied only when the
    next part tells them apart.
    """
    canvases = np.zeros((1, NUM_FRAMES * SIZE * SIZE, 3), np.uint8)
    canvas_of_clip = np.zeros(len(attributes), np.int64)
    for part, factor in art.order:
        worn = _worn_variants(attributes, factor)
        (parents, variants), canvas_of_clip = np.unique(
            np.stack([canvas_of_clip, worn]), axis=1, return_inverse=True
        )
        if len(parents) > len(canvases):
            canvases = canvases[parents]
        for variant in np.unique(variants):
            layer = art.part_frames(part, int(variant), motion)
            _draw(canvases, np.flatnonzero(variants == variant), layer)
    return rearrange(canvases[canvas_of_clip], "n (t h w) c -> n t h w c", t=NUM_FRAMES, h=SIZE)


def _worn_variants(attributes: Int[np.ndarray, "n 4"], factor: str | None) -> Int[np.ndarray, "n"]:
    if factor is None:
        return np.full(len(attributes), _COMMON_VARIANT)
    return attributes[:, ATTRIBUTES.index(factor)]


def _draw(
    canvases: UInt8[np.ndarray, "n p 3"],
    rows: Int[np.ndarray, "r"],
    layer: UInt8[np.ndarray, "t h w 4"],
) -> None:
    """Lays one part over the canvases `rows`, in place.

    Most pixels of a part are empty and nearly all others opaque, so that only the few translucent
    ones are worth arithmetic.
    """
    pixels = rearrange(layer, "t h w c -> (t h w) c")
    colour, alpha = pixels[:, :3], pixels[:, 3]
    opaque = np.flatnonzero(alpha == 255)
    canvases[rows[:, None], opaque] = colour[opaque]
    translucent = np.flatnonzero((alpha > 0) & (alpha < 255))
    if translucent.size:
        at = (rows[:, None], translucent)
        canvases[at] = over(colour[translucent], alpha[translucent, None], canvases[at])


def over(
    source: UInt8[np.ndarray, "*s"], alpha: UInt8[np.ndarray, "*a"], below: UInt8[np.ndarray, "*b"]
) -> UInt8[np.ndarray, "*out"]:
    """Lays `source` with straight `alpha` over an opaque `below`; the three shapes broadcast.

    Pillow's result over an opaque ground is the blend divided by 255 and rounded to nearest; with
    an odd divisor there are no ties, so that (x + 127) // 255 is exact.
    """
    a = alpha.astype(np.uint32)
    blend = source.astype(np.uint32) * a + below.astype(np.uint32) * (255 - a)
    return ((blend + 127) // 255).astype(np.uint8)
