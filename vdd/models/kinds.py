"""Parts of a model by the `kind` that a config names."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from vdd import errors
from vdd.config import Fields

T = TypeVar("T")


def build(
    kinds: Mapping[str, Callable[..., T]],
    key: str,
    settings: Fields,
    default: str | None = None,
    **more: object,
) -> T:
    """The part that `settings`, those of a `key`, name; its other settings as fields, and `more`.

    Raises:
        SettingError: no kind is named and there is no default; there is no such kind; a field that
            it does not have, lacks, or that cannot be.
    """
    with errors.group(key):
        fields = dict(settings)
        kind = fields.pop("kind") if default is None else fields.pop("kind", default)
        if kind not in kinds:
            raise ValueError(f"unknown {key} {kind!r}; there are: {', '.join(kinds)}")
        return kinds[kind](**fields, **more)
