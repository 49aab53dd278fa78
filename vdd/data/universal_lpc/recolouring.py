"""New colours for the parts of a character, so that looks are not known by their palettes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from vdd.data.universal_lpc.sheets import Drawing

# Luminance of RGB (ITU-R BT.601).
_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


def recoloured(layers: Sequence[Drawing], rng: np.random.Generator) -> list[Drawing]:
    """Layers with new palettes: shapes stay, and so does what is lighter than what, mostly.

    Layers of one palette get the same colours, as what hangs before and behind the body does.
    """
    known: dict[bytes, np.ndarray] = {}
    changed = []
    for layer in layers:
        key = layer.palette.tobytes()
        if key not in known:
            known[key] = _new_colours(layer.palette, rng)
        changed.append(layer._replace(palette=known[key]))
    return changed


def _new_colours(
    palette: UInt8[np.ndarray, "k 4"], rng: np.random.Generator
) -> UInt8[np.ndarray, "k 4"]:
    """A palette in other hues: colours turn around the grey axis and are tinted; alpha stays."""
    colour = palette[:, :3].astype(np.float32) / 255.0
    light = (colour @ _WEIGHTS)[:, None]
    turned = (colour - light) @ _turn(rng.uniform(0.0, 2.0 * np.pi)) * rng.uniform(0.3, 1.5)
    # A tint is strongest in the middle: black and white stay what they are.
    tint = rng.normal(size=3).astype(np.float32)
    tint *= rng.uniform(0.0, 0.5) / np.linalg.norm(tint)
    light = light ** np.exp(rng.uniform(-0.6, 0.6))
    made = light + turned + tint * (4.0 * light * (1.0 - light))
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
