"""What the evaluation of a run on some data set gives."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from etils import epath

from vdd.evaluation.gallery import Picture
from vdd.values import Figures


class Evaluation(NamedTuple):
    """The figures, ready for JSON; the same as sections of the page; and how to draw pictures."""

    figures: Figures
    sections: Sequence[str]
    draw: Callable[[epath.Path], list[Picture]]
