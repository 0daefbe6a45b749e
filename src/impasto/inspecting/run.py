"""The job: a picture and a network in, the sheet and the numbers out."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from impasto.backbones import ARCHITECTURES, CLASSIFIER, DEFAULT, Backbone
from impasto.backbones import load as load_backbone
from impasto.engine import memory
from impasto.engine.devices import pick_device
from impasto.errors import UsageError
from impasto.events import Event, Finished, Started
from impasto.images import Picture
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.inspecting.fields import receptive_fields
from impasto.inspecting.invert import OPTIMISER, Inverter, Plan, tv_weight
from impasto.inspecting.layers import chosen_layers
from impasto.inspecting.measure import check_size, classify, look
from impasto.inspecting.report import as_json, as_tables
from impasto.inspecting.sheet import Findings, Inversion, draw_sheet, shown_name
from impasto.specs import InspectSpec
from impasto.specs.inspect import NONE

#: Longest side at which the network sees a picture unless told otherwise, px.
SIZE = 512
#: Copies of the largest activation that exist at one time while it is looked at.
COPIES = 5


class Inspection:
    """One job: checked on construction, run by :meth:`events`, saved by :meth:`state`.

    Args:
        spec: The request.
        picture: What is looked at.
        backbone: The network to use in place of the request's, already loaded.
        classifier: Likewise.

    Raises:
        UnknownName: A network or layer does not exist.
        UsageError: A device is not there, or a network cannot classify.
        InputError: The picture is too small for the deepest layer.
        ResourceError: It would not fit in memory.
        WeightsError: Weights are missing or damaged.
    """

    def __init__(
        self,
        spec: InspectSpec,
        picture: Picture,
        backbone: Backbone | None = None,
        classifier: Backbone | None = None,
    ) -> None:
        self.spec = spec
        self.picture = picture
        self.device = pick_device(spec.device)
        self.backbone = (backbone or load_backbone(spec.backbone or DEFAULT)).to(self.device)
        self.layers = chosen_layers(self.backbone, spec.layers)
        self.classifier = self._classifier(classifier)
        self._photo = to_tensor(picture, self.device)
        self.size = fit_size(picture.height, picture.width, spec.size or SIZE)
        check_size(self.backbone, self.layers, self.size)
        self._check_memory()
        self.inverter = self._inverter()

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        plan = None if self.inverter is None else dataclasses.asdict(self.inverter.plan)
        return {
            "name": "inspect",
            "backbone": self.backbone.name,
            "layers": list(self.layers),
            "size": [self.size[1], self.size[0]],
            "maps": self.spec.maps,
            "gram": self.spec.gram,
            "classifier": None if self.classifier is None else self.classifier.name,
            "inversion": plan,
        }

    def save_recipe(self, path: str, *, force: bool) -> None:
        """There is none.

        Raises:
            UsageError: Always.
        """
        del path, force
        raise UsageError("inspect has no recipe to save", hint="leave out --save-recipe")

    def described(self) -> dict[str, Any]:
        """The input: name, sha256, size."""
        source = self.picture.source
        size = [self.picture.width, self.picture.height]
        return {"image": {"name": source.name, "sha256": source.sha256, "size": size}}

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        scales = () if self.inverter is None else tuple(
            (s.height, s.width, s.steps) for s in self.inverter.scales
        )  # fmt: skip
        name = self.picture.source.name
        notes = tuple(f"{name}: {note}" for note in self.picture.source.notes)
        yield Started("inspect", scales, self.settings(), notes)
        _ = self.findings
        if self.inverter is not None:
            yield from self.inverter.events()
        yield self.finished(time.monotonic() - begun)

    @cached_property
    def findings(self) -> Findings:
        """Everything but the inversion; computed when it is first asked for."""
        photo = resize(self._photo, self.size).clamp(0, 1)
        arch = self.backbone.name.partition(".")[0]
        classes = () if self.classifier is None else classify(self.classifier, photo)
        return Findings(
            name=shown_name(self.picture.source.name),
            photo=from_tensor(photo),
            backbone=self.backbone.name,
            title=ARCHITECTURES.get(arch).title if arch in ARCHITECTURES else "",
            views=tuple(look(self.backbone, photo, self.layers, self.spec.maps)),
            fields=receptive_fields(self.backbone, self.layers),
            classes=tuple(classes),
            classifier="" if self.classifier is None else self.classifier.name,
            grams=self.spec.gram,
        )

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The sheet as an event, with the picture that was rebuilt so far."""
        found = dataclasses.replace(self.findings, inversion=self._inversion())
        sheet = np.asarray(draw_sheet(found), np.float32) / 255
        report = as_json(found)
        others = {} if found.inversion is None else {"-invert": found.inversion.image}
        return Finished(
            sheet,
            None,
            self.settings(),
            seconds,
            complete=complete,
            report=report,
            tables=as_tables(report),
            others=others,
        )

    @property
    def begun(self) -> bool:
        """Whether an inversion has begun; without one there is nothing to stop and go on with."""
        return self.inverter is not None and self.inverter.begun

    def state(self) -> dict[str, Any]:
        """That of the inversion; everything else is computed anew in no time."""
        return {} if self.inverter is None else self.inverter.state()

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        if self.inverter is not None:
            self.inverter.load(state)

    def _inversion(self) -> Inversion | None:
        if self.inverter is None or not self.inverter.begun:
            return None
        image = from_tensor(self.inverter.image())
        return Inversion(self.inverter.plan.layer, image, self.inverter.error())

    def _classifier(self, given: Backbone | None) -> Backbone | None:
        """What names the things in the picture, if anything does.

        Raises:
            UsageError: The network that was asked for cannot.
        """
        asked = self.spec.classifier
        if asked == NONE:
            return None
        network = given
        if network is None:
            own = self.backbone if asked is None and self.backbone.has_classifier else None
            network = own or load_backbone(asked or CLASSIFIER).to(self.device)
        if not network.has_classifier:
            raise UsageError(f"{network.name} has no classifier", hint=f"use {CLASSIFIER}")
        return network

    def _inverter(self) -> Inverter | None:
        if self.spec.invert is None:
            return None
        layer = self.backbone.resolve(self.spec.invert)
        height, width = fit_size(self.picture.height, self.picture.width, self.spec.invert_size)
        check_size(self.backbone, [layer], (height, width))
        pixels, longest = height * width, max(height, width)
        need = memory.estimate(self.backbone, [layer], OPTIMISER, pixels)
        memory.check_fits(need, memory.available(self.device), pixels, longest)
        weight = tv_weight(self.backbone.table[layer].stride)
        plan = Plan(layer, height, width, self.spec.iterations, weight, self.spec.seed)
        return Inverter(self.backbone, self._photo, plan)

    def _check_memory(self) -> None:
        """One pass holds the largest activation a few times over."""
        height, width = self.size
        widest = max(
            4 * tap.channels / tap.stride**2 for tap in self.backbone.table.values() if tap.stride
        )
        need = memory.BASE + COPIES * widest * height * width
        memory.check_fits(need, memory.available(self.device), height * width, max(self.size))
