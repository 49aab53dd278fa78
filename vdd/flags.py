"""The flags of `vdd train`, and mistakes in them told in one line."""

import itertools
import re
import sys
from collections.abc import Sequence

from absl import flags
from etils import epath
from ml_collections import config_flags

from vdd import command
from vdd.errors import UserError

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "File of the run's config, a variant after a colon.", lock_config=True
)
DEBUG = flags.DEFINE_bool("debug", False, "Show the traceback of an error not foreseen.")
DATA = flags.DEFINE_string(
    "data", None, "Folder of your own clips or sprite sheets, in place of --config."
)
STEPS = flags.DEFINE_integer("steps", None, "Steps of a training of --data.", lower_bound=1)
MINUTES = flags.DEFINE_float(
    "minutes", None, "In place of --steps: as many as take about so long.", lower_bound=0.1
)
WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Directory of the run; may be gs:// (runs/<config>[_<variant>] or runs/<data>).",
)


def parse(argv: Sequence[str]) -> list[str]:
    """absl's parser, with a mistake in the flags or in the config's own code told in one line."""
    try:
        argv = _with_own_data(argv)
    except (UserError, OSError, flags.Error) as error:
        sys.exit(command.complain(error))
    named = [x.partition("=")[2] for x in argv if re.match("--?config=", x)]
    named += [value for flag, value in itertools.pairwise(argv) if re.match("--?config$", flag)]
    try:
        for file in named:
            if "://" in file:
                raise UserError(f"{file}: a config is a file on this machine, not an address")
            _check_is_text(epath.Path(file.partition(":")[0]))
        rest = flags.FLAGS(argv)
        file = config_file() if CONFIG.present else ""
        file = file.partition(":")[0]
        if not file or epath.Path(file).exists():
            hasattr(CONFIG.value, "seed")  # raises if a file that the config reads is missing
            return rest
        text = f"no config file {file}"
    except (AttributeError, KeyError) as error:  # its text comes quoted twice
        text = str(error.args[0]).replace("\\n", "\n").replace("\n", ": ")
        text = f"unknown config key {re.sub('[^A-Za-z0-9_.:? ]', '', text)}"
        if text.endswith("has no attribute get_config"):
            text = f"{named[-1]}: not a config, as it has no function get_config"
    except Exception as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    sys.exit(command.complain(text.removeprefix("ValueError: ")))


def _with_own_data(argv: Sequence[str]) -> Sequence[str]:
    """The arguments, with what is chosen for a folder of --data before those that were given."""
    if not any(re.match("--?data(=|$)", x) for x in argv):
        if any(re.match("--?(steps|minutes)(=|$)", x) for x in argv):
            raise UserError("--steps and --minutes are of --data: say --config.train.num_steps")
        return argv
    flags.FLAGS(argv, known_only=True)
    if CONFIG.present:
        raise UserError("--data chooses a config by itself: leave out --config")
    if not DATA.value:
        raise UserError("--data: name a folder")
    if STEPS.value and MINUTES.value:
        raise UserError("--steps and --minutes: one of them")
    timed = "--?config.train.(num_steps|checkpoint_every|eval_every|sample_every)(=|$)"
    if MINUTES.value and (own := [x for x in argv if re.match(timed, x)]):
        raise UserError(f"--minutes and {own[0]}: one of them")
    from vdd import own_data

    chosen = own_data.arguments(DATA.value, WORKDIR.value, STEPS.value, MINUTES.value)
    # A config's own flags are looked for there.
    sys.argv = [argv[0], *chosen, *argv[1:]]
    return sys.argv


def _check_is_text(path: epath.Path) -> None:
    """Raise a UserError for a folder, or what is no Python at all; nothing for what is missing."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a config")
    if path.is_file() and b"\0" in path.read_bytes():
        raise UserError(f"{path}: not a config, but a file of bytes")


def config_file() -> str:
    """The file of the config, its variant after a colon."""
    return config_flags.get_config_filename(flags.FLAGS["config"])
