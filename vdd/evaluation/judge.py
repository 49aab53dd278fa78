"""The judge: a supervised classifier of sprite clips, trained once for each art and kept on disk.

It is an ensemble: the probability that it gives to a class is the mean of those of its members.

    python -m vdd.evaluation.judge --art=lpc --art_dir=DIR

Published Sprites figures are such a classifier's verdicts on generated clips; on real clips of
unseen characters it is 100 % right, or nearly so.
"""

import argparse
import atexit
import dataclasses
import functools
import hashlib
import io
import json
import math
import os
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange
from etils import epath
from jaxtyping import Float, PyTree, UInt8

from vdd import files
from vdd.data import sprites
from vdd.errors import UserError
from vdd.evaluation import judge_training
from vdd.evaluation.judge_training import JudgeNet, JudgeSettings, Params
from vdd.evaluation.metrics import accuracy

CACHE_VARIABLE = "VDD_CACHE"
DEFAULT_SETTINGS = JudgeSettings()


class Verdict(NamedTuple):
    """What the judge sees in clips: logits (nats), normalised to log-probabilities."""

    motion_logits: Float[np.ndarray, "b 9"]
    attribute_logits: Float[np.ndarray, "b 4 6"]

    @property
    def motion(self) -> np.ndarray:
        """Most likely motion class, int [b]."""
        return self.motion_logits.argmax(-1)

    @property
    def attributes(self) -> np.ndarray:
        """Most likely variant of each attribute, int [b 4]."""
        return self.attribute_logits.argmax(-1)

    @property
    def motion_probs(self) -> np.ndarray:
        """Softmax of the motion logits in float64, [b 9]."""
        logits = self.motion_logits.astype(np.float64)
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)


@functools.partial(jax.jit, static_argnums=0)
def _judge_batch(net: JudgeNet, params: Params, video):
    video = judge_training.to_float(video)
    logits: Any = [net.apply({"params": member}, video) for member in unstacked(params)]

    def log_mean(*members):
        """Log of the mean probability: no member outvotes the others by being loud."""
        log_probs = jnp.stack([jax.nn.log_softmax(x) for x in members])
        return jax.nn.logsumexp(log_probs, axis=0) - math.log(len(members))

    return jax.tree.map(log_mean, *logits)


# The layers before the attribute head and before the motion head of `JudgeNet`.
_PENULTIMATE = ("Dense_2", "Dense_4")


@partial(jax.jit, static_argnums=0)
def _features_batch(net: JudgeNet, params: Params, video):
    first, video = {"params": unstacked(params)[0]}, judge_training.to_float(video)

    def wanted(module, _):
        return module.name in _PENULTIMATE

    state: PyTree = net.apply(first, video, capture_intermediates=wanted)[1]["intermediates"]
    frames, clips = (jax.nn.silu(state[name]["__call__"][0]) for name in _PENULTIMATE)
    return jnp.concatenate(
        [rearrange(frames, "(b t) f -> b t f", b=len(video)).mean(1), clips], axis=-1
    )


def unstacked(params: Params) -> list[Params]:
    """The parameters of each member."""
    count = len(jax.tree.leaves(params)[0])
    return [jax.tree.map(lambda x, i=i: x[i], params) for i in range(count)]


@dataclasses.dataclass(frozen=True)
class Judge:
    """A trained judge. Calling it does not recompile, whatever the number of clips."""

    net: JudgeNet
    params: Params  # of all members, stacked along a first axis
    batch_size: int = 64

    def __call__(self, video: UInt8[np.ndarray, "b t h w c"]) -> Verdict:
        """Judges clips of 8 frames of 64x64, uint8.

        Raises:
          ValueError: the video is not uint8 [b 8 64 64 3].
        """
        motion, attributes = self._in_batches(_judge_batch, video)
        return Verdict(motion, attributes)

    def features(self, video: UInt8[np.ndarray, "b t h w c"]) -> Float[np.ndarray, "b 256"]:
        """What the Fréchet distance of clips is taken of: the first member's last activations.

        Those that its attributes are linear in, averaged over the frames (128), then those that its
        motion is linear in (128). Of one member, since activations of two have nothing in common.

        Raises:
          ValueError: as for a call.
        """
        return self._in_batches(_features_batch, video)

    def _in_batches(self, function: Callable[..., PyTree], video: np.ndarray) -> PyTree:
        """What `function(net, params, video)` gives for all clips, as numpy."""
        video = np.asarray(video)
        shape = (sprites.NUM_FRAMES, sprites.SIZE, sprites.SIZE, 3)
        if video.dtype != np.uint8 or video.shape[1:] != shape:
            raise ValueError(f"the judge wants uint8 [b {shape}], not {video.dtype} {video.shape}")
        parts = []
        for start in range(0, max(len(video), 1), self.batch_size):  # once even without a clip
            batch = video[start : start + self.batch_size]
            padding = [(0, self.batch_size - len(batch))] + [(0, 0)] * 4
            found = function(self.net, self.params, np.pad(batch, padding))
            parts.append(jax.tree.map(np.asarray, found))
        return jax.tree.map(lambda *pieces: np.concatenate(pieces)[: len(video)], *parts)

    def members(self) -> list["Judge"]:
        """Each network of the ensemble, as a judge of its own."""
        parts = [jax.tree.map(lambda x: x[None], member) for member in unstacked(self.params)]
        return [dataclasses.replace(self, params=params) for params in parts]


def load_or_train(
    art: str,
    art_dir: epath.PathLike | None = None,
    cache_dir: epath.PathLike | None = None,
    settings: JudgeSettings = DEFAULT_SETTINGS,
    show_progress: bool = True,
) -> Judge:
    """The judge of an art, trained now unless the cache has it.

    Args:
      art: "lpc", "builtin" or "vivid", as for `sprites.load_arrays`.
      art_dir: folder of the LPC sheets.
      cache_dir: where judges are kept; None takes the variable VDD_CACHE, else ~/.cache/vdd.
      settings: how it is trained. The cache's key holds them, the art's pixels and the training
        code, so that a stale judge is never used.
      show_progress: show a bar with the time left.

    Raises:
      UserError: the art cannot be found or read.
    """
    net = JudgeNet(settings.width)
    path = default_cache_dir(cache_dir) / f"judge_{art}_{fingerprint(art, art_dir, settings)}.npz"
    params = _read(path)
    if params is None:
        train = sprites.load_arrays(art, "train", art_dir)
        params = judge_training.train_judge(
            train.video, train.motion, train.attributes, settings, show_progress
        )
        _write(path, params)
    return Judge(net, params)


def default_cache_dir(cache_dir: epath.PathLike | None = None) -> epath.Path:
    """The folder given, else the environment variable VDD_CACHE, else ~/.cache/vdd.

    Where there is no home: a temporary folder, which goes when this process ends.
    """
    named = cache_dir or os.environ.get(CACHE_VARIABLE)
    return files.expand(named) if named else files.cache_dir() or _temporary_cache()


@functools.cache
def _temporary_cache() -> epath.Path:
    folder = tempfile.TemporaryDirectory(prefix="vdd-")
    atexit.register(folder.cleanup)
    return epath.Path(folder.name)


def fingerprint(art: str, art_dir: epath.PathLike | None, settings: JudgeSettings) -> str:
    """16 hex digits that stand for the art's pixels, the settings and the training code."""
    digest = hashlib.sha256(Path(judge_training.__file__).read_bytes())
    digest.update(json.dumps(dataclasses.asdict(settings), sort_keys=True).encode())
    drawing = sprites.load_art(art, art_dir)
    digest.update(repr(drawing.order).encode())
    for part, factor in drawing.order:
        for variant in range(sprites.NUM_VARIANTS) if factor else (1,):
            for motion in range(len(sprites.MOTIONS)):
                digest.update(drawing.part_frames(part, variant, motion).tobytes())
    return digest.hexdigest()[:16]


def _read(path: epath.Path) -> Params | None:
    """The parameters kept at a place; None where there are none, or a damaged file."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as arrays:
            return flax.traverse_util.unflatten_dict(dict(arrays), sep="/")
    except (OSError, ValueError, zipfile.BadZipFile):
        return None


def _write(path: epath.Path, params: Params) -> None:
    """Keeps the parameters where that can be; else a warning, as they are at hand."""
    buffer = io.BytesIO()
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    arrays: dict[str, Any] = {name: np.asarray(array) for name, array in flat.items()}
    np.savez(buffer, **arrays)
    try:
        files.write(path, buffer.getvalue())
    except UserError as error:
        warnings.warn(f"cannot keep the judge: {error}", stacklevel=2)


def accuracies(judge: Judge, arrays: sprites.SpritesArrays) -> dict[str, float]:
    """Fraction of clips named rightly, one entry for the motion and one for each attribute."""
    verdict = judge(arrays.video)
    shares = {"motion": accuracy(verdict.motion, arrays.motion)}
    for column, name in enumerate(sprites.ATTRIBUTES):
        shares[name] = accuracy(verdict.attributes[:, column], arrays.attributes[:, column])
    return shares


def main(arguments: list[str] | None = None) -> int:
    """Trains the judge unless it is cached, and prints how right it is on real test clips."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--art", default="lpc", help="lpc, builtin or vivid")
    parser.add_argument("--art_dir", help=f"LPC sheets (default: ${sprites.ART_DIR_VARIABLE})")
    parser.add_argument("--cache", help=f"default: ${CACHE_VARIABLE}, else ~/.cache/vdd")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    try:
        judge = load_or_train(options.art, options.art_dir, options.cache)
        test = sprites.load_arrays(options.art, "test", options.art_dir)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"judge of {options.art} ready after {time.perf_counter() - start:.0f} s")
    for name, share in accuracies(judge, test).items():
        print(f"{name:>12s} {share:.2%} of {len(test.motion)} real test clips")
    return 0


if __name__ == "__main__":
    sys.exit(main())
