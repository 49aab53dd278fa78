"""What became of a folder of videos, as JSON and as a page of text."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from vdd.data.video_folder.clips import Skipped
from vdd.data.video_folder.examples import Used
from vdd.data.video_folder.splits import SPLITS
from vdd.data.video_folder.store import Outcome
from vdd.values import Json

FILE = "report.json"


def report(
    chosen: Json,
    used: Sequence[Used],
    skipped: Sequence[Skipped],
    outcomes: Iterable[Outcome],
    seconds: float,
) -> Json:
    """All that is to be known of a data set.

    Args:
      chosen: the settings.
      used: clips with windows.
      skipped: files without.
      outcomes: of all clips that were read, also those without windows.
      seconds: that reading them took, perhaps in several processes and not all of them now.
    """
    read = list(outcomes)
    decoded, busy = sum(one.decoded for one in read), sum(one.took for one in read)
    return {
        "settings": chosen,
        "splits": {split: _counts(used, split) for split in SPLITS},
        "decoding": {
            "frames": decoded,
            "seconds": round(seconds, 2),
            "process_seconds": round(busy, 2),
            "frames_per_process_second": round(decoded / busy, 1) if busy else None,
        },
        "clips": [
            {
                "path": one.clip.path,
                "clip": one.number,
                "identity": one.identity,
                "identity_name": one.clip.identity,
                "split": one.split,
                "fps": round(one.outcome.fps, 3),
                "height": one.outcome.height,
                "width": one.outcome.width,
                "frames": one.outcome.decoded,
                "kept_frames": one.outcome.kept,
                "windows": len(one.outcome.windows),
            }
            for one in used
        ],
        "skipped": [one._asdict() for one in skipped],
    }


def sealed(made: Json) -> str:
    """The text of the file, with a checksum of all else in it, as a copy of it has no marks."""
    return json.dumps({**made, "sha256": _digest(made)}, indent=1)


def is_of(path: Path, chosen: Json) -> bool:
    """Whether a file is a report of these settings, as it was written."""
    try:
        made = json.loads(path.read_text())
        return made.pop("sha256") == _digest(made) and made["settings"] == chosen
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _digest(made: Json) -> str:
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


def table(used: Sequence[Used], skipped: Sequence[Skipped]) -> str:
    """What each split holds, and what was skipped and why."""
    lines = [f"{'split':<12}{'clips':>8}{'identities':>12}{'windows':>9}"] if used else []
    for split in SPLITS if used else ():
        clips, identities, windows = _counts(used, split).values()
        lines.append(f"{split:<12}{clips:>8}{identities:>12}{windows:>9}")
    if skipped:
        width = max(len(one.path) for one in skipped)
        lines += ["", f"skipped: {len(skipped)}"]
        lines += [f"  {one.path:<{width}}  {one.reason}" for one in skipped]
    return "\n".join(lines)


def summary(made: Json, out: Path) -> str:
    """The last line: what was done in what time, and where it lies."""
    decoding = made["decoding"]
    return (
        f"\n{decoding['frames']} frames read in {decoding['seconds']:.1f} s "
        f"({decoding['frames_per_process_second']} a second and process), "
        f"{made['bytes'] / 1e6:.0f} MB in {out}; all of it in {out / FILE}"
    )


def _counts(used: Sequence[Used], split: str) -> dict[str, int]:
    own = [one for one in used if one.split == split]
    return {
        "clips": len(own),
        "identities": len({one.identity for one in own}),
        "windows": sum(len(one.outcome.windows) for one in own),
    }
