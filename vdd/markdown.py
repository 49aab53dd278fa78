"""Tables in Markdown."""

from collections.abc import Iterable


def table(header: Iterable[object], rows: Iterable[Iterable[object]] = ()) -> str:
    """A table, without a line break at its end; without rows its head, for who prints these later.

    Its cells are texts, or whatever `str` makes one of.
    """
    names = list(header)
    return "\n".join(map(row, (names, ["---"] * len(names), *rows)))


def row(cells: Iterable[object]) -> str:
    """One row of a table."""
    return f"| {' | '.join(map(str, cells))} |"
