"""`vdd evaluate`: measure a run; write eval/ and report.md."""

import argparse

from etils import epath

from vdd.commands import options, work

SUMMARY = "measure a run; write eval/ and report.md"
EXAMPLE = "vdd evaluate runs/sprites --split test"
NOUNS = options.NOUNS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command takes."""
    options.add_run(parser)
    split = "train, validation, test or another of the data set's (the config's)"
    parser.add_argument("--split", metavar="NAME", help=split)
    parser.add_argument("--art-dir", metavar="DIR", help="folder of LPC sheets")
    parser.add_argument("--data-dir", metavar="DIR", help="what vdd.data.prepare wrote")
    faces = "of videos: identity and landmarks too (extra face)"
    parser.add_argument("--faces", action="store_true", help=faces)
    clips = "evaluate only N clips (0: all), not into a run directory"
    parser.add_argument("--clips", type=options.whole, metavar="N", help=clips)
    where = "where it goes (the run directory; ./NAME_evaluation for a shipped model)"
    parser.add_argument("--out", metavar="DIR", help=where)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from vdd import runs, summary
    from vdd.evaluation.report import json_path
    from vdd.evaluation.run import evaluate_run, place_of

    work.set_up_jax()
    workdir = runs.find(work.run_named(arguments))
    out = epath.Path(arguments.out or place_of(workdir))
    report = evaluate_run(
        workdir,
        split=arguments.split,
        step=arguments.step,
        art_dir=arguments.art_dir,
        data_dir=arguments.data_dir,
        faces=arguments.faces,
        clips=arguments.clips,
        out=out,
    )
    print("\n".join(summary.figures(report)))
    split = runs.load_config(workdir).eval.split
    page = f", {out / 'report.md'}" if report["split"] == split else ""
    print(f"{json_path(out, report, split)}{page}")
