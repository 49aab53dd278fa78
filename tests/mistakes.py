"""Command lines with a mistake in each, and what is said of it."""

import tiny

CONFIG = tiny.ROOT / "configs" / "sprites.py"
FACES = CONFIG.with_name("talking_head.py")

# Runs `vdd.main` on each command line in a fork of one process that has imported it, and what it
# imports late. Prints [[exit status, stdout, stderr], ...].
FORKS = """
import json, os, runpy, sys, tempfile, traceback
import vdd.evaluation.sprites.run, vdd.main, vdd.tasks.disentangler
results = []
for arguments in json.loads(sys.argv[1]):
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
    if not (child := os.fork()):
        os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
        sys.argv = ["vdd.main", *arguments]
        del sys.modules["vdd.main"]
        try:
            runpy.run_module("vdd.main", run_name="__main__")
            status = 0
        except SystemExit as ended:
            status = ended.code or 0
        except BaseException:
            traceback.print_exc()
            status = 99
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)  # Python tidies up for longer than all this took
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    texts = [file.seek(0) or file.read() for file in (out, err)]
    results.append([status, *texts])
print(json.dumps(results))
"""


def mistake_cases(tmp, tiny_run):
    """Command lines with a mistake in them, and what is said of it, by name."""
    config, workdir = f"--config={CONFIG}:smoke", f"--workdir={tmp / 'run'}"
    return {
        "nothing": ([], "--config or --data is needed"),
        "foreign": (
            [config, f"--workdir={tmp / 'theirs'}", "--config.train.batch_size=0"],
            f"{tmp}/theirs/config.json: already there, and not as vdd wrote it",
        ),
        "flag": ([config, workdir, "--wrkdir=x"], "Unknown command line flag 'wrkdir'"),
        "argument": ([config, workdir, "x"], "unexpected argument x"),
        "file": ([f"--config={tmp}/none.py", workdir], f"no config file {tmp}/none.py"),
        "own": ([f"--data={tmp}/theirs", workdir], f"{tmp}/theirs: no videos, GIFs"),
        "both": ([config, f"--data={tmp}"], "--data chooses a config by itself: leave out"),
        "long": ([f"--data={tmp}", "--steps=2", "--minutes=1"], "--minutes: one of them"),
        "length": ([config, "--steps=2"], "say --config.train.num_steps"),
        "unset": (["--data=", workdir], "--data: name a folder"),
        "twice": (
            [f"--data={tmp}", "--minutes=1", "--config.train.num_steps=3"],
            "--minutes and --config.train.num_steps=3: one of them",
        ),
        "none": (["--data", f"{tmp}/none", "--steps=0"], "flag --steps=0"),
        "syntax": ([f"--config={tmp}/broken.py", workdir], "invalid syntax (broken.py, line 1)"),
        "empty": ([f"--config={tmp}/empty.py", workdir], "empty.py: not a config, as it has no"),
        "bytes": ([f"--config={tmp}/bytes.py", workdir], "bytes.py: not a config, but a file of"),
        "folder": ([f"--config={tmp}/theirs", workdir], "theirs: is a folder, not a config"),
        "number": ([f"--config={tmp}/number.py", workdir], "number.py: get_config gives int"),
        "base": (
            [f"--config={tmp}/alone.py", workdir],
            f"No such file or directory: '{tmp}/base.py'",
        ),
        "recipe": (
            [f"--config={CONFIG.with_name('base.py')}", workdir],
            "dataset=None is unknown: take one of sprites",
        ),
        "variant": ([f"--config={CONFIG}:smok", workdir], "vdd: no variant 'smok'"),
        "key": ([config, workdir, "--config.train.nmu_steps=2"], "unknown config key nmu_steps"),
        "group": ([config, workdir, "--config.modle.dtype=x"], "unknown config key modle: Did"),
        "value": ([config, workdir, "--config.train.num_steps=x"], "num_steps=x: invalid literal"),
        "workdir": ([config, f"--workdir={CONFIG}/run"], "Not a directory"),
        "address": ([config, "--workdir=s3://bucket/run"], "s3:// is not read or written here"),
        "quantizer": (
            [config, workdir, "--config.model.quantizer.kind=x"],
            "unknown quantizer 'x'; there are: straight_through, gumbel_softmax",
        ),
        "channels": (
            [config, workdir, "--config.model.latents.size=(64,64,4)"],
            "clips have 3 channels, and model.latents.size is (64, 64, 4)",
        ),
        "augment": ([config, workdir, "--config.data.augment=x"], "augment=x is unknown"),
        "patch": ([config, workdir, "--config.model.latents.patch=3"], "64x64 in patches of 3"),
        "split": ([config, workdir, "--config.objective.split=x"], "unknown split 'x'; there are:"),
        "dtype": ([config, workdir, "--config.model.dtype=x"], "data type 'x' not understood"),
        "sampler": ([config, workdir, "--config.eval.sampler.name=x"], "unknown sampler 'x'"),
        "steps": ([config, workdir, "--config.train.num_steps=0"], "num_steps=0: it must be at"),
        "eval": ([config, workdir, "--config.eval.split=x"], "no split 'x': take one of"),
        "batch": (
            [config, workdir, "--config.train.batch_size=0"],
            "batch_size=0 cannot be shared",
        ),
        "segments": (
            [config, workdir, "--config.objective.noisy_segments=3"],
            "objective.noisy_segments=3 does not divide the 16 segments of a step",
        ),
        "frames": ([config, workdir, "--config.objective.noisy_frames=3"], "noisy_frames=3 are"),
        "clips": ([config, workdir, "--config.eval.num_clips=1"], "num_clips of 2 or more"),
        "init_from": (
            [config, workdir, "--config.train.init_from=nowhere"],
            "nowhere: no such run",
        ),
        "url": (["--config=https://x/y.py", workdir], "https://x/y.py: a config is a file on this"),
        "url2": (["--config", "gs://x/y.py", workdir], "gs://x/y.py: a config is a file on this"),
        "no data": ([f"--config={FACES}:smoke", workdir, f"--config.data.data_dir={tmp}/no"], "no"),
        "run": ([config, f"--workdir={tiny_run}"], f"{tiny_run} holds a run of another config"),
    }
