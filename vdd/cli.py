"""The `vdd` command: one file a command lies in `vdd.commands`."""

import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vdd import interrupts

if TYPE_CHECKING:
    import argparse

# In the order of the help. Each has SUMMARY, EXAMPLE, NOUNS, add_arguments and run; what takes
# long to import is imported by `run`, so that help comes at once. Here only what is imported at
# once stands at the top: ^C is quiet from the first moment on.
COMMANDS = (
    "transfer", "encode", "decode", "generate", "sheet", "motions", "evaluate", "examples",
    "serve", "compress", "export", "info",
)  # fmt: skip
# Programs of their own, with flags of their own.
PROGRAMS = {
    "train": ("vdd.main", "program", "train a model (python -m vdd.main)"),
    "prepare": (
        "vdd.data.prepare",
        "main",
        "make a data set (python -m vdd.data.prepare)",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status, as `vdd.command.run` has it."""
    with interrupts.quiet():
        return _run(sys.argv[1:] if argv is None else list(argv))


def _run(given: list[str]) -> int:
    if given and given[0] in PROGRAMS:
        module, program, _ = PROGRAMS[given[0]]
        return getattr(importlib.import_module(module), program)(given[1:])
    from vdd import command

    def parse_and_run() -> None:
        arguments = parser().parse_args(given)
        _expand_homes(arguments)
        arguments.command(arguments)

    task = f"running {' '.join(['vdd', *given[:1]])}"
    return command.run(parse_and_run, task, debug="--debug" in given)


def parser() -> "argparse.ArgumentParser":
    """The parser of the whole command line; it gives the function to call as `command`."""
    import argparse

    from vdd import command
    from vdd.version import version

    root = command.Parser(prog="vdd", description="Motion and content of video, taken apart.")
    root.add_argument("--version", action="version", version=f"vdd {version()}")
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"vdd.commands.{name}")
        summary = module.SUMMARY
        one = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.\n\n{module.NOUNS}",
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.set_defaults(command=module.run)
        debug = "show the traceback of an error that was not foreseen"
        one.add_argument("--debug", action="store_true", help=debug)
        module.add_arguments(one)
    for name, (*_, summary) in PROGRAMS.items():
        commands.add_parser(name, help=summary)
    return root


def _expand_homes(arguments: "argparse.Namespace") -> None:
    """Spells out `~`, which a shell leaves as it is after an equals sign."""
    from vdd import files

    for name, value in vars(arguments).items():
        if isinstance(value, str) and value.startswith("~"):
            setattr(arguments, name, str(files.expand(value)))


if __name__ == "__main__":
    sys.exit(main())
