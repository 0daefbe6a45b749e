"""A painting network by its name, ready to paint: its paintings, their shares, its memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from impasto.errors import UnknownName, UsageError, WeightsError
from impasto.networks.fast import FOLD, FastNet, PhotoNet
from impasto.networks.files import Card, Model, read_card
from impasto.networks.shelf import loaded, names

#: Kinds of networks that paint photos.
KINDS = ("fast", "johnson", "mgan", "ulyanov")
#: Rows of a strip where strips are chosen by themselves.
ROWS = 256
#: Pictures above this many pixels go by strips even where they would fit.
MANY = 16_000_000


@dataclass(frozen=True, eq=False)
class Painter:
    """A network that paints photos.

    Attributes:
        model: Out of its file.
        network: Its network.
        paintings: Their names, in its order; numbers where it has none.
    """

    model: Model
    network: PhotoNet
    paintings: tuple[str, ...]

    @classmethod
    def load(cls, name: str) -> Painter:
        """The model ``name`` (see :func:`impasto.networks.shelf.locate`), kept until it changes.

        Raises:
            InputError: There is no such file.
            UnknownName: No model has this name.
            UsageError: It does not paint.
            WeightsError: It is damaged.
        """
        try:
            model = loaded(name)
        except UnknownName:
            raise UnknownName("model", name, painting()) from None
        if not isinstance(model.network, PhotoNet):
            raise UsageError(
                f"{name} is a model of the kind {model.kind}, which paints no photos",
                hint="see `impasto models`",
            )
        return cls(model, model.network, names_of(model.card, model.network.styles))

    def shares(self, wanted: Sequence[str], blend: Sequence[float] | None) -> tuple[float, ...]:
        """The weight of each painting; see :func:`shares_of`."""
        return shares_of(self.paintings, wanted, blend)

    def mixture(self, shares: Sequence[float]) -> dict[str, float]:
        """The shares by name, without those that are 0."""
        return {n: s for n, s in zip(self.paintings, shares, strict=True) if s}


def painting() -> list[str]:
    """Names of the models that paint photos."""
    found = []
    for name, path in names().items():
        with suppress(WeightsError):
            if read_card(path)[0] in KINDS:
                found.append(name)
    return found


def names_of(card: Card, count: int) -> tuple[str, ...]:
    """Names of the paintings that a model knows; numbers where its card has others."""
    found = tuple(card.styles)
    return found if len(found) == count else tuple(str(i + 1) for i in range(count))


def shares_of(
    paintings: Sequence[str], wanted: Sequence[str], blend: Sequence[float] | None
) -> tuple[float, ...]:
    """The weight of each painting; they sum to 1.

    Args:
        paintings: What there is.
        wanted: Names or numbers from 1; the first painting where empty.
        blend: Proportions of those wanted; equal without.

    Raises:
        UnknownName: There is no such painting.
        UsageError: There are not as many proportions as paintings.
    """
    chosen = [_place(paintings, name) for name in wanted] or [0]
    parts = list(blend) if blend is not None else [1.0] * len(chosen)
    if len(parts) != len(chosen):
        raise UsageError(f"style-blend has {len(parts)} numbers for {len(chosen)} paintings")
    shares = [0.0] * len(paintings)
    for place, part in zip(chosen, parts, strict=True):
        shares[place] += part / sum(parts)
    return tuple(shares)


def _place(paintings: Sequence[str], name: str) -> int:
    if name in paintings:
        return paintings.index(name)
    if name.isdecimal() and 1 <= int(name) <= len(paintings):
        return int(name) - 1
    raise UnknownName("painting of the model", name, paintings)


def rows_at_once(
    network: PhotoNet,
    size: tuple[int, int],
    tile: str,
    free: float | None,
    base: int,
) -> tuple[int, int]:
    """Rows per strip, 0 for all at once, and the bytes that it needs.

    Args:
        network: Only :class:`FastNet` can work by strips.
        size: Height and width.
        tile: ``auto``, ``off`` or a number of rows.
        free: Bytes that can be had; None where that is not known.
        base: Bytes that are needed in any case.
    """
    pixels, each = size[0] * size[1], network.bytes_per_pixel
    if not isinstance(network, FastNet):
        return 0, base + each * pixels
    if tile == "auto":
        large = pixels > MANY or (free is not None and base + each * pixels > free)
        strip = ROWS if large else 0
    else:
        strip = 0 if tile == "off" else max(FOLD, int(tile) // FOLD * FOLD)
    part = min(1.0, strip / size[0]) if strip else 1.0
    least = network.bytes_by_strips
    return strip, base + round((least + (each - least) * part) * pixels)
