"""The mark in a file's metadata that a model has drawn what is seen in it."""

from vdd.config import Config
from vdd.data import datasets
from vdd.version import version


def mark(config: Config) -> str | None:
    """The comment that goes into files which a model of this `config.data` has drawn.

    None where its data set is not of filmed clips (`datasets.is_filmed`): nobody takes drawn
    characters for people.
    """
    if not datasets.is_filmed(config):
        return None
    return f"made with vdd {version()}: a synthetic clip"
