"""`vdd compress`: write a run with shorter codes, learned on its own swaps."""

import argparse
import dataclasses

from vdd.commands import options, work

SUMMARY = "write a run with shorter codes, learned on its own swaps"
EXAMPLE = "vdd compress runs/sprites sprites_coded"
NOUNS = options.RUN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("run", metavar="RUN", help="whose content; its training clips are read")
    parser.add_argument("folder", metavar="FOLDER", help="a new folder")
    options.add_step(parser)
    parser.add_argument("--updates", type=options.count, metavar="N", help="steps of learning")
    parser.add_argument("--art-dir", metavar="DIR", help="folder of LPC sheets")


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd.compression.compress import DEFAULT_SETTINGS, compress_run

    work.set_up_jax()
    settings = DEFAULT_SETTINGS
    if arguments.updates:
        settings = dataclasses.replace(settings, num_steps=arguments.updates)
    folder = arguments.folder
    run = compress_run(
        arguments.run, folder, step=arguments.step, art_dir=arguments.art_dir, settings=settings
    )
    print(f"{folder}: step {run.step}; `vdd evaluate {folder}` measures it")
