"""The one exception that ends in a clear line instead of a traceback; and what settings may be.

A constructor says of its own fields what they may be (`at_least` and the like), in
`__post_init__`. Who builds it from a config says by `group` under which key it stands there.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from numbers import Real
from typing import Any, TypeVar

T = TypeVar("T")


class UserError(Exception):
    """A mistake that the person at the keyboard can mend.

    `vdd.command` prints its text as one line on stderr and ends with status 2.
    """


def check_address(path: str | os.PathLike[str]) -> None:
    """Refuses what looks like an address, but for gs://, which is read and written like a folder.

    Raises:
      UserError: with what to do instead.
    """
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", os.fspath(path))
    if scheme is None or scheme[1].lower() == "gs":
        return
    if scheme[1].lower() == "file":
        raise UserError(f"{path}: name the file by its path, without file://")
    raise UserError(
        f"{path}: {scheme[1]}:// is not read or written here: copy it to this machine (gs:// works)"
    )


class SettingError(UserError, ValueError):
    """A setting that cannot be. The text begins with its key, and is `KEY=VALUE: ...` if it can."""


@contextlib.contextmanager
def group(key: str) -> Iterator[None]:
    """Whatever is wrong with settings in here is told with the key of their group before it.

    Raises:
      SettingError: for a SettingError, and for the errors of Python for a key or a value that there
        is not.
    """
    try:
        yield
    except SettingError as error:
        raise SettingError(f"{key}.{error}") from error
    except KeyError as error:
        raise SettingError(f"{key}: there is no key {error}") from error
    except (TypeError, ValueError) as error:
        raise SettingError(f"{key}: {error}") from error


def built(key: str, kind: Callable[..., T], settings: Mapping[str, Any]) -> T:
    """What a group of settings is the fields of; errors as of `group`."""
    with group(key):
        return kind(**settings)


def at_least(low: float, settings: Any, *keys: str) -> None:
    """Refuses less, and what is no number, as `above`, `between` and `decays` do.

    Args:
      low: the least.
      settings: an object with these fields, or a mapping.
      *keys: the fields; of one with a star before it, such as "*channels", each entry is looked at.

    Raises:
      SettingError: with key and value.
    """
    numbers(f"at least {low:g}", lambda x: x >= low, settings, *keys)


def above(low: float, settings: Any, *keys: str) -> None:
    """Refuses this number and less."""
    numbers(f"above {low:g}", lambda x: x > low, settings, *keys)


def between(low: float, high: float, settings: Any, *keys: str) -> None:
    """Refuses what lies outside of both."""
    numbers(f"from {low:g} to {high:g}", lambda x: low <= x <= high, settings, *keys)


def decays(settings: Any, *keys: str) -> None:
    """Refuses what is no decay of a running mean: at 1 nothing new would ever count."""
    numbers("from 0 to under 1", lambda x: 0 <= x < 1, settings, *keys)


def numbers(words: str, holds: Callable[[Any], bool], settings: Any, *keys: str) -> None:
    """Refuses what is no number, or none that holds: it must be so, in `words`."""
    for key in keys:
        name = key.removeprefix("*")
        value, subject = _of(settings, name), "it" if name == key else "each"
        for x in (value,) if name == key else value:
            if isinstance(x, bool) or not isinstance(x, Real) or not holds(x):
                raise SettingError(f"{name}={value}: {subject} must be {words}")


def divides(key: str, whole: str, settings: Any) -> None:
    """Refuses a number that does not divide another field; with a star, each entry of that."""
    at_least(1, settings, key, whole)
    name = whole.removeprefix("*")
    by, value = _of(settings, key), _of(settings, name)
    if any(x % by for x in ((value,) if name == whole else value)):
        raise SettingError(f"{key}={by}: it must divide {name}={value}")


def some(settings: Any, *keys: str) -> None:
    """Refuses a field of several entries that has none."""
    for key in keys:
        if not _of(settings, key):
            raise SettingError(f"{key}={_of(settings, key)}: it must have at least one entry")


def switches(settings: Any, *keys: str) -> None:
    """Refuses what is neither true nor false."""
    for key in keys:
        if not isinstance(value := _of(settings, key), bool):
            raise SettingError(f"{key}={value}: it must be True or False")


def _of(settings: Any, key: str) -> Any:
    try:
        return settings[key] if isinstance(settings, Mapping) else getattr(settings, key)
    except (AttributeError, KeyError):
        raise SettingError(f"{key}: is not there") from None
