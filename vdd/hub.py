"""Models on the Hugging Face Hub: `hf://owner/name`, read and written by the extra `hub`.

What comes from there is a stranger's. Only the files of an exported run are asked for, no more of
them than `MOST` says, and nothing in them is run: `vdd.run.load` compares them with the model that
their config describes.
"""

import contextlib
import fnmatch
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from etils import epath

from vdd.errors import UserError

SCHEME = "hf://"
# All that an exported run has; patterns of names, without a folder of that name's own.
FILES = (
    "config.json", "model.safetensors", "motions.json", "README.md", "LICENSE", "AUTHORS",
    "eval/*.json", "prior/config.json", "prior/model.safetensors", "prior/source.json",
    "prior/eval/*.json",
)  # fmt: skip

_WEIGHTS = ".safetensors"


class Most(NamedTuple):
    """Bytes that are downloaded at most."""

    weights: int = 4 << 30  # of a file of weights
    text: int = 64 << 20  # of any other file
    in_all: int = 6 << 30  # of a model


MOST = Most()
_MOST_NAMES = 10_000  # of files in a model, whatever they are

_NAME = r"[A-Za-z0-9][\w.-]*/[\w.-]+"
_ADDRESS = re.compile(rf"hf://({_NAME})(?:@((?!.*\.\.)[\w./-]+))?", re.ASCII)
_SNAPSHOT = re.compile(r"(?:.*/)?models--([^/]+?)--([^/]+)/snapshots/([0-9a-f]{40})(?:/.*)?")
_LOG_IN = "`hf auth login`"

_found: dict[str, epath.Path] = {}  # what an address stood for, for as long as this process lasts


class Address(NamedTuple):
    """What `hf://owner/name@revision` names."""

    name: str  # owner/name
    revision: str | None  # a branch, a tag or a commit; None: the main branch


def is_address(path: epath.PathLike) -> bool:
    """Whether this names a model on the Hub, well or badly."""
    return os.fspath(path).startswith(SCHEME)


def parse(address: str) -> Address:
    """The parts of an address.

    Raises:
        UserError: it is none.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UserError(
            f"{address}: a model on the Hub is hf://owner/name or hf://owner/name@COMMIT"
        )
    return Address(match[1], match[2])


def find(address: str, anew: bool = False) -> epath.Path:
    """The folder of a model in the Hub library's own cache; downloaded if it is not there.

    Prints the address with the commit that it stood for. Where the Hub cannot be reached, what was
    downloaded whole before will do.

    Args:
        address: `hf://owner/name`, or with a revision `hf://owner/name@revision`.
        anew: ask the Hub, also where this process has done so before.

    Raises:
        UserError: no such model, one of more than `MOST`, no right to read it, no connection, or
            not the extra `hub`.
    """
    if address in _found and not anew:
        return _found[address]
    name, revision = parse(address)
    library = _library()
    with _told(address, "read"):
        told = _check_sizes(library, name, revision)
        folder = library.snapshot_download(
            name, revision=revision, allow_patterns=list(FILES), tqdm_class=_counting(told)
        )
    path = epath.Path(folder)
    for file in FILES[:2]:
        if not (path / file).exists():
            raise UserError(f"{address}: not a model that vdd can read (it has no {file})")
    print(address_of(path))
    _found[address] = path
    return path


def _check_sizes(library: ModuleType, name: str, revision: str | None) -> int:
    """Refuses a model of more than `MOST`; the bytes of its files, as the Hub tells them.

    Where it does not answer, what it may send: what is wrong the download tells, if there is one.
    """
    try:
        # Asked once, and not again for half a minute: without a network the cache has to do.
        told = library.HfApi().model_info(name, revision=revision, files_metadata=True, timeout=10)
        listed = told.siblings or []
    except Exception:  # the library's own, and those of what it connects by
        return MOST.in_all
    if len(listed) > _MOST_NAMES:
        raise UserError(f"has more than {_MOST_NAMES:,} files")
    sizes = {
        file.rfilename: file.size or 0
        for file in listed
        if any(fnmatch.fnmatch(file.rfilename, name) for name in FILES)
    }
    for path, size in sizes.items():
        most = MOST.weights if path.endswith(_WEIGHTS) else MOST.text
        if size > most:
            raise UserError(f"{path} has {_told_size(size)}, more than {_told_size(most)}")
    if sum(sizes.values()) > MOST.in_all:
        raise UserError(
            f"has {_told_size(sum(sizes.values()))}, more than {_told_size(MOST.in_all)} in all"
        )
    return sum(sizes.values())


def _told_size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _counting(most: int) -> type:
    """A progress bar of the library's that ends a download of more than so many bytes.

    The library tells its bars of each piece before that is written, and takes no other hook.
    """
    from huggingface_hub import utils

    class Counting(utils.tqdm):
        def __init__(self, *args: Any, **kwargs: Any):
            self.bytes = 0 if kwargs.get("unit") == "B" else None
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            if self.bytes is not None:
                self.bytes += int(n or 0)
                if self.bytes > most:
                    raise UserError(f"sends more than the {_told_size(most)} that it tells of")
            return super().update(n)

    return Counting


def address_of(path: epath.PathLike) -> str | None:
    """The address, by commit, of a folder that `find` gave, or one in it; None for any other."""
    match = _SNAPSHOT.fullmatch(os.fspath(path))
    return f"{SCHEME}{match[1]}/{match[2]}@{match[3]}" if match else None


def check(name: str) -> None:
    """Tells before any work whether something can be pushed there, as far as that is known here.

    Raises:
        UserError: this is no name, or the extra `hub` is not installed.
    """
    if re.fullmatch(_NAME, name, re.ASCII) is None:
        raise UserError(f"--push {name}: say whose model it is and its name, owner/name")
    _library()


def push(folder: epath.PathLike, name: str) -> str:
    """Makes an exported run a commit of a model on the Hub, which is made if it is not there.

    Of the files of an exported run those that this one does not have are not in the new commit,
    either; any other file stays. What was there before is in the commits before.

    Returns:
        the address, by commit.

    Raises:
        UserError: no right to write there, no connection, or not the extra `hub`.
    """
    check(name)
    api = _library().HfApi()
    with _told(SCHEME + name, "written"):
        api.create_repo(name, exist_ok=True)
        commit = api.upload_folder(
            repo_id=name,
            folder_path=os.fspath(folder),
            allow_patterns=list(FILES),
            delete_patterns=list(FILES),
            commit_message="vdd export",
        )
    return f"{SCHEME}{name}@{commit.oid}"


def _library() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise UserError(
            "models on the Hub need huggingface_hub: pip install 'vdd-video[hub]'"
            " (in a clone: pip install -e '.[hub]')"
        ) from error
    return huggingface_hub


@contextlib.contextmanager
def _told(address: str, done: str) -> Iterator[None]:
    """Whatever the Hub's library raises as one line; nothing else on stderr, but on a terminal."""
    from huggingface_hub import utils

    quiet = not sys.stderr.isatty() and not utils.are_progress_bars_disabled()
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    if quiet:
        utils.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError as error:
        raise UserError(f"{address}: {error}") from error
    except Exception as error:
        raise UserError(f"{address}: {_reason(error, done)}") from error
    finally:
        logger.setLevel(level)
        if quiet:
            utils.enable_progress_bars()


def _reason(error: Exception, done: str) -> str:
    """What is wrong, and what to do."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return f"its owner lets in who asks: do so on its page, then {_LOG_IN}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no such model, or it is private ({_LOG_IN})"
    if isinstance(error, errors.RevisionNotFoundError):
        return "there is no such revision of this model"
    if status in (401, 403):
        return f"no right for it to be {done} ({_LOG_IN}, with a token that may)"
    if status is not None:
        return f"cannot be {done}: the Hub answers {status}"
    if isinstance(error, errors.LocalEntryNotFoundError):
        return "the Hub cannot be reached, and it was not downloaded whole before"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be {done} ({error.strerror})"
    text = (str(error).strip().splitlines() or [""])[0]
    return f"the connection broke off ({type(error).__name__}: {text}): run it again"
