"""Trained networks that come with impasto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from impasto.errors import UnknownName
from impasto.networks.files import Card, Model, load, read_card

#: Where they lie: inside the package.
FOLDER = Path(__file__).resolve().parents[1] / "models"


@dataclass(frozen=True)
class Shipped:
    """A model in the package.

    Attributes:
        name: Of its file, without the ending.
        path: Of its file.
        kind: In :data:`impasto.networks.NETWORKS`.
        architecture: What it is built from.
        card: What is known of it.
    """

    name: str
    path: Path
    kind: str
    architecture: str
    card: Card

    @property
    def summary(self) -> str:
        """A line for a list."""
        said = self.card.settings.get("summary")
        if isinstance(said, str) and said:
            return said
        options = self.card.settings.get("options") or {}
        about = ", ".join(f"{k} {v}" for k, v in options.items() if isinstance(v, str))
        figures = ", ".join(
            f"{k} {v:.4g}" for k, v in self.card.losses.items() if k in ("psnr", "style", "content")
        )
        return "; ".join(filter(None, (f"{self.kind}: {about}" if about else self.kind, figures)))


def shipped() -> Iterator[Shipped]:
    """All models in the package, by name; only their cards are read.

    Raises:
        WeightsError: One is damaged.
    """
    for path in sorted(FOLDER.glob("*.safetensors")):
        yield Shipped(path.stem, path, *read_card(path))


@cache
def load_shipped(name: str, kind: str | None = None) -> Model:
    """A model of the package, loaded once; it is frozen and must not be changed.

    Raises:
        UnknownName: There is none called so.
        WeightsError: It is damaged or of another kind.
    """
    path = FOLDER / f"{name}.safetensors"
    if not path.is_file():
        raise UnknownName("model", name, [p.stem for p in FOLDER.glob("*.safetensors")])
    return load(path, kind)
