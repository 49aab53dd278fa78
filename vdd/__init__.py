"""vdd: bitrate-controlled diffusion for disentangling motion and content in video."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etils import epath

    from vdd.run import Run

__all__ = ["load"]

if sys.argv[:1] == ["-m"]:  # a module is about to be run as a program, perhaps one of ours
    from vdd import interrupts

    interrupts.quiet_from_here()


def load(path_or_name: "epath.PathLike", step: int | None = None) -> "Run":
    """Loads a trained model, from a run directory or by the name of one that the package ships.

    See `vdd.run.load`; imported on first use, so that `import vdd` costs nothing.
    """
    from vdd.run import load

    return load(path_or_name, step)
