"""A folder of one's own, for `vdd train --data FOLDER`: what is in it, and what to do about it.

`look` tells what a folder holds and reads no more than headers. `choose` is what follows from that:
how clips are prepared, and what of the recipe is otherwise. `arguments` makes of both the flags of
`vdd train` that say the same. So a run with `--data` is a run like any other.
"""

import statistics
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from etils import epath

from vdd import files, runs
from vdd.data import decoding, frame_folders, prepare, sheet_files
from vdd.data.universal_lpc import sheets
from vdd.data.video_folder.clips import Clip, find_clips
from vdd.errors import UserError

FRAMES, SHEETS = "folders of frames", "sprite sheets"
_LOOKED_AT = 200  # clips whose headers are read, spread over all
_PLACES = 16  # along each side of the reference, whatever the size in pixels
_CALM = Fraction(25, 2)  # frames a second of the recipe: of more only each n-th is taken
_FRAMES = (20, 16, 12, 8)  # of a window, the best first
_IN_MEMORY = 4 << 30  # bytes of windows; more are read from their files


class Found(NamedTuple):
    """What a folder holds."""

    kind: str  # "clips" (files), FRAMES or SHEETS
    clips: int
    identities: int
    skipped: int  # files that look like clips and are none
    height: int  # the middle one of all clips, as are the next
    width: int
    fps: Fraction
    lengths: tuple[int, ...]  # frames of the clips that were looked at
    alpha: bool  # whether anything is transparent


class Chosen(NamedTuple):
    """What is done with what was found; `size` and all after it are of clips alone."""

    recipe: str  # the config, its variant after a colon
    steps: int
    size: int = 0  # pixels of a side
    fps: Fraction = Fraction(0)
    frames: int = 0  # of a window
    stride: int = 0  # frames from one window to the next
    every: tuple[int, ...] = ()  # windows of each n-th frame
    split_by: str = ""
    validation: float = 0.0  # fraction of identities or clips
    test: float = 0.0
    windows: int = 0  # about
    batch: int = 0


def look(folder: Path) -> Found:
    """What a folder holds.

    Raises:
      UserError: no such folder, nothing in it to learn from, one clip alone, or sheets that are not
        laid out as those of Universal LPC.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    if found := _collection(folder):
        return found
    clips, skipped = find_clips(folder)
    kind = "clips"
    if len(clips) < 3:  # a preview or two beside folders of frames are not what is meant
        folders = [Clip(*x) for x in frame_folders.find(folder)]
        if len(folders) > len(clips):
            kind, clips = FRAMES, folders
    if not clips:
        _refuse_loose_sheets(folder)
        left = f" ({skipped[0].path}: {skipped[0].reason})" if skipped else ""
        raise UserError(
            f"{folder}: no videos, GIFs, folders of frames or sprite sheets on LPC's grid{left}"
        )
    if len(clips) < 3:
        one = "one clip" if len(clips) == 1 else "two clips"
        raise UserError(f"{folder}: {one} only; three or more are needed, the more the better")
    return _measured(folder, kind, clips, len(skipped))


def _collection(folder: Path) -> Found | None:
    """The sheets of Universal LPC below a folder; None where there is no body to dress."""
    try:
        root = sheets.find_art_dir(folder)
    except UserError:
        return None
    names = sheets.sheet_names(root)
    side, fps = sheets.SIZE, Fraction(sheets.FPS)
    return Found(SHEETS, len(names), len(names), 0, side, side, fps, (), alpha=True)


def _refuse_loose_sheets(folder: Path) -> None:
    pictures = sorted(path for path in folder.rglob("*.png") if not path.name.startswith("."))
    if any(sheet_files.is_lpc(epath.Path(path)) for path in pictures[:_LOOKED_AT]):
        raise UserError(
            f"{folder}: sheets on LPC's grid, but no folder body/male or body/female: characters "
            "are dressed from folders body, legs, feet, torso, hair, as in the collection "
            "github.com/makrohn/Universal-LPC-spritesheet"
        )


def _measured(folder: Path, kind: str, clips: Sequence[Clip], skipped: int) -> Found:
    headers, reason = [], ""
    for clip in clips[:: -(-len(clips) // _LOOKED_AT)]:
        try:
            headers.append(_header(folder, kind, clip))
        except UserError as error:
            reason, skipped = str(error), skipped + 1
    if not headers:
        raise UserError(f"{folder}: nothing in it can be read: {reason}")
    heights, widths, rates, lengths, alphas = zip(*headers, strict=True)
    middle = statistics.median_low
    identities = len({clip.identity for clip in clips})
    return Found(
        kind, len(clips), identities, skipped, middle(heights), middle(widths), middle(rates),
        tuple(sorted(lengths)), any(alphas),
    )  # fmt: skip


def _header(folder: Path, kind: str, clip: Clip) -> tuple[int, int, Fraction, int, bool]:
    """Height, width, frames a second, frames, and whether there is alpha; the first is decoded."""
    path = epath.Path(folder / clip.path)
    if kind == FRAMES:
        pictures = frame_folders.pictures(Path(path))
        path, length, rate = epath.Path(pictures[0]), len(pictures), frame_folders.FPS
    else:
        times = decoding.read_times(path)
        length = times.frames
        first, end = (times.stamps or [Fraction(0)])[0], times.end
        rate = Fraction(length) / (end - first) if end and end > first else Fraction(25)
    with decoding.open_video(path, lenient=True, alpha=True) as video:
        frame = next(video.frames, None)
        if frame is None:
            raise UserError(f"{path}: no frames")
        alpha = frame.scaled(frame.height, frame.width).shape[-1] == 4
    return frame.height, frame.width, rate.limit_denominator(1001), length, alpha


def choose(found: Found) -> Chosen:
    """What is done with what was found.

    Raises:
      UserError: clips are too short.
    """
    if found.kind == SHEETS:
        return Chosen("universal_lpc.py", 20_000)
    size = 64 if min(found.height, found.width) < 112 else 128
    fps, frames = _window(found)
    ticks = [int(n * fps / found.fps) for n in found.lengths]
    room = statistics.median_low(ticks)
    every = tuple(n for n in (1, 2, 3) if n == 1 or (frames - 1) * n < room)
    stride = frames // 2
    spans = [(frames - 1) * n + 1 for n in every]
    each = sum(max(n - span, -stride) // stride + 1 for n in ticks for span in spans)
    windows = each * found.clips // len(ticks)
    groups = found.identities if found.identities > 2 else found.clips
    few = groups < 20  # then nothing is kept for a test, and two groups for validation
    validation = max(2 / groups, 0.1) if groups > 3 else 1 / groups
    batch = max(min(8, int(windows * (1 - validation))), 2)
    return Chosen(
        "talking_head.py:small", 4000 if size == 64 else 5500, size, fps, frames, stride, every,
        "identity" if found.identities > 2 else "clip", round(validation, 3), 0.0 if few else 0.1,
        windows, batch,
    )  # fmt: skip


def _window(found: Found) -> tuple[Fraction, int]:
    """Frames a second and frames of a window: for three quarters of the clips there is room."""
    usual = found.fps / max(round(found.fps / _CALM), 1)
    for fps, frames in ((usual, _FRAMES[0]), *((found.fps, n) for n in _FRAMES)):
        fitting = sum(int(n * fps / found.fps) >= frames for n in found.lengths)
        if 4 * fitting >= 3 * len(found.lengths):
            return fps.limit_denominator(1001), frames
    raise UserError(
        f"clips of {statistics.median_low(found.lengths)} frames are too short: most have to have "
        f"{_FRAMES[-1]} or more"
    )


def cadence(steps: int) -> dict[str, int]:
    """What of `config.train` follows from the number of steps."""
    return {
        "num_steps": steps,
        "checkpoint_every": max(steps // 8, 1),
        "eval_every": max(steps // 4, 1),
        "sample_every": max(steps // 2, 1),
    }


def changes(chosen: Chosen) -> dict[str, object]:
    """What of the recipe's config is otherwise, by key."""
    changed: dict[str, object] = {f"train.{key}": n for key, n in cadence(chosen.steps).items()}
    if not chosen.size:
        return changed
    patch = chosen.size // _PLACES
    held = chosen.windows * chosen.frames * chosen.size**2 * 3
    return changed | {
        "data.source": "in_memory" if held < _IN_MEMORY else "grain",
        "data.frames": chosen.frames,
        "model.motion_window": chosen.frames // 2,
        "model.latents.size": (chosen.size, chosen.size, 3),
        "model.latents.patch": patch,
        "model.content.dim": 3 * patch**2,
        "model.denoiser.readout.patch": patch,
        "rates.target_bits_per_clip": 500.0 * patch**2,  # as many a pixel as of faces
        "train.batch_size": chosen.batch,
    }


def recipes() -> Path:
    """The folder of configs: beside the package, or within it where it was installed."""
    package = Path(__file__).parent
    return package / "configs" if (package / "configs").is_dir() else package.parent / "configs"


def arguments(
    folder: str, workdir: str | None, steps: int | None = None, minutes: float | None = None
) -> list[str]:
    """The flags of `vdd train` that say what was chosen for a folder; tells it too.

    With `minutes` the steps are found out later, when there is a step to be timed.

    Raises:
      UserError: as `look` and `choose`.
    """
    source = Path(files.expand(folder))
    workdir = workdir or f"runs/{source.resolve().name}"
    files.check_outside(workdir, source)
    found = look(source)
    chosen = choose(found)
    chosen = chosen._replace(steps=steps or runs.steps_begun(workdir) or chosen.steps)
    length = f"as many steps as take {minutes:g} minutes" if minutes else f"{chosen.steps} steps"
    for line in told(source, found, chosen, length):
        print(line, flush=True)
    changed = changes(chosen)
    if found.kind == SHEETS:
        changed["data.art_dir"] = str(source)
    else:
        changed["data.data_dir"] = f"{workdir.rstrip('/')}.data"
    given = [f"--config={recipes() / chosen.recipe}", f"--workdir={workdir}"]
    return given + [f"--config.{key}={value}" for key, value in changed.items()]


def told(folder: Path, found: Found, chosen: Chosen, length: str) -> list[str]:
    """Both in words; `length` is that of the training."""
    if found.kind == SHEETS:
        return [
            f"found {found.clips} sprite sheets on LPC's grid in {folder}",
            f"chosen: {chosen.recipe}, clips of {sheets.SIZE} x {sheets.SIZE} pixels with alpha, "
            f"drawn as training needs them; {length}",
        ]
    shortest, longest = found.lengths[0], found.lengths[-1]
    lengths = f"{shortest} to {longest}" if shortest < longest else f"{longest}"
    left_out = f"; {found.skipped} files cannot be used" if found.skipped else ""
    spaced = ", ".join(("every", "every second", "every third")[n - 1] for n in chosen.every)
    return [
        f"found {found.clips} {found.kind} of {found.identities} identities in {folder}: "
        f"{found.width} x {found.height} pixels, {float(found.fps):g} frames a second, "
        f"{lengths} frames, {'alpha, laid on black' if found.alpha else 'no alpha'}{left_out}",
        f"chosen: the middle square at {chosen.size} x {chosen.size} pixels, "
        f"{float(chosen.fps):g} frames a second; windows of {chosen.frames} frames, of {spaced} "
        f"frame, {chosen.stride} from one to the next: about {chosen.windows}",
        f"chosen: {chosen.recipe} in patches of {chosen.size // _PLACES}, batches of "
        f"{chosen.batch}, {length}; split by {chosen.split_by}, {chosen.validation:.0%} for "
        f"validation, {chosen.test:.0%} for test",
    ]


def prepared(folder: str, data_dir: str) -> None:
    """Sees to it that the clips of a folder are prepared; goes on where it was interrupted.

    Raises:
      UserError: as `look`, `choose` and `prepare.prepare`.
    """
    source = Path(files.expand(folder))
    found = look(source)
    if found.kind == SHEETS:
        return
    chosen = choose(found)
    if found.kind == FRAMES:
        source = frame_folders.joined(source, Path(files.expand(f"{data_dir}.clips")))
    options = prepare.parser().parse_args([
        f"--source={source}", f"--out={data_dir}", f"--size={chosen.size}", f"--fps={chosen.fps}",
        f"--frames={chosen.frames}", f"--stride={chosen.stride}", f"--split-by={chosen.split_by}",
        f"--validation={chosen.validation}", f"--test={chosen.test}", "--workers=0",
        "--every", *map(str, chosen.every),
    ])  # fmt: skip
    try:
        prepare.prepare(options)
    except UserError as error:
        raise UserError(str(error).replace("another --out", "another --workdir")) from error
