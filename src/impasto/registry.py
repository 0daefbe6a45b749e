"""One small registry type for everything that has a name: losses, recipes, backbones, filters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from impasto.errors import UnknownName

T = TypeVar("T")


class Registry(Generic[T]):
    """Names to things, in the order of registration.

    Args:
        kind: What the things are, for error messages ("recipe").

    >>> fruits = Registry[int]("fruit")
    >>> fruits.add("apple", 1)
    1
    >>> fruits.get("appel")
    Traceback (most recent call last):
    ...
    impasto.errors.UnknownName: unknown fruit 'appel' (did you mean apple?)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> T:
        """Register ``item`` and return it.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._items:
            raise ValueError(f"{self.kind} {name!r} is registered already")
        self._items[name] = item
        return item

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator form of :meth:`add`."""
        return lambda item: self.add(name, item)

    def get(self, name: str) -> T:
        """The thing called ``name``.

        Raises:
            UnknownName: Nothing is called so; the message suggests the nearest names.
        """
        try:
            return self._items[name]
        except KeyError:
            raise UnknownName(self.kind, name, self._items) from None

    def names(self) -> list[str]:
        """All names, in the order of registration."""
        return list(self._items)

    def __iter__(self) -> Iterator[tuple[str, T]]:
        return iter(self._items.items())

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items
