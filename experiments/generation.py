"""Is motion that the prior makes up like real motion? Generated Sprites clips, judged.

    python experiments/generation.py sprites [--prior PRIOR] [--split validation]
        [--picture FILE.gif] [--tiny]

Every clip of the split lends its content, and the prior makes up 16 frames of motion: two rounds of
8, as many as real clips have. Each round is judged for itself.

- *motion*: the judge names one of the nine for every clip, so that alone says nothing. A frame is
  *right* if, of the 72 real frames of that character, none is nearer to it (squared error) than
  that of the judged motion at that place. A round is right if all its 8 frames are.
- *alike*: the second round is of the same motion as the first. What follows the last frame of a
  clip is not in the data; the prior was told that the clip begins anew.
- *diversity*: entropy of the judged motions over all clips; at best ln 9 = 2.197 nats.
- *content*: attributes that the judge sees, against those of the clip that lent them.
- *distribution*: Frechet distance of the judge's 33 logits, between halves of the split that
  share no clip: generated against real, rebuilt (same decoder, real codes) against real, and real
  against real, which is what a perfect model would have.
- *continuation*: 3 real frames, encoded by themselves, and the prior goes on. From the beginning of
  a clip, judged as a whole and by its other frames; and from anywhere in it, up to its last frame.
- *long*: rounds of 64 frames that are right and of the motion of the first.
- *codes* (`--codes`: these figures alone, in seconds): the same of what the prior says, without
  drawing it. A frame is right if its codes are such as real clips have in that motion at that
  place.
"""

import argparse
from typing import Any

import numpy as np
from einops import rearrange
from etils import epath
from made_up_motion import (
    BATCH,
    Clips,
    Models,
    conditional_entropy,
    draw_codes,
    encoded,
    features,
    frames_right,
    generated,
    load,
    rebuild,
)

from vdd import markdown
from vdd.data import sprites
from vdd.data.sprites import MOTIONS, NUM_FRAMES
from vdd.evaluation import gallery, pictures
from vdd.evaluation.inference import clip_keys
from vdd.evaluation.metrics import frechet_distance
from vdd.evaluation.report import machine
from vdd.tasks.prior import evaluation as prior_evaluation

GIVEN, LONG = 3, 64
# Streams of random keys, beside that of what is rebuilt.
_NEW, _BEGUN, _ANYWHERE, _LONG, _CODES = 10, 11, 12, 13, 15


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--prior", help="as for `vdd generate`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="validation", choices=sprites.SPLITS)
    parser.add_argument("--clips", type=int, default=0, help="of the split; 0: all")
    parser.add_argument("--long", type=int, default=256, help="clips of 64 frames")
    parser.add_argument("--codes", action="store_true", help="of the codes alone")
    parser.add_argument("--picture", help="where a GIF of 8 characters goes; no figures then")
    parser.add_argument("--tiny", action="store_true", help="a few clips, for tests")
    options = parser.parse_args(arguments)
    models = load(options.run, options.prior, options.split)
    if options.picture:
        draw(models, epath.Path(options.picture), options.seed)
        return
    count = len(models.clips.motion)
    rows = np.random.default_rng(options.seed).permutation(count)
    rows = rows[: 8 if options.tiny else options.clips or count]
    print(*machine().values(), sep=", ")
    name = f"{options.run} at step {models.run.step}, prior at step {models.prior.step}"
    print(f"{name}, {len(rows)} {options.split} clips, seed {options.seed}")
    print(markdown.table(("", "", "")))
    clips = Clips(rows, *encoded(models, rows, 0, NUM_FRAMES))
    for table in (rates, by_codes) if options.codes else (rates, by_codes, made_up, continued):
        show(table(models, clips, options.seed))
    if options.codes:
        return
    some = Clips(*(part[: options.long] for part in clips))
    show(long(models, some, options.seed))


def show(lines: list[tuple[str, str, str]]) -> None:
    """Rows of the table."""
    for line in lines:
        print(markdown.row(line), flush=True)


# ---- tables: what, measured, best possible


def rates(models: Models, clips: Clips, seed: int) -> list[tuple[str, str, str]]:
    """Bits a frame of real clips."""
    del seed
    rate = prior_evaluation.rates(models.prior.model, models.prior.params, clips.codes, BATCH)
    best = np.log2(len(MOTIONS)) / NUM_FRAMES
    return [
        ("bits a frame, prior", f"{rate['prior_bits_per_frame']:.3f}", f"{best:.3f}"),
        ("bits a frame, each alone", f"{rate['joint_entropy_bits_per_frame']:.3f}", ""),
    ]


def by_codes(models: Models, clips: Clips, seed: int) -> list[tuple[str, str, str]]:
    """What is made up, and what goes on, told by the codes."""
    motion, keys = models.clips.motion[clips.rows], clip_keys(seed, _CODES, clips.rows)
    seen: dict[tuple, set] = {}
    for label, clip in zip(motion.tolist(), clips.codes, strict=True):
        for place, code in enumerate(clip.tolist()):
            seen.setdefault(tuple(code), set()).add((label, place))

    def right(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return np.array(
            [
                [(m, t % NUM_FRAMES) in seen.get(tuple(c), ()) for t, c in enumerate(clip.tolist())]
                for m, clip in zip(labels.tolist(), codes, strict=True)
            ]
        )

    given = (models.prior.model, models.prior.params, keys)
    new = np.asarray(draw_codes(*given, LONG))
    by_motion = np.stack([right(new, np.full(len(new), m)) for m in range(len(MOTIONS))])
    best = by_motion[:, :, :NUM_FRAMES].sum(2).argmax(0)  # the motion that explains most frames
    explained = by_motion[best, np.arange(len(new))]
    rounds = rearrange(explained, "n (r t) -> n r t", t=NUM_FRAMES).all(2)
    text = ", ".join(f"{100 * share:.1f}" for share in rounds.mean(0))
    share = np.bincount(best, minlength=len(MOTIONS)) / len(best)
    entropy = abs(np.sum(share * np.log(np.where(share > 0, share, 1))))
    _, start = encoded(models, clips.rows, 0, GIVEN)
    on = right(np.asarray(draw_codes(*given, NUM_FRAMES, start)), motion)[:, GIVEN:]
    return [
        (f"codes: rounds right of {LONG} frames, %", text, "100"),
        ("codes: entropy of motions, nats", f"{entropy:.3f}", "2.197"),
        (f"codes: goes on after {GIVEN} frames, all others right", percent(on.all(1)), "100 %"),
    ]


def made_up(models: Models, clips: Clips, seed: int) -> list[tuple[str, str, str]]:
    """Motion from nothing, two rounds."""
    rows, content, codes = clips
    video = generated(models, rows, content, None, 2 * NUM_FRAMES, seed, _NEW)
    first, second = video[:, :NUM_FRAMES], video[:, NUM_FRAMES:]
    verdict, later = models.referee(first), models.referee(second)
    right = frames_right(models, rows, first, verdict.motion)
    right_later = frames_right(models, rows, second, verdict.motion)
    alike = verdict.motion == later.motion
    share = np.bincount(verdict.motion, minlength=len(MOTIONS)) / len(rows)
    entropy = abs(np.sum(share * np.log(np.where(share > 0, share, 1))))
    seen = verdict.attributes == models.clips.attributes[rows]
    half, other = np.array_split(np.arange(len(rows)), 2)
    real = models.referee(models.clips.video[rows])
    rebuilt = models.referee(rebuild(models, rows, content, codes, seed))
    distances = [
        frechet_distance(features(a)[half], features(b)[other])
        for a, b in ((verdict, real), (rebuilt, real), (real, real), (verdict, rebuilt))
    ]
    return [
        ("frames right", percent(right), "100 %"),
        ("first rounds right", percent(right.all(1)), "100 %"),
        ("second round judged alike", percent(alike), "100 %"),
        ("second rounds right and alike", percent(right_later.all(1) & alike), "100 %"),
        ("judge's H(y given x), nats", f"{conditional_entropy(verdict):.4f}", "0"),
        ("entropy of motions, nats", f"{entropy:.3f}", "2.197"),
        ("rarest and commonest motion", f"{share.min():.3f} to {share.max():.3f}", "0.111"),
        ("attributes kept", percent(seen), "100 %"),
        ("all four attributes kept", percent(seen.all(1)), "100 %"),
        ("Frechet distance: generated, real", f"{distances[0]:.3f}", f"{distances[2]:.3f}"),
        ("Frechet distance: rebuilt, real", f"{distances[1]:.3f}", f"{distances[2]:.3f}"),
        ("Frechet distance: generated, rebuilt", f"{distances[3]:.3f}", ""),
    ]


def continued(models: Models, clips: Clips, seed: int) -> list[tuple[str, str, str]]:
    """Motion that goes on from 3 real frames."""
    rows, content, _ = clips
    motion = models.clips.motion[rows]
    _, start = encoded(models, rows, 0, GIVEN)
    begun = generated(models, rows, content, start, NUM_FRAMES, seed, _BEGUN)
    judged = models.referee(begun).motion == motion
    right = frames_right(models, rows, begun, motion)
    found = [
        (f"goes on after {GIVEN} frames, judged", percent(judged), "100 %"),
        (f"goes on after {GIVEN} frames, all others right", percent(right[:, GIVEN:].all(1)), ""),
    ]
    whole = []
    for first in range(1, NUM_FRAMES - GIVEN):
        some = np.arange(first - 1, len(rows), NUM_FRAMES - GIVEN - 1)
        _, start = encoded(models, rows[some], first, GIVEN)
        made = generated(models, rows[some], content[some], start, NUM_FRAMES, seed, _ANYWHERE)
        right = frames_right(models, rows[some], made, motion[some], first)
        whole.append(right[:, GIVEN : NUM_FRAMES - first].all(1))
    anywhere = percent(np.concatenate(whole))
    return [*found, ("goes on from anywhere, all right up to the end", anywhere, "100 %")]


def long(models: Models, clips: Clips, seed: int) -> list[tuple[str, str, str]]:
    """Rounds of long clips that are right, of the motion of the first."""
    rows, content, _ = clips
    video = generated(models, rows, content, None, LONG, seed, _LONG)
    motion = models.referee(video[:, :NUM_FRAMES]).motion
    right = frames_right(models, rows, video, motion)
    by_round = rearrange(right, "n (r t) -> n r t", t=NUM_FRAMES).all(2).mean(0)
    text = ", ".join(f"{100 * share:.1f}" for share in by_round)
    return [(f"rounds right of {LONG} frames ({len(rows)} clips), %", text, "100")]


# ---- what the tables are made of


def percent(right: Any) -> str:
    return f"{100 * np.mean(right):.2f} %"


def draw(models: Models, file: epath.Path, seed: int) -> None:
    """Eight characters, each in a motion made up for it, under the name that the judge gives it."""
    rows = np.random.default_rng(seed).permutation(len(models.clips.motion))[:8]
    content, _ = encoded(models, rows, 0, NUM_FRAMES)
    video = generated(models, rows, content, None, 2 * NUM_FRAMES, seed, _NEW)
    motion = models.referee(video[:, :NUM_FRAMES]).motion
    names = [MOTIONS[label].split("_") for label in motion]
    columns = [(name[0], name[1], clip, False) for name, clip in zip(names, video, strict=True)]
    gallery.write_gif(file, pictures.side_by_side(columns, scale=2))
    print(f"{file}: {file.stat().length / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
