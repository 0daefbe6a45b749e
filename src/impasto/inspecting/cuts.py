"""Crops of photos for all units at once, photo by photo, so that each is read a single time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from impasto import images
from impasto.errors import InputError
from impasto.inspecting.backprop import Unit
from impasto.inspecting.boxes import seen_box
from impasto.inspecting.peaks import Peaks
from impasto.inspecting.photos import BEST, Skipped, Survey, seen
from impasto.inspecting.tiles import CROP, PHOTO, Tile, cut, encoded, signal_in

#: Bytes of all pictures in one page, at most, before they are written as text (a third more).
PAGE_BYTES = 16_000_000
#: Of these: for crops, for the signals in them, for whole photos, for atlas pictures.
SHARES = {"crop": 0.4, "signal": 0.25, "photo": 0.25, "atlas": 0.1}
#: The number of the picture that is inspected, among the photos.
OWN = -1


@dataclass(frozen=True)
class Wish:
    """A crop to be made of a photo: where a unit is strongest in it."""

    layer: str
    channel: int
    value: float
    place: tuple[int, int]


@dataclass
class Cuts:
    """What has been cut so far.

    Attributes:
        survey: The photos.
        picture: The inspected one.
        units: Those that are shown of each layer.
        rule: How signals are taken back to the pixels.
        tiles: By layer and unit.
        thumbs: Whole photos by number.
    """

    survey: Survey
    picture: images.Picture
    units: Mapping[str, Sequence[int]]
    rule: str
    tiles: dict[tuple[str, int], list[Tile]] = field(default_factory=dict)
    thumbs: dict[int, bytes] = field(default_factory=dict)

    def wishes(self, own: Mapping[str, Peaks]) -> dict[int, list[Wish]]:
        """What has to be cut out of each photo, the inspected one first."""
        wishes: dict[int, list[Wish]] = {OWN: []}
        for layer, units in self.units.items():
            peaks, ranking = own[layer], self.survey.rankings[layer]
            for unit in units:
                value = float(peaks.values[unit])
                if value != 0:
                    wishes[OWN].append(Wish(layer, unit, value, peaks.place(unit)))
                for photo, activation, place in ranking.best(unit):
                    wishes.setdefault(photo, []).append(Wish(layer, unit, activation, place))
        return wishes

    def add(self, photo: int, wishes: Sequence[Wish], *, signals: bool = True) -> None:
        """Make the tiles that one photo gives; a photo that has gone meanwhile gives none."""
        try:
            picture = self.picture if photo == OWN else self._read(photo)
        except InputError as error:
            self.survey.skipped.append(Skipped(self.survey.photos[photo].name, error.message))
            return
        image = seen(picture, self.survey.size, self.survey.device)
        for wish in wishes:
            tile = self._tile(photo, picture, image, wish, signals=signals)
            self.tiles.setdefault((wish.layer, wish.channel), []).append(tile)
        if wishes:
            self.thumbs[photo] = encoded(picture.rgb, PHOTO, self.allowance("photo"))

    def allowance(self, kind: str, layer: str = "") -> int:
        """Bytes that one picture of a page may have, so that the page keeps its bound."""
        if kind == "photo":
            most = max(len(units) for units in self.units.values()) * BEST
            count = 1 + min(most, len(self.survey.photos))
        else:
            count = len(self.units[layer]) * (1 if kind == "atlas" else BEST + 1)
        return int(PAGE_BYTES * SHARES[kind] / count)

    def _tile(
        self, photo: int, picture: images.Picture, image: Tensor, wish: Wish, *, signals: bool
    ) -> Tile:
        backbone, size = self.survey.backbone, (image.shape[-2], image.shape[-1])
        box = seen_box(backbone, wish.layer, wish.place, size).scaled(size, picture.size)
        crop = encoded(cut(picture.rgb, box), CROP, self.allowance("crop", wish.layer))
        signal = b""
        if signals:
            unit = Unit(wish.layer, wish.channel)
            drawn = signal_in(backbone, image, unit, wish.place, self.rule)
            signal = encoded(drawn, CROP, self.allowance("signal", wish.layer))
        return Tile(photo, wish.value, box, picture.size, crop, signal)

    def _read(self, photo: int) -> images.Picture:
        found = self.survey.photos[photo]
        picture = self.survey.read(str(found.path))
        if picture.source.sha256 != found.sha256:
            raise InputError("was changed while it was looked at")
        return picture
