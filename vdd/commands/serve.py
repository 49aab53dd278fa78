"""`vdd serve`: a page on which motion is played with."""

import argparse

import vdd
from vdd.commands import options, work
from vdd.errors import UserError

SUMMARY = "a web page on which motion is played with"
EXAMPLE = "vdd serve sprites"
NOUNS = f"""\
{options.RUN}
The page is for this machine alone, unless --host names another address: then its own address
carries a token, which whoever opens it must know. ^C ends it, and nothing is kept."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    parser.add_argument("runs", metavar="RUN", nargs="*", help="whose models to use (sprites)")
    host = "the address to listen on (127.0.0.1)"
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=host)
    port = "the port to listen on, 0 for any that is free (8800)"
    parser.add_argument("--port", type=_port, default=8800, metavar="N", help=port)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd.serve import server

    server.check()
    with server.bound(arguments.host, arguments.port) as socket:
        with work.working("loading the models"):
            from vdd import runs

            work.set_up_jax()
            named = arguments.runs or runs.pretrained()[:1]
            if not named:
                raise UserError("name a RUN: the package ships no model")
            loaded = {}
            for path in named:
                run = vdd.load(path)
                loaded[_free_name(runs.last_name(runs.find(path)), loaded)] = run
        server.serve(loaded, socket, arguments.host)


def _free_name(name: str, taken: dict) -> str:
    """What a run is called on the page: the last part of its path, and a number if need be."""
    names = [name, *(f"{name} ({i})" for i in range(2, len(taken) + 2))]
    return next(one for one in names if one not in taken)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, from 0 to 65535")
    return int(text)
