"""The flags of `vdd train`, and mistakes in them told in one line."""

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
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory of the run; may be gs:// (runs/<config>[_<variant>])."
)


def parse(argv: Sequence[str]) -> list[str]:
    """absl's parser, with a mistake in the flags or in the config's own code told in one line."""
    named = [x.partition("=")[2] for x in argv if re.match("--?config=", x)]
    try:
        for file in named:
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


def _check_is_text(path: epath.Path) -> None:
    """Raise a UserError for a folder, or what is no Python at all; nothing for what is missing."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a config")
    if path.is_file() and b"\0" in path.read_bytes():
        raise UserError(f"{path}: not a config, but a file of bytes")


def config_file() -> str:
    """The file of the config, its variant after a colon."""
    return config_flags.get_config_filename(flags.FLAGS["config"])
