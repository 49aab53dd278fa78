"""What goes with a sprite sheet so that other tools can play it: Aseprite's JSON, Tiled's TSX.

https://www.aseprite.org/docs/cli/ (`--format json-array`, `--list-tags`) and
https://doc.mapeditor.org/en/stable/reference/tmx-map-format/ describe the two.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from vdd.data.sheet_files import Layout


class Animation(NamedTuple):
    """A motion on a sheet."""

    name: str
    places: Sequence[int]  # of its frames in the grid, counted row by row
    loop_from: int | None  # the first frame of what is repeated; None: it is played once

    @property
    def shown(self) -> Sequence[int]:
        """The frames that a player repeats."""
        return self.places[self.loop_from or 0 :]


class Picture(NamedTuple):
    """A sheet that lies in a file."""

    image: str  # name of the file
    layout: Layout  # with the size of cells
    animations: Sequence[Animation]
    fps: float


def aseprite(picture: Picture, given: Sequence[bool]) -> str:
    """The JSON that Aseprite writes beside a sheet: all frames in order, and a tag a motion.

    A tag spans what is repeated of a motion. Beside what Aseprite writes, each frame says whether
    it was given, or is made up.

    Args:
        picture: the sheet.
        given: of each frame of all motions, in order.
    """
    columns, rows, (height, width), frames, tags = *_grid(picture.layout), [], []
    box = {"x": 0, "y": 0, "w": width, "h": height}
    for animation in picture.animations:
        first, last = len(frames), len(frames) + len(animation.places) - 1
        tags.append({
            "name": animation.name, "from": first + (animation.loop_from or 0), "to": last,
            "direction": "forward",
        })  # fmt: skip
        for number, place in enumerate(animation.places):
            row, column = divmod(int(place), columns)
            frames.append({
                "filename": f"{animation.name} {number}",
                "frame": box | {"x": column * width, "y": row * height},
                "rotated": False,
                "trimmed": False,
                "spriteSourceSize": box,
                "sourceSize": {"w": width, "h": height},
                "duration": _milliseconds(picture),
                "given": bool(given[len(frames)]),
            })  # fmt: skip
    meta = {
        "app": "vdd",
        "version": "1.0",
        "image": picture.image,
        "format": "RGBA8888",
        "size": {"w": columns * width, "h": rows * height},
        "scale": "1",
        "frameTags": tags,
    }
    return json.dumps({"frames": frames, "meta": meta}, indent=1) + "\n"


def tiled(picture: Picture, name: str) -> str:
    """A tile set of Tiled in which the first tile of each motion is animated, and named."""
    columns, rows, (height, width) = _grid(picture.layout)
    root = ElementTree.Element("tileset", {
        "version": "1.10", "name": name, "tilewidth": f"{width}", "tileheight": f"{height}",
        "tilecount": f"{columns * rows}", "columns": f"{columns}",
    })  # fmt: skip
    size = {"width": f"{columns * width}", "height": f"{rows * height}"}
    ElementTree.SubElement(root, "image", {"source": picture.image, **size})
    for animation in picture.animations:
        tile = ElementTree.SubElement(root, "tile", {"id": f"{animation.shown[0]}"})
        properties = ElementTree.SubElement(tile, "properties")
        motion = {"name": "motion", "value": animation.name}
        ElementTree.SubElement(properties, "property", motion)
        frames = ElementTree.SubElement(tile, "animation")
        for place in animation.shown:
            frame = {"tileid": f"{place}", "duration": f"{_milliseconds(picture)}"}
            ElementTree.SubElement(frames, "frame", frame)
    ElementTree.indent(root, " ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _grid(layout: Layout) -> tuple[int, int, tuple[int, int]]:
    assert layout.cell is not None  # a sheet that was drawn has cells of a size
    return layout.columns, layout.rows, layout.cell


def _milliseconds(picture: Picture) -> int:
    return max(1, round(1000 / picture.fps))
