"""`vdd motions`: name the motions of a run's data set by their codes."""

import argparse

import vdd
from vdd import files
from vdd.commands import options, work
from vdd.errors import UserError

SUMMARY = "read the codes of named motions, and keep them with the run"
EXAMPLE = "vdd motions runs/universal_lpc"
NOUNS = f"""\
{options.RUN}
Several characters play each motion of the data set; of each frame the code that most get is kept,
in RUN/motions.json. `vdd transfer --motion lpc:slash_left` plays one, `vdd info RUN` lists them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("run", metavar="RUN", help="whose codes")
    options.add_step(parser)
    told = "who play each motion (32)"
    parser.add_argument("--characters", type=options.count, metavar="N", help=told)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    with work.working("loading the model"):
        from vdd import motions, runs

        work.set_up_jax()
        path = runs.find(arguments.run)
        motions.check(runs.load_config(path).data)
        if runs.is_others(path):
            raise UserError(
                f"{arguments.run} is installed or downloaded: export it, and name the motions there"
            )
        files.check(path / motions.FILE)
        run = vdd.load(path, arguments.step)
    with work.working("reading the motions"):
        library = motions.make(run, path, arguments.characters or motions.CHARACTERS)
        file = motions.write(library, path)
    print("\n".join(motions.describe(library)))
    print(f"{file}: of step {run.step}; `vdd transfer --motion NAME` plays one")
