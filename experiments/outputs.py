"""What scripts write: never over a file that the tool did not write (`vdd.files`)."""

import argparse
import io
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image

from vdd import files
from vdd.errors import UserError


def file(name: str) -> Path:
    """The type of an option that names a file to write: what is wrong is told before any work."""
    try:
        return Path(files.check(name))
    except UserError as error:
        # No script has an option to replace what is somebody else's.
        raise argparse.ArgumentTypeError(str(error).removesuffix(", or say --overwrite")) from error


def save(picture: Figure | UInt8[np.ndarray, "h w c"], path: Path) -> None:
    """Writes a figure or an image as the kind of picture that the name of the file says."""
    buffer, kind = io.BytesIO(), path.suffix[1:] or "png"
    if isinstance(picture, Figure):
        picture.savefig(buffer, format=kind, dpi=100)
    else:
        Image.fromarray(picture).save(buffer, kind)
    files.write(path, buffer.getvalue())
    print(f"wrote {path}")
