"""Which version of the package this is."""

import importlib.metadata


def version() -> str:
    """Of the distribution, `vdd-video`; the package can also be used without being installed."""
    try:
        return importlib.metadata.version("vdd-video")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"
