"""`vdd export`: write a run's model alone, for inference, and pass it on."""

import argparse
import contextlib
import re
import tempfile

from etils import epath

from vdd.commands import options, work
from vdd.errors import UserError

SUMMARY = "write a run's model alone, for inference, or pass it on"
EXAMPLE = "vdd export runs/sprites sprites_small"
NOUNS = f"""\
{options.RUN}
With its prior, its named motions and a model card, it goes into FOLDER; with --push to the Hugging
Face Hub, where `vdd.load("hf://owner/name")` finds it (extra hub)."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("run", metavar="RUN", help="whose model")
    parser.add_argument("folder", metavar="FOLDER", nargs="?", help="a new folder")
    push = "make it a commit of this model on the Hub (made, and public, if it is not there)"
    parser.add_argument("--push", metavar="OWNER/NAME", help=push)
    licence = "of the model, such as cc-by-4.0 (that of the data, where it is known)"
    parser.add_argument("--license", metavar="ID", type=_licence, help=licence)
    options.add_step(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd import files, hub

    if not arguments.folder and not arguments.push:
        raise UserError("name a FOLDER, or --push OWNER/NAME")
    if arguments.push:
        hub.check(arguments.push)
    with contextlib.ExitStack() as stack:
        place = arguments.folder or stack.enter_context(tempfile.TemporaryDirectory())
        folder = epath.Path(place)
        with work.working("reading and writing"):
            step = _export(arguments, folder)
        held = (path / name for path, _, names in folder.walk() for name in names)
        size = f"step {step}, {sum(files.size_of(file) for file in held) / 1e6:.1f} MB"
        if arguments.folder:
            print(f"{folder}: {size}; `vdd info {folder}` describes it")
        if arguments.push:
            with work.working("pushing"):
                address = hub.push(folder, arguments.push)
            print(f'{address}: {size}; `vdd.load("hf://{arguments.push}")` loads it')


def _export(arguments: argparse.Namespace, folder: epath.Path) -> int:
    """Writes the folder; of which step."""
    from vdd import card, priors, runs
    from vdd.export import export

    source = runs.find(arguments.run)
    if priors.is_prior(source):
        if arguments.push or arguments.license:
            raise UserError(f"{arguments.run}: a prior is passed on with its run: export that")
        return priors.export_prior(source, folder, arguments.step).step
    if arguments.push:
        card.check_licence(source, arguments.license)
    return export(source, folder, arguments.step, arguments.license).step


def _licence(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no licence's name, such as apache-2.0")
    return text
