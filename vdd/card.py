"""The model card of an exported run, `README.md`: what it is, its data, figures and licence."""

import json
import re
from collections.abc import Iterator

from etils import epath

from vdd import files, runs, summary
from vdd.data import datasets
from vdd.errors import UserError
from vdd.run import Run

FILE = "README.md"
LEGAL = ("LICENSE", "AUTHORS")  # what a licence may ask to be passed on
_TAGS = ("vdd", "jax", "video", "diffusion", "disentanglement", "motion-transfer")


def licence_of(source: epath.Path, stated: str | None) -> str | None:
    """The licence that the export of a run is passed on under; None where nobody has said.

    Args:
        source: the run directory.
        stated: by the user; None takes that of the data.

    Raises:
        UserError: the card that lies with the run says so already.
    """
    if stated and _front(_own(source)):
        raise UserError(f"{source / FILE} says its licence already: change it there")
    return stated or datasets.find_licence(runs.load_config(source).data)


def check_licence(source: epath.Path, stated: str | None) -> None:
    """Raise a UserError for a run that cannot be passed on, as nobody has said its licence."""
    if licence_of(source, stated) is None and not _front(_own(source)):
        raise UserError(
            f"{source}: under which licence may its data be passed on? Say --license ID, such as"
            " cc-by-4.0, or other"
        )


def write(run: Run, source: epath.Path, target: epath.Path, licence: str | None) -> None:
    """Writes the card of an export, whose reports are there, and copies LICENSE and AUTHORS.

    A card that lies with the run goes along; one without front matter gets it.

    Raises:
        UserError: they cannot be read or written.
    """
    for name in LEGAL:
        # What is drawn by art stays under its licence, whoever trained on it.
        for place in (source, runs.PRETRAINED / run.config.data.dataset):
            if (place / name).exists():
                files.write(target / name, (place / name).read_bytes())
                break
    own = _own(source)
    front = _front(own) or _front_matter(licence)
    body = own.removeprefix(front) or "\n".join(_body(run, target, licence))
    files.write(target / FILE, front + body)


def _own(source: epath.Path) -> str:
    card = source / FILE
    return card.read_text() if card.exists() else ""


def _front(card: str) -> str:
    """The front matter of a card; empty where it has none."""
    match = re.match(r"---\n.*?\n---\n+", card, re.DOTALL)
    return match[0] if match else ""


def _front_matter(licence: str | None) -> str:
    lines = [f"license: {licence}"] if licence else []
    lines += ["library_name: vdd", "tags:", *(f"- {tag}" for tag in _TAGS)]
    return "\n".join(["---", *lines, "---", "", ""])


def _body(run: Run, target: epath.Path, licence: str | None) -> Iterator[str]:
    height, width, channels = run.model.latents.size
    config, book = run.config, run.model.quantizer.codebook
    yield f"# A vdd model of {runs.data_name(config)}\n"
    yield "Takes clips apart into motion and content, and draws any content in any motion:\n"
    yield '```python\nimport vdd\n\nrun = vdd.load("hf://owner/name")  # or this folder'
    yield "video = run.transfer(content_clips, motion_clips)\n```\n"
    size = f"{runs.count_parameters(run.params):,} parameters"
    yield f"**Model.** {size}, averaged at step {run.step}."
    yield f"Clips of {width} x {height} pixels with {channels} channels; {book.num_groups} x"
    yield f"{book.num_codes} codes a frame. `config.json` has the settings of the training.\n"
    yield f"**Data.** {runs.data_name(config)}, its {datasets.trained_split(config.data)} split.\n"
    yield "**Figures**, by `vdd evaluate`:\n\n```"
    folders = [target / "eval", target / "prior" / "eval"]
    reports = [file for at in folders if at.is_dir() for file in sorted(at.glob("*.json"))]
    for report in reports:
        yield from summary.figures(json.loads(report.read_text()))
    yield "```\n" if reports else "none yet\n```\n"
    stated = licence or "not stated"
    beside = [name for name in LEGAL if (target / name).exists()]
    yield f"**Licence.** {stated}{'; see ' + ', '.join(beside) if beside else ''}.\n"
