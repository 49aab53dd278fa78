"""Writes the licences of all locked packages into docs/licences.md.

    python docs/licences.py           # after `make lock`
    python docs/licences.py --check   # only says what is wrong

A package that is not installed here, in the first version that the lock has of it, keeps its row.
What asks something of those who pass it on (copyleft) has to be named in the prose.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from vdd import markdown

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/licences.md"
_TABLE = re.compile(r"(<!-- licences: (\S+) -->\n).*?(?=<!-- end -->)", re.DOTALL)
_ROW = re.compile(r"^\| `([\w.-]+)` \| (.+) \|$", re.MULTILINE)
_PIN = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables, or only look; the exit status is 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; stale rows count")
    check = parser.parse_args(arguments).check
    page = PAGE.read_text()
    known, prose = dict(_ROW.findall(page)), _TABLE.sub("", page)
    new = _TABLE.sub(lambda match: f"{match[1]}\n{table(match[2], known)}\n", page)
    faults = []
    for name, told in _ROW.findall(new):
        if told == "?":
            faults.append(f"the licence of {name} is not known")
        if re.search(r"GPL|MPL|Mozilla", told) and f"`{name}`" not in prose:
            faults.append(f"{name} is under {told}, and no sentence says so")
    if check and new != page:
        faults.append("its rows are not those of the locks: run python docs/licences.py")
    if not check:
        PAGE.write_text(new)
    for fault in faults:
        print(f"docs/licences.md: {fault}", file=sys.stderr)
    return int(bool(faults))


def table(lock: str, known: Mapping[str, str]) -> str:
    """The rows of the packages that a lock pins; of two versions the first counts."""
    pins = dict(reversed(_PIN.findall((ROOT / lock).read_text())))
    told = {name: stated(name, pins[name]) or known.get(name, "?") for name in sorted(pins)}
    rows = ((f"`{name}`", licence) for name, licence in told.items())
    return markdown.table(("package", "licence, as it says itself"), rows) + "\n"


def stated(name: str, version: str) -> str | None:
    """What a package says of its licence; None if this version is not here, or says nothing."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if about["Version"].partition("+")[0] != version:
        return None
    text = (about["License"] or "").replace("UNKNOWN", "").strip()
    classes = [c.split(" :: ")[-1] for c in about.get_all("Classifier") or () if "License ::" in c]
    short = text if len(text) < 50 and "\n" not in text else ""
    found = (about["License-Expression"], short, ", ".join(classes), text[:50].split("\n")[0])
    return next(filter(None, found), None)


if __name__ == "__main__":
    sys.exit(main())
