"""What the package asks of a config: any key, as an attribute or an item."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, cast, runtime_checkable

from ml_collections import ConfigDict, FrozenConfigDict

# A group of a config whose keys become arguments of a constructor.
Fields = Mapping[str, Any]


@runtime_checkable
class Config(Protocol):
    """A ConfigDict or a FrozenConfigDict, or a group of one; its keys are known when it is read.

    To a type checker the methods of a ConfigDict give anything or None. Here what a key holds is
    `Any`, as no checker can know what a config file wrote there.
    """

    def __getattr__(self, attribute: str, /) -> Any: ...

    def __setattr__(self, attribute: str, value: Any, /) -> None: ...

    def __getitem__(self, key: str, /) -> Any: ...

    def __setitem__(self, key: str, value: Any, /) -> None: ...

    def __contains__(self, key: str, /) -> bool: ...

    def __iter__(self) -> Iterator[str]: ...

    def get(self, key: str, default: Any = None, /) -> Any:
        """What a key holds, else the default."""
        ...

    def keys(self) -> Iterable[str]:
        """The keys of this group."""
        ...

    def items(self) -> Iterable[tuple[str, Any]]:
        """The keys of this group, each with what it holds."""
        ...


def changeable(config: Config) -> Config:
    """A copy that may be changed."""
    return ConfigDict(cast(Mapping[str, Any], config))


def replaced(config: Config, **values: Any) -> Config:
    """A copy, which may be changed and given keys, where these keys have other values."""
    return ConfigDict({**config, **values})


def frozen(config: Config) -> Config:
    """A copy that nobody can change."""
    return FrozenConfigDict(cast(Mapping[str, Any], config))
