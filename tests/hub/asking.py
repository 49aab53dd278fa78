"""The `vdd` command, and models compared."""

from vdd import cli


def command(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert captured.err.count("\n") == (0 if status == 0 else 1), captured.err
    return status, captured.out, captured.err
