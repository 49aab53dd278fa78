"""Parts of a model by the `kind` that a config names."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from vdd.config import Fields

T = TypeVar("T")


def build(
    kinds: Mapping[str, Callable[..., T]],
    what: str,
    settings: Fields,
    default: str | None = None,
    **more: object,
) -> T:
    """The part of that kind, its other settings as fields, and `more`.

    Raises:
        KeyError: no kind is named and there is no default.
        ValueError: there is no such kind.
        TypeError: a field that it does not have, or lacks.
    """
    fields = dict(settings)
    kind = fields.pop("kind") if default is None else fields.pop("kind", default)
    if kind not in kinds:
        raise ValueError(f"unknown {what} {kind!r}; there are: {', '.join(kinds)}")
    return kinds[kind](**fields, **more)
