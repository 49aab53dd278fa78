"""What the evaluation of a run on some data set gives."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from etils import epath

from vdd import errors
from vdd.config import Config
from vdd.evaluation.gallery import Picture
from vdd.values import Figures


class Evaluation(NamedTuple):
    """The figures, ready for JSON; the same as sections of the page; and how to draw pictures."""

    figures: Figures
    sections: Sequence[str]
    draw: Callable[[epath.Path], list[Picture]]


def check(settings: Config, splits: Collection[str], split: str | None = None) -> None:
    """Raise a UserError for what no evaluation can have of a config's `eval`, or another split.

    Args:
      settings: the config's `eval`.
      splits: those that there are.
      split: the one that is asked for; None takes that of the settings.
    """
    if (wanted := split or settings.split) not in splits:
        place = "" if split else "eval.split: "
        raise errors.UserError(f"{place}no split {wanted!r}: take one of {', '.join(splits)}")
    with errors.group("eval"):
        errors.at_least(1, settings, "batch_size")
        errors.at_least(0, settings, *(key for key in ("num_clips", "seed") if key in settings))
