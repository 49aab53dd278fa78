"""New colours for the parts of a character, so that looks are not known by their palettes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from vdd.data.universal_lpc.sheets import Drawing

# Luminance of RGB (ITU-R BT.601).
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


class _Change(NamedTuple):
    """What happens to the colours of a part."""

    turn: Float[np.ndarray, "3 3"]  # of colours, around the grey axis
    tint: Float[np.ndarray, "3"]
    power: float  # of lightness


def recoloured(
    layers: Sequence[Drawing], parts: Sequence[str], rng: np.random.Generator
) -> list[Drawing]:
    """Layers in new colours: shapes stay, and so does what is lighter than what, mostly.

    Args:
      layers: of a character.
      parts: the part that each is of; layers of one part change alike, as a cape's do.
      rng: decides the colours.
    """
    changes = {part: _sample_change(rng) for part in dict.fromkeys(parts)}
    return [
        layer._replace(palette=_changed(layer.palette, changes[part]))
        for layer, part in zip(layers, parts, strict=True)
    ]


def _sample_change(rng: np.random.Generator) -> _Change:
    turn = _turn(rng.uniform(0.0, 2.0 * np.pi)) * np.float32(rng.uniform(0.3, 1.5))
    tint = rng.normal(size=3).astype(np.float32)
    tint *= rng.uniform(0.0, 0.5) / np.linalg.norm(tint)
    return _Change(turn, tint, float(np.exp(rng.uniform(-0.6, 0.6))))


def _changed(palette: UInt8[np.ndarray, "k 4"], change: _Change) -> UInt8[np.ndarray, "k 4"]:
    """A palette in other colours; alpha stays. A tint leaves black and white what they are."""
    colour = palette[:, :3].astype(np.float32) / 255.0
    light = (colour @ _WEIGHTS)[:, None]
    turned = (colour - light) @ change.turn
    light = light**change.power
    made = light + turned + change.tint * (4.0 * light * (1.0 - light))
    new = palette.copy()
    new[:, :3] = np.clip(np.round(made * 255.0), 0, 255)
    return new


def _turn(angle: float) -> Float[np.ndarray, "3 3"]:
    """Rotation of colours around the grey axis (Rodrigues' formula)."""
    axis = np.full(3, 3**-0.5, np.float32)
    cross = np.array(
        [[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]], np.float32
    )
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return turn.astype(np.float32)
