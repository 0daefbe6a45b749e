"""What a verb gives to :func:`impasto.jobs.run`, and what it can do besides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from impasto.events import Event, Finished


class Job(Protocol):
    """What a verb gives to :func:`run`: checked and ready to go, nothing computed yet."""

    def events(self) -> Iterator[Event]:
        """Run; the last event is Finished, not saved yet."""

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result so far."""

    @property
    def begun(self) -> bool:
        """Whether there is a result to save."""

    def state(self) -> dict[str, Any]:
        """What :meth:`load` needs to go on exactly here."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""


@runtime_checkable
class HasRecipe(Protocol):
    """A job whose numbers can be kept as a recipe of one's own."""

    def save_recipe(self, path: str, *, force: bool) -> None:
        """Write them to a .toml file that ``recipe`` takes."""


@runtime_checkable
class HasPages(Protocol):
    """A job whose result can be web pages, one of them at the output, the others beside it."""

    def endings(self) -> tuple[str, ...]:
        """Of their names: ``("", "-relu4_1")``."""

    def pages(self, names: Mapping[str, str]) -> Mapping[str, str]:
        """The pages by their endings; ``names`` are those of their files."""


@runtime_checkable
class NamesOthers(Protocol):
    """A job that writes pictures beside its output whose names only it knows."""

    def others(self) -> tuple[str, ...]:
        """As :meth:`impasto.specs.base.Spec.others`."""


@runtime_checkable
class WritesModel(Protocol):
    """A job whose output is not a picture but a model."""

    def write_model(self, path: Path, metadata: dict[str, Any]) -> None:
        """Write it, whole or not at all."""
