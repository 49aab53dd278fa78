"""`python -m vdd COMMAND`: the `vdd` command where its script is not in PATH."""

import sys

from vdd import cli

if __name__ == "__main__":
    sys.exit(cli.main())
