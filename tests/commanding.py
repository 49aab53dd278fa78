"""The `vdd` command in this process."""

from vdd import cli


def vdd_command(capsys, *arguments) -> tuple[int, str, str]:
    status = cli.main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def transfer_arguments(run, clips, out, *more) -> list:
    # One step and always the same lengths, so that there is only one program to compile.
    clips = ["--content", clips[0], "--motion", clips[1]]
    return ["transfer", run, *clips, "--out", out, "--steps", 1, *more]
