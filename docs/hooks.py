"""What `mkdocs build` does beside its own work: pages from experiments/, links out of docs/.

Pages are written to be read in the repository too, where `../experiments/notebook/judge.md` and
`../vdd/method/rates.py` are files. On the site the first is a page, and the second the
documentation of a module, where there is any.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\./[^)#\s]*)(#[^)\s]*)?\)")
_IMAGE = re.compile(r"(!\[[^\]]*\]\()((?:\.\./)+)(experiments/[^)]+\))")


def on_files(files, config):
    """Adds the overview of the experiments, the notebook and the pictures."""
    for path in (
        *[ROOT / "experiments/README.md"],
        *(ROOT / "experiments/notebook").glob("*.md"),
        *(ROOT / "experiments/pictures").iterdir(),
    ):
        name = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Turns links to files of the repository into links within the site, or into their text."""
    place = posixpath.dirname(page.file.src_uri)

    def linked(match: re.Match) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        inside = posixpath.normpath(posixpath.join("docs", place, target))
        if place.startswith("experiments"):
            inside = posixpath.normpath(posixpath.join(place, target))
        uri = inside.removeprefix("docs/")
        if files.get_file_from_path(uri):
            return f"[{text}]({posixpath.relpath(uri, place or '.')}{anchor})"
        module = inside.removesuffix(".py").replace("/", ".")
        return f"[{text}][{module}]" if module in documented() else text

    markdown = _LINK.sub(linked, markdown)
    back = posixpath.relpath(".", place or ".")
    return _IMAGE.sub(lambda m: f"{m[1]}{'' if back == '.' else back + '/'}{m[3]}", markdown)


def documented() -> set[str]:
    """The modules that the pages of docs/api document."""
    pages = (path.read_text() for path in (ROOT / "docs/api").glob("*.md"))
    return {name for page in pages for name in re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)}
