"""The job behind ``--photos``: which photos of a folder excite the units of a network most."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from impasto import images
from impasto.backbones import DEFAULT, Backbone
from impasto.backbones import load as load_backbone
from impasto.engine.devices import pick_device
from impasto.events import Event, Finished, ScaleStarted, Started, Step, Table
from impasto.inspecting.atlas import atlas_pictures
from impasto.inspecting.backprop import Unit, sees_the_picture
from impasto.inspecting.cuts import OWN, Cuts
from impasto.inspecting.fields import receptive_fields
from impasto.inspecting.findings import LayerFindings, UnitFindings
from impasto.inspecting.layers import chosen_layers
from impasto.inspecting.measure import check_size
from impasto.inspecting.page import page
from impasto.inspecting.peaks import Peaks, Store, cache_dir, measure, network_digest
from impasto.inspecting.photos import BEST, Survey, photo_files, seen
from impasto.inspecting.sheet import number, percent
from impasto.inspecting.strips import draw_strips
from impasto.inspecting.tiles import PHOTO, encoded
from impasto.specs import InspectSpec
from impasto.specs.inspect import ALL, SHOWN_UNITS, SIGNALS

#: Longest side at which the network sees photos unless told otherwise, px.
SIZE = 256


class FolderInspection:
    """One job; see :class:`impasto.inspecting.run.Inspection` for the manner.

    Args:
        spec: The request; ``photos`` is set.
        picture: What is looked at beside the folder.
        read: Reads the photos.
        backbone: The network to use in place of the request's, already loaded.
        cache: Folder for what photos excite, in place of the user's.

    Raises:
        UnknownName: A network or layer does not exist.
        UsageError: There is no such unit.
        InputError: The picture is too small, or there are no photos.
        WeightsError: Weights are missing or damaged.
    """

    def __init__(
        self,
        spec: InspectSpec,
        picture: images.Picture,
        read: Callable[[str], images.Picture] = images.load,
        backbone: Backbone | None = None,
        cache: Path | None = None,
    ) -> None:
        self.spec, self.picture = spec, picture
        root = Path(str(spec.photos))
        files = photo_files(root)
        device = pick_device(spec.device)
        self.backbone = (backbone or load_backbone(spec.backbone or DEFAULT)).to(device)
        self.layers = chosen_layers(self.backbone, spec.layers)
        self.size = spec.size or SIZE
        self._seen = seen(picture, self.size, device)
        check_size(self.backbone, self.layers, (self._seen.shape[-2], self._seen.shape[-1]))
        for layer in self.layers if spec.unit_numbers() else ():
            Unit(layer, max(spec.unit_numbers() or ())).check(self.backbone)
        self.atlas = atlas_pictures(spec.atlas, self.layers) if spec.atlas else {}
        store = Store(cache or cache_dir(), network_digest(self.backbone, self.size))
        self.survey = Survey(self.backbone, self.layers, self.size, store, files, root, read)
        self.rule = spec.method or SIGNALS[0]
        self.complete = True

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return {
            "name": "photos",
            "backbone": self.backbone.name,
            "network": self.survey.store.network,
            "layers": list(self.layers),
            "size": self.size,
            "units": self.spec.units or f"the {SHOWN_UNITS} most excited",
            "best": BEST,
            "signal": self.rule,
        }

    def described(self) -> dict[str, Any]:
        """The picture: name, sha256, size. Photos may come and go, that is no other job."""
        source = self.picture.source
        size = [self.picture.width, self.picture.height]
        return {"image": {"name": source.name, "sha256": source.sha256, "size": size}}

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        height, width = self._seen.shape[-2:]
        count = len(self.survey.files)
        cuts = 1 + min(count, BEST * sum(map(len, self.units.values())))  # at most
        scales = ((height, width, count), (height, width, cuts))
        yield Started("inspect", scales, self.settings(), self._notes())
        yield ScaleStarted(0, 2, height, width, count)
        for i, _ in enumerate(self.survey.steps(), 1):
            yield Step(0, i, count, {}, self._image)
        wishes = self.cuts.wishes(self.own)
        yield ScaleStarted(1, 2, height, width, len(wishes))
        for i, (photo, wanted) in enumerate(wishes.items(), 1):
            self.cuts.add(photo, wanted)
            yield Step(1, i, len(wishes), {}, self._image)
        self.survey.store.prune()
        yield self.finished(time.monotonic() - begun)

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The rows of photos as an event; :meth:`pages` shows them as web pages."""
        self.complete = complete
        if not complete and not self.cuts.tiles:  # stopped while looking: show what was seen
            for photo, wanted in self.cuts.wishes(self.own).items():
                self.cuts.add(photo, wanted, signals=False)
        report = self.report()
        sheet = np.asarray(draw_strips(self.findings()), np.float32) / np.float32(255)
        return Finished(
            sheet,
            None,
            self.settings(),
            seconds,
            complete=complete,
            report=report,
            tables=tuple(_tables(report)),
        )

    @property
    def begun(self) -> bool:
        """Whether there is a photo to show."""
        return bool(self.survey.photos)

    def state(self) -> dict[str, Any]:
        """Nothing: what photos excite is in the cache."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Going on is beginning again, with the cache."""
        del state

    def endings(self) -> tuple[str, ...]:
        """Of the pages, deepest layer first: that one has the name of the output."""
        return ("", *(f"-{layer}" for layer in reversed(self.layers[:-1])))

    def pages(self, names: Mapping[str, str]) -> Mapping[str, str]:
        """A page per layer, as HTML.

        Args:
            names: Name of the file of each of :meth:`endings`, for the links between pages.
        """
        ends = dict(zip(reversed(self.layers), self.endings(), strict=True))
        links = {layer: names[ends[layer]] for layer in self.layers}
        return {ends[found.layer]: page(found, links) for found in self.findings()}

    def report(self) -> dict[str, Any]:
        """Everything but pictures, ready for JSON."""
        survey = self.survey
        return {
            "backbone": self.backbone.name,
            "photos": {
                "files": len(survey.files),
                "seen": len(survey.photos),
                "computed": survey.computed,
                "copies": survey.copies,
                "skipped": [{"name": s.name, "reason": s.reason} for s in survey.skipped],
            },
            "layers": [
                {
                    "name": layer,
                    "receptive_field": self.fields[layer],
                    "units": [self._unit_report(layer, unit) for unit in self.units[layer]],
                }
                for layer in self.layers
            ],
        }

    def findings(self) -> list[LayerFindings]:
        """What is shown, layer by layer."""
        return [self._layer_findings(layer) for layer in self.layers]

    @cached_property
    def own(self) -> dict[str, Peaks]:
        """What the inspected picture itself excites."""
        return measure(self.backbone, self._seen, self.layers)

    @cached_property
    def fields(self) -> dict[str, int | None]:
        """Receptive field of each layer, px."""
        return receptive_fields(self.backbone, self.layers)

    @cached_property
    def units(self) -> dict[str, list[int]]:
        """The units that are shown of each layer."""
        asked = self.spec.unit_numbers()
        if asked is not None:
            return {layer: list(asked) for layer in self.layers}
        found = {}
        for layer, channels in self.survey.channels.items():
            order = np.argsort(-self.own[layer].values, kind="stable").tolist()
            found[layer] = order[: channels if self.spec.units == ALL else SHOWN_UNITS]
            found[layer].sort()
        return found

    @cached_property
    def cuts(self) -> Cuts:
        """The crops."""
        return Cuts(self.survey, self.picture, self.units, self.rule)

    def _notes(self) -> tuple[str, ...]:
        if self.rule == "deconv" and not sees_the_picture(self.backbone):
            name = self.backbone.name
            return (f"{name} has no maximum pooling: its deconv does not depend on the picture",)
        return ()

    def _image(self) -> Tensor:
        return self._seen

    def _layer_findings(self, layer: str) -> LayerFindings:
        survey = self.survey
        units = tuple(self._unit_findings(layer, unit) for unit in self.units[layer])
        used = {tile.photo for unit in units for tile in unit.shown()}
        return LayerFindings(
            backbone=self.backbone.name,
            layer=layer,
            channels=survey.channels[layer],
            field=self.fields[layer],
            size=self.size,
            picture=self.picture.source.name,
            units=units,
            thumbs={i: data for i, data in self.cuts.thumbs.items() if i in used},
            names={i: survey.photos[i].name for i in used if i >= 0},
            photos=len(survey.photos),
            files=len(survey.files),
            copies=survey.copies,
            skipped=tuple(survey.skipped),
            rule=self.rule,
            complete=self.complete,
        )

    def _unit_findings(self, layer: str, unit: int) -> UnitFindings:
        ranking, tiles = self.survey.rankings[layer], self.cuts.tiles.get((layer, unit), [])
        order = {photo: rank for rank, (photo, *_) in enumerate(ranking.best(unit))}
        best = sorted((t for t in tiles if t.photo in order), key=lambda t: order[t.photo])
        return UnitFindings(
            channel=unit,
            best=tuple(best),
            own=next((t for t in tiles if t.photo == OWN), None),
            atlas=self._atlas_picture(layer, unit),
            **ranking.summary(unit),
        )

    def _atlas_picture(self, layer: str, unit: int) -> bytes:
        path = self.atlas.get((layer, unit))
        if path is None:
            return b""
        picture = self.survey.read(str(path))
        return encoded(picture.rgb, PHOTO, self.cuts.allowance("atlas", layer))

    def _unit_report(self, layer: str, unit: int) -> dict[str, Any]:
        ranking = self.survey.rankings[layer]
        best = [
            {"photo": self.survey.photos[photo].name, "activation": value, "place": list(place)}
            for photo, value, place in ranking.best(unit)
        ]
        own = float(self.own[layer].values[unit])
        return {"unit": unit, "own": own, **ranking.summary(unit), "best": best}


def _tables(report: dict[str, Any]) -> Iterator[Table]:
    """What was read, what was not, and the units with their best photo."""
    photos = report["photos"]
    cells = [str(photos[k]) for k in ("files", "seen", "computed", "copies")]
    row = (*cells, str(len(photos["skipped"])))
    yield Table("photos", ("files", "seen", "computed now", "copies", "skipped"), (row,))
    skipped = tuple((s["name"], s["reason"]) for s in photos["skipped"])
    if skipped:
        yield Table("skipped", ("file", "it"), skipped)
    for layer in report["layers"]:
        columns = ("unit", "picture", "max", "mean", "fires in", "best photo")
        rows = (tuple(_unit_cells(unit)) for unit in layer["units"])
        yield Table(f"{layer['name']} of {report['backbone']}", columns, tuple(rows))


def _unit_cells(unit: dict[str, Any]) -> Iterator[str]:
    yield str(unit["unit"])
    for key in ("own", "maximum", "mean"):
        yield number(unit[key])
    yield percent(unit["firing"])
    yield unit["best"][0]["photo"] if unit["best"] else "none"
