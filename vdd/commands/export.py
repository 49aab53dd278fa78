"""`vdd export`: write a run's model alone, for inference."""

import argparse

from etils import epath

from vdd.commands import options, work

SUMMARY = "write a run's model alone, for inference"
EXAMPLE = "vdd export runs/sprites sprites_small"
NOUNS = options.RUN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("run", metavar="RUN", help="whose model")
    parser.add_argument("folder", metavar="FOLDER", help="a new folder")
    options.add_step(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    with work.working("reading and writing"):
        from vdd import priors, runs
        from vdd.export import export

        is_prior = priors.is_prior(runs.find(arguments.run))
        run = (priors.export_prior if is_prior else export)(
            arguments.run, arguments.folder, arguments.step
        )
        folder = epath.Path(arguments.folder)
        files = (path / name for path, _, names in folder.walk() for name in names)
        size = sum(file.stat().length for file in files)
    print(f"{folder}: step {run.step}, {size / 1e6:.1f} MB; `vdd info {folder}` describes it")
