"""vdd: bitrate-controlled diffusion for disentangling motion and content in video."""

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etils import epath

    from vdd.run import Run

__all__ = ["load"]

if sys.argv[:1] == ["-m"] and sys.orig_argv[sys.orig_argv.index("-m") + 1].startswith("vdd."):
    # `python -m vdd.main`, which imports for seconds; a program of somebody else's is left alone.
    from vdd import interrupts

    signal.signal(signal.SIGINT, interrupts.leave)


def load(path_or_name: "epath.PathLike", step: int | None = None) -> "Run":
    """Loads a trained model, from a run directory or by the name of one that the package ships.

    See `vdd.run.load`; imported on first use, so that `import vdd` costs nothing.
    """
    from vdd.run import load

    return load(path_or_name, step)
