"""What was found about units, ready to be shown: values only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from impasto.inspecting.photos import Skipped
from impasto.inspecting.tiles import Tile


@dataclass(frozen=True)
class UnitFindings:
    """One unit.

    Attributes:
        channel: Its number.
        best: The photos that excite it most, best first; empty for a unit that is never on.
        own: The same for the picture that is inspected; None if it leaves the unit at 0.
        maximum: Greatest activation in any photo.
        mean: Over photos and positions.
        firing: Share of the photos in which it is above 0 anywhere.
        atlas: What the unit looks for, drawn by `impasto visualize`; a WebP file, or empty.
    """

    channel: int
    best: tuple[Tile, ...]
    own: Tile | None
    maximum: float
    mean: float
    firing: float
    atlas: bytes = b""

    def shown(self) -> Iterator[Tile]:
        """All tiles, that of the inspected picture first."""
        if self.own is not None:
            yield self.own
        yield from self.best


@dataclass(frozen=True)
class LayerFindings:
    """One layer.

    Attributes:
        backbone: Name of the network.
        layer: Canonical name.
        channels: Number of units that the layer has.
        field: Edge of the square that a unit sees, px; None for the whole picture.
        size: Longest side at which pictures were seen, px.
        picture: Name of the inspected picture.
        units: Those that are shown.
        thumbs: Whole photos, WebP files, by number; -1 is the inspected picture.
        names: Of the photos, by number.
        photos: How many were looked at.
        files: How many there are.
        copies: How many of them are copies of others.
        skipped: Those that could not be read.
        rule: How signals were taken back to the pixels.
        complete: False if the job was stopped early.
    """

    backbone: str
    layer: str
    channels: int
    field: int | None
    size: int
    picture: str
    units: tuple[UnitFindings, ...]
    thumbs: Mapping[int, bytes]
    names: Mapping[int, str]
    photos: int
    files: int
    copies: int
    skipped: tuple[Skipped, ...]
    rule: str
    complete: bool = True
