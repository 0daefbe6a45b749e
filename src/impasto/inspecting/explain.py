"""The job behind ``--explain``: where in a picture the evidence for a class or a unit lies."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.backbones import CLASSIFIER, DEFAULT, Backbone, class_names, class_number
from impasto.backbones import load as load_backbone
from impasto.engine import memory
from impasto.engine.devices import pick_device
from impasto.errors import UsageError
from impasto.events import Event, Finished, Started, Table
from impasto.images import Picture
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.inspecting.backprop import (
    RULES,
    Projection,
    Unit,
    cam_layer,
    grad_cam,
    logits_layer,
    project,
    sees_the_picture,
)
from impasto.inspecting.boxes import Box, seen_box
from impasto.inspecting.measure import check_size
from impasto.inspecting.run import SIZE
from impasto.inspecting.sheet import number, percent
from impasto.inspecting.signals import FloatArray, framed, heat_of, overlay, panel, signal_image
from impasto.specs import InspectSpec
from impasto.specs.inspect import ALL, CLASS, NONE

#: Short side at which a classifier sees the whole picture, px; see ``classifier_view``.
CLASS_SIDE = 256
METHODS = {
    "gradient": "what would change it",
    "deconv": "Zeiler & Fergus 2014",
    "guided": "guided backpropagation",
    "gradcam": "Grad-CAM",
    "guided-gradcam": "guided x Grad-CAM",
}


class Explanation:
    """One job; see :class:`impasto.inspecting.run.Inspection` for the manner.

    Args:
        spec: The request; ``explain`` is set.
        picture: What is looked at.
        backbone: The network to use in place of the request's, already loaded.

    Raises:
        UnknownName: A network, layer or class does not exist.
        UsageError: There is no such unit, or a network cannot classify.
        InputError: The picture is too small.
        ResourceError: It would not fit in memory.
        WeightsError: Weights are missing or damaged.
    """

    begun = False

    def __init__(
        self, spec: InspectSpec, picture: Picture, backbone: Backbone | None = None
    ) -> None:
        self.spec, self.picture = spec, picture
        self.device = pick_device(spec.device)
        self.method = spec.method or "gradcam"
        what, _, which = str(spec.explain).partition(":")
        self.of_class = what == CLASS
        number = class_number(which) if self.of_class and which else None
        self.backbone = (backbone or _network(spec, of_class=self.of_class)).to(self.device)
        self._photo = to_tensor(picture, self.device)
        self.size = self._size()
        self._unit = self._asked(number)
        layer = logits_layer(self.backbone) if self._unit is None else self._unit.layer
        check_size(self.backbone, [layer], self.size)
        self.cam_layer = self._cam_layer(Unit(layer, 0))
        self._check_memory(layer)

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return {
            "name": "explain",
            "backbone": self.backbone.name,
            "explain": self.spec.explain if self._unit is None else str(self._unit),
            "method": self.method,
            "cam_layer": self.cam_layer,
            "size": [self.size[1], self.size[0]],
        }

    def described(self) -> dict[str, Any]:
        """The input: name, sha256, size."""
        source = self.picture.source
        size = [self.picture.width, self.picture.height]
        return {"image": {"name": source.name, "sha256": source.sha256, "size": size}}

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        yield Started("inspect", (), self.settings(), self._notes())
        yield self.finished(time.monotonic() - begun)

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The picture by the method that was asked for."""
        report = self.report()
        return Finished(
            self._picture(),
            None,
            self.settings(),
            seconds,
            complete=complete,
            report=report,
            tables=(_table(report),),
        )

    def state(self) -> dict[str, Any]:
        """Nothing: it is computed anew in no time."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""
        del state

    @cached_property
    def seen(self) -> Tensor:
        """The picture as the network sees it, (1, 3, H, W)."""
        return resize(self._photo, self.size).clamp(0, 1)

    @cached_property
    def unit(self) -> Unit:
        """What is explained; for ``class`` the most probable one."""
        if self._unit is not None:
            return self._unit
        return Unit(logits_layer(self.backbone), int(self._probabilities.argmax()))

    @cached_property
    def projection(self) -> Projection:
        """The gradient: its activation and place are those of all methods."""
        return project(self.backbone, self.seen, self.unit, spread=True)

    @cached_property
    def cam(self) -> Tensor:
        """Grad-CAM, (h, w)."""
        return grad_cam(self.backbone, self.seen, self.unit, self.cam_layer)

    def report(self) -> dict[str, Any]:
        """What was explained, ready for JSON."""
        found: dict[str, Any] = {
            "backbone": self.backbone.name,
            "unit": {"layer": self.unit.layer, "channel": self.unit.channel},
            "method": self.method,
            "seen": {"width": self.size[1], "height": self.size[0]},
            "activation": self.projection.activation,
            "box": dataclasses.asdict(self._box()),
            "cam_layer": self.cam_layer,
            "class": None,
        }
        if self.of_class:
            probability = float(self._probabilities[self.unit.channel])
            number = self.unit.channel
            name = _class_name(number, len(self._probabilities))
            found["class"] = {"number": number, "name": name, "probability": probability}
        return found

    def image_by(self, method: str) -> FloatArray:
        """One picture (H, W, 3), at the size that the network saw."""
        if method == "gradcam":
            return overlay(from_tensor(self.seen), heat_of(self.cam, self.size))
        rule = "guided" if method == "guided-gradcam" else method
        signal = self.projection.signal
        if rule != "gradient":
            signal = project(self.backbone, self.seen, self.unit, rule, spread=True).signal
        if method == "guided-gradcam":
            signal = signal.cpu() * torch.from_numpy(heat_of(self.cam, self.size))
        return signal_image(signal)

    def _picture(self) -> FloatArray:
        if self.method == "gradcam":
            # On all pixels of the photo: the map is smooth, it can be enlarged at will.
            return overlay(self.picture.rgb, heat_of(self.cam, self.picture.size))
        if self.method != ALL:
            return self.image_by(self.method)
        seen = from_tensor(self.seen)
        box = seen_box(self.backbone, self.unit.layer, self.projection.place, self.size)
        small = box != Box(0, 0, *self.size)
        photo = framed(seen, box) if small else seen
        parts = [("photo", "what the strongest position sees" if small else "", photo)]
        parts += [(name, about, self.image_by(name)) for name, about in METHODS.items()]
        return np.asarray(panel(parts, self._title()), np.float32) / np.float32(255)

    def _notes(self) -> tuple[str, ...]:
        name = self.picture.source.name
        notes = [f"{name}: {note}" for note in self.picture.source.notes]
        if self.method in ("deconv", ALL) and not sees_the_picture(self.backbone):
            notes.append(
                f"{self.backbone.name} has no maximum pooling: its deconv does not depend on the "
                "picture"
            )
        return tuple(notes)

    def _title(self) -> str:
        report = self.report()
        if (found := report["class"]) is not None:
            return (
                f"Why {self.backbone.name} says {found['name']} ({percent(found['probability'])})"
            )
        return f"What excites {self.unit} of {self.backbone.name} ({number(report['activation'])})"

    @cached_property
    def _probabilities(self) -> Tensor:
        with torch.no_grad():
            return self.backbone.classify(self.seen)[0].cpu()

    def _box(self) -> Box:
        """The pixels of the original picture that the unit sees."""
        found = seen_box(self.backbone, self.unit.layer, self.projection.place, self.size)
        return found.scaled(self.size, self.picture.size)

    def _size(self) -> tuple[int, int]:
        """Height and width at which the network sees the picture."""
        height, width = self.picture.size
        if not self.of_class:
            return fit_size(height, width, self.spec.size or SIZE)
        factor = CLASS_SIDE / min(height, width)
        return round(height * factor), round(width * factor)

    def _asked(self, number: int | None) -> Unit | None:
        """The unit of the request, or None for the most probable class."""
        if self.of_class:
            unit = None if number is None else Unit(logits_layer(self.backbone), number)
        else:
            layer, _, channel = str(self.spec.explain).rpartition(":")
            unit = Unit(self.backbone.resolve(layer), int(channel))
        if unit is not None:
            unit.check(self.backbone)
        return unit

    def _cam_layer(self, unit: Unit) -> str:
        if self.spec.cam_layer is None:
            return cam_layer(self.backbone, unit)
        layer, order = self.backbone.resolve(self.spec.cam_layer), list(self.backbone.table)
        if not self.backbone.table[layer].stride or order.index(layer) > order.index(unit.layer):
            raise UsageError(
                f"{layer} cannot explain {unit.layer}",
                hint="name a layer with positions, not behind it",
            )
        return layer

    def _check_memory(self, layer: str) -> None:
        pixels = self.size[0] * self.size[1]
        # Rules keep a mask beside each activation: a quarter more.
        need = memory.BASE + 1.5 * memory.activation_bytes(self.backbone, [layer]) * pixels
        memory.check_fits(need, memory.available(self.device), pixels, max(self.size))


def _network(spec: InspectSpec, *, of_class: bool) -> Backbone:
    """The network of the request; for a class, one that has classes."""
    if not of_class or spec.backbone is not None:
        return load_backbone(spec.backbone or DEFAULT)
    if spec.classifier == NONE:
        raise UsageError("a class cannot be explained with --classifier none")
    return load_backbone(spec.classifier or CLASSIFIER)


def _class_name(number: int, count: int) -> str:
    names = class_names()
    return names[number] if count == len(names) else f"class {number}"


def _table(report: dict[str, Any]) -> Table:
    box, unit = report["box"], report["unit"]
    rows = [("unit", f"{unit['layer']}:{unit['channel']}")]
    if (found := report["class"]) is not None:
        rows += [("class", found["name"]), ("probability", percent(found["probability"]))]
    rows.append(("activation", number(report["activation"])))
    sees = f"{box['right'] - box['left']} x {box['bottom'] - box['top']} px"
    rows.append(("it sees", f"{sees} at {box['left']}, {box['top']}"))
    if "gradcam" in report["method"] or report["method"] == ALL:
        rows.append(("Grad-CAM of", report["cam_layer"]))
    return Table(f"{report['method']}, by {report['backbone']}", ("what", ""), tuple(rows))


__all__ = ["METHODS", "RULES", "Explanation"]
