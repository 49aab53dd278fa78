"""The one exception that ends in a clear line instead of a traceback."""


class UserError(Exception):
    """A mistake that the person at the keyboard can mend.

    `vdd.main` and `vdd.cli` print its text as one line on stderr and exit with status 2.
    """
