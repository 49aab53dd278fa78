"""Writes the defaults into docs/configs.md, and says which keys the page does not describe.

    python docs/keys.py           # after a change of a config
    python docs/keys.py --check   # only says what is wrong
    python docs/keys.py --count   # says how many values each file states (of another FOLDER too)

A section of the page begins with `<!-- keys: CONFIG[:VARIANT] -->`. It describes the keys that the
sections before it have not. All variants of a config are looked at.
"""

import argparse
import ast
import functools
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CONFIGS, PAGE = ROOT / "configs", ROOT / "docs/configs.md"
GROUPS = {"dict", "_model", "_objective", "_train", "_eval", "_network"}
_SECTION = re.compile(r"^(<!-- keys: (\w+):?(\w*) -->)$", re.MULTILINE)
_ROW = re.compile(r"^\| `([\w.]+)` \|([^|]*)\| ([^|]*) \|$", re.MULTILINE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the defaults, or only look; the exit status is 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; stale defaults count")
    parser.add_argument("--count", nargs="?", const=str(CONFIGS), metavar="FOLDER",
                        help="only count the values that files state")  # fmt: skip
    options = parser.parse_args(arguments)
    if options.count:
        return count(Path(options.count))
    check = options.check
    page = PAGE.read_text()
    head, *sections = _SECTION.split(page)
    new, faults, described = head, [], set()
    for mark, name, variant, text in zip(*(sections[i::4] for i in range(4)), strict=True):
        here = [row[1] for row in _ROW.finditer(text)]
        faults += [f"{name} has no key {key}" for key in here if key not in keys(name)]
        faults += [f"{key} has no sentence" for key in _ROW.findall(text) if len(key[2]) < 10]
        described |= set(here)
        new += mark + filled(text, dict(flat(load(name).get_config(variant))))
    for name in dict.fromkeys(sections[1::4]):
        faults += [f"{key} of {name} is not described" for key in sorted(keys(name) - described)]
    if check and new != page:
        faults.append("its defaults are not those of the configs: run python docs/keys.py")
    if not check:
        PAGE.write_text(new)
    for fault in faults:
        print(f"docs/configs.md: {fault}", file=sys.stderr)
    return int(bool(faults))


def filled(section: str, defaults: Mapping[str, Any]) -> str:
    """A section with the default of each of its keys; a dash for what is not set."""

    def row(match: re.Match) -> str:
        value = defaults.get(match[1])
        shown = "–" if value is None else f"`{value}`"
        return f"| `{match[1]}` | {shown} | {match[3]} |"

    return _ROW.sub(row, section)


def keys(name: str) -> set[str]:
    """The keys of all variants of a config."""
    config = load(name)
    arts = ("", "lpc_") if name == "sprites" else ("",)
    variants = ["", *(art + size for art in arts for size in config.SIZES)]
    return {key for variant in variants for key, _ in flat(config.get_config(variant))}


def count(folder: Path) -> int:
    """Print how many values each config of the method states, and the keys that all have."""
    total = 0
    for path in sorted(folder.glob("*.py")):
        if path.stem not in ("autoencoder", "motion_prior"):
            print(f"{path.stem:15}{(here := stated(path)):4}")
            total += here
    print(f"{'values stated':15}{total:4}")
    return 0


def stated(path: Path) -> int:
    """How many values a config's file states, one for each time that it does."""
    found = 0
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            found += sum(word.arg is not None and not groups(word.value) for word in node.keywords)
        elif isinstance(node, ast.Assign) and not groups(node.value):
            names = [name for target in node.targets for name in ast.walk(target)]
            found += sum(isinstance(getattr(n, "ctx", None), ast.Store) for n in names
                         if isinstance(n, ast.Attribute))  # fmt: skip
    return found


def groups(node: ast.AST) -> bool:
    """Whether a group of keys is given: a `dict(...)`, or a function that makes one."""
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") in GROUPS


@functools.cache
def load(name: str) -> Any:
    """The module configs/NAME.py."""
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def flat(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The keys of a config with dots between, and their values."""
    for key, value in config.items():
        if hasattr(value, "items"):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


if __name__ == "__main__":
    sys.exit(main())
