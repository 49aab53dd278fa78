"""Writes the tables of results into the pages that have them (`PAGES`), from committed reports.

    python docs/tables.py           # after a change of docs/reports.toml or of a report
    python docs/tables.py --check   # only says whether the tables are those of the reports

No figure is typed. `docs/reports.toml` lists which reports (`eval/<step>.json`) make which column.
A table stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

import argparse
import json
import re
import statistics
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from figures import AIMS, DESCRIBED, SHOWN, TABLES, Figure

from vdd import markdown

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "docs/results.md",
    "docs/universal_lpc.md",
    "experiments/heads/README.md",
    "experiments/notebook/strangers.md",
    "vdd/pretrained/universal_lpc/README.md",
)
_BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_NOTHING = "–"


class Column(NamedTuple):
    """A model, with the reports of trainings that differ in the seed alone."""

    about: Mapping[str, Any]
    reports: Sequence[Mapping[str, Any]]

    @property
    def kind(self) -> str:
        """What was measured."""
        first = self.reports[0]
        if "recognised" in first:
            return "strangers"
        if "reconstruction" not in first:
            return "prior"
        if first.get("dataset") == "universal_lpc":
            return "universal_lpc"
        return "sprites" if "leakage" in first else "videos"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or only say whether they are up to date; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; status 1 if stale")
    check = parser.parse_args(arguments).check
    columns, stale = read_columns(), []
    for name in PAGES:
        page = ROOT / name
        old = page.read_text()
        new = filled(old, columns)
        if new != old:
            stale.append(name)
            if not check:
                page.write_text(new)
    if check and stale:
        print(f"not of the reports: {', '.join(stale)}; run python docs/tables.py", file=sys.stderr)
    elif not check:
        print(f"written: {', '.join(stale) or 'nothing, all tables were up to date'}")
    return int(check and bool(stale))


def read_columns() -> list[Column]:
    """The columns of docs/reports.toml, with their reports; ValueError where there is none."""
    columns = []
    for about in tomllib.loads((ROOT / "docs/reports.toml").read_text())["column"]:
        paths = sorted(path for pattern in about["reports"] for path in ROOT.glob(pattern))
        if not paths:
            raise ValueError(f"docs/reports.toml: there is no report {about['reports']}")
        columns.append(Column(about, [json.loads(path.read_text()) for path in paths]))
    return columns


def filled(page: str, columns: Sequence[Column]) -> str:
    """A page with its tables made anew."""

    def make(block: re.Match) -> str:
        return f"{block[1]}\n{table(block[2], columns)}\n\n{block[3]}"

    return _BLOCK.sub(make, page)


def table(name: str, columns: Sequence[Column]) -> str:
    """A table in Markdown: what was measured down, models across."""
    kind, figures = TABLES[name]
    shown = [
        column
        for column in columns
        if column.kind == kind and (name not in SHOWN or column.about.get(SHOWN[name]))
    ]
    if not shown:
        return "*No report of this kind is in the repository yet.*"
    last = "aim" if name in AIMS else "best, or chance"
    rows = [
        ["", *(column.about["name"] for column in shown), last],
        *(_descriptions(shown) if name in DESCRIBED else []),
        *([f.label, *(cell(f, c.reports) for c in shown), scale(f, shown)] for f in figures),
    ]
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    return markdown.table(rows[0], rows[1:])


def _descriptions(columns: Sequence[Column]) -> list[list[str]]:
    """What was measured of which model: the first rows of each table."""

    def measured(column: Column) -> str:
        first = column.reports[0]
        count = first["clips"] if column.kind == "strangers" else first["num_clips"]
        return f"{count:,} {first['split']} clips"

    def sampler(column: Column) -> str:
        how = column.reports[0].get("sampler")
        return f"{how['name']}, {how['steps']} steps" if how else _NOTHING

    def seeds(column: Column) -> str:
        count = len(column.reports)
        return "1 training, no spread" if count == 1 else f"{count} trainings, mean ± sd"

    rows: list[tuple[str, Callable[[Column], str]]] = [
        ("data", lambda column: column.about["data"]),
        ("recipe", lambda column: column.about["recipe"]),
        ("training", lambda column: column.about["trained"]),
        ("measured on", measured),
        ("sampler", sampler),
        ("n", seeds),
    ]
    lines = [[label, *(text(column) for column in columns), ""] for label, text in rows]
    return [line for line in lines if any(cell != _NOTHING for cell in line[1:-1])]


def cell(figure: Figure, reports: Sequence[Mapping[str, Any]]) -> str:
    """The figure, and what belongs beside it."""
    text = value(figure, reports)
    if not figure.beside or text == _NOTHING:
        return text
    return f"{text} ({value(figure._replace(path=figure.beside), reports)})"


def value(figure: Figure, reports: Sequence[Mapping[str, Any]]) -> str:
    """The figure's mean over reports, with its standard deviation; a dash if one lacks it."""
    found = [look_up(figure.path, report) for report in reports]
    if any(x is None for x in found):
        return _NOTHING
    values = [x * (100 if figure.percent else 1) for x in found if x is not None]
    text = format(statistics.mean(values), figure.form)
    if len(values) > 1:
        text += f" ± {format(statistics.stdev(values), figure.form)}"
    return text + (" %" if figure.percent else "")


def scale(figure: Figure, columns: Sequence[Column]) -> str:
    """What to hold a figure to: a text, or what the first report that has it says."""
    if "." not in figure.scale or not figure.scale[0].isalpha():
        return figure.scale
    for column in columns:
        if look_up(figure.scale, column.reports[0]) is not None:
            return value(figure._replace(path=figure.scale), column.reports[:1])
    return ""


def look_up(path: str, report: Mapping[str, Any]) -> float | None:
    """What a report has under a path of keys; None where it was not measured."""
    found: Any = report
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


if __name__ == "__main__":
    sys.exit(main())
