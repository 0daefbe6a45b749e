"""The job: a request to a trained network in a file."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import impasto
from impasto import networks
from impasto.engine.devices import pick_device
from impasto.errors import UsageError
from impasto.events import Event, Finished, ScaleStarted, Started, Step
from impasto.images import Picture
from impasto.images.tensors import from_tensor
from impasto.networks import Card, onnx, shelf
from impasto.specs import TrainSpec
from impasto.training.board import board
from impasto.training.group import Group
from impasto.training.loop import Training
from impasto.training.photos import Photos, Stream, centre, find
from impasto.training.task import TASKS, Asked, Plan, Task

#: Losses on the card are means over this many last steps.
RECENT = 100
#: Photos in the picture that shows how far it is, where none are kept aside.
SHOWN = 3


class TrainingJob:
    """One job: checked on construction, run by :meth:`events`.

    Args:
        spec: The request.
        paintings: Those that it names.

    Raises:
        UnknownName: No such task.
        UsageError: A setting makes no sense.
        InputError: There are no photos, or too small ones.
        WeightsError: The model to begin with does not fit.
    """

    def __init__(self, spec: TrainSpec, paintings: tuple[Picture, ...] = ()) -> None:
        self.spec, self.paintings = spec, paintings
        settings = dict(text.split("=", 1) for text in spec.set)
        device = pick_device(spec.device)
        self.group = Group.join()
        here = (device, self.group.rank, self.group.world)
        asked = Asked(paintings, spec.architecture, settings, spec.seed, *here)
        self.task = make(spec.what, asked)
        self.plan = self.task.plan = planned(self.task.plan, spec)
        check_size(self.plan.crops.size, self.task.multiple)
        self.group.check(self.plan.batch)
        if spec.onnx is not None:
            onnx.check(Path(spec.onnx), self.task.network, self.task.kind)
        self._board = board(spec.tensorboard) if self.group.rank == 0 else None
        self.photos, held = self._find()
        self._held = [self._view(held, i).to(device) for i in range(len(held) if held else 0)]
        few = min(SHOWN, len(self.photos)) if self.photos else 0
        # Without photos kept aside, the pictures that show how far it is are of the others.
        self._shown = self._held or [self._view(self.photos, i).to(device) for i in range(few)]
        if spec.init is not None:
            self._begin_with(shelf.locate(spec.init))
        stream = Stream(self.photos, self.plan.crops, spec.seed) if self.photos else None
        self.training = Training(self.task, self.plan, stream, self.group)
        self._begun = self._resumed = False
        self._recent: list[dict[str, Tensor]] = []
        self._figures: dict[str, float] = {}

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""
        return {
            "task": self.spec.what,
            "kind": self.task.kind,
            "architecture": self.task.architecture,
            "plan": dataclasses.asdict(self.plan),
            "options": self.task.settings(),
            "seed": self.spec.seed,
        }

    def described(self) -> dict[str, Any]:
        """The paintings, and the photos as one: name, sha256, size."""
        found = {
            f"style {i}": {
                "name": p.source.name,
                "sha256": p.source.sha256,
                "size": [p.width, p.height],
            }
            for i, p in enumerate(self.paintings, 1)
        }
        if self.photos:
            names = "\n".join(p.name for p in self.photos.paths)
            digest = hashlib.sha256(names.encode()).hexdigest()
            found["photos"] = {"name": "photos", "sha256": digest, "size": [len(self.photos), 1]}
        return found

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun, plan = time.monotonic(), self.plan
        size = plan.crops.size
        notes = self.photos.notes() if self.photos else ()
        if self._held:
            kept = "1 photo is" if len(self._held) == 1 else f"{len(self._held)} photos are"
            notes += (f"{kept} kept aside for figures",)
        yield Started("train", ((size, size, plan.steps),), self.settings(), notes)
        if not self._resumed and self.spec.init is None:
            self.training.begin()
        self._begun = True
        yield ScaleStarted(0, 1, size, size, plan.steps)
        for taken in self.training.steps():
            self._recent = [*self._recent, taken.terms][-RECENT:]
            figures = self._measured(taken.index)
            step = Step(0, taken.index, plan.steps, taken.terms, self.image, figures)
            if self._board is not None:
                self._board.add(step)
            yield step
        yield self.finished(time.monotonic() - begun)

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result so far as an event: a picture that shows it, and its card."""
        card = dataclasses.asdict(self.card())
        return Finished(
            from_tensor(self.image()),
            None,
            self.settings(),
            seconds,
            None,
            complete,
            report={"card": card, "skipped": dict(self.photos.skipped) if self.photos else {}},
        )

    def image(self) -> Tensor:
        """What the task shows of itself, (1, 3, H, W) in [0, 1]."""
        with self.training.averaged():
            return self.task.preview(self._shown).clamp(0, 1)

    def write_model(self, path: Path, metadata: dict[str, Any]) -> None:
        """Save the network with the mean of its weights."""
        half = self.spec.precision == "half"
        with self.training.averaged() as network:
            networks.save(
                path, network, self.task.kind, self.task.architecture, self.card(), half=half
            )
        if self.spec.onnx is not None and metadata["complete"]:
            onnx.export(networks.load(path), Path(self.spec.onnx), force=True)

    def card(self) -> Card:
        """What the file says of the network."""
        data = f"{len(self.photos)} photos" if self.photos else ""
        names = ", ".join(Path(p.source.name).stem for p in self.paintings)
        return Card(
            task=self.spec.what,
            data="; ".join(filter(None, (data, names))),
            styles=self.task.choices(),
            steps=self.training.done,
            losses=self._losses() | self._figures,
            licence=self.spec.licence,
            impasto=impasto.__version__,
            seed=self.spec.seed,
            settings=self.settings(),
        )

    @property
    def begun(self) -> bool:
        """Whether there is anything to save."""
        return self._begun

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs to go on exactly here."""
        return {"training": self.training.state(), "figures": self._figures}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        self.training.load(state["training"])
        self._figures, self._resumed = state["figures"], True

    def _find(self) -> tuple[Photos | None, Photos | None]:
        """The photos to learn from, and those to judge by."""
        if not self.task.needs_photos:
            return None, None
        if not self.spec.photos:
            raise UsageError(f"the task {self.spec.what} needs photos", hint="--photos FOLDER")
        size, view = self.plan.crops.size, self.plan.view
        short = max(round(size * self.plan.crops.zoom[1]), view)
        photos = find(self.spec.photos, short, size)
        return photos.split(self.spec.hold_out)

    def _view(self, photos: Photos | None, index: int) -> Tensor:
        assert photos is not None
        return centre(photos.get(index), self.plan.view, max(16, self.task.multiple))

    def _begin_with(self, path: Path) -> None:
        model = networks.load(path, self.task.kind)
        if not self.task.adopt(model.network.state_dict()):
            raise UsageError(
                f"{path} has the architecture {model.architecture}",
                hint=f"the task has {self.task.architecture}",
            )

    def _measured(self, index: int) -> dict[str, float]:
        due = index == 1 or index % self.spec.validate_every == 0 or index == self.plan.steps
        if not due or not self._held or self.group.rank:
            return {}
        with self.training.averaged():
            self._figures = self.task.validate(self._held)
        return self._figures

    def _losses(self) -> dict[str, float]:
        names = self._recent[-1] if self._recent else ()
        return {n: float(torch.stack([t[n] for t in self._recent]).mean()) for n in names}


def make(name: str, asked: Asked) -> Task:
    """The task called ``name``.

    Raises:
        UnknownName: No such task.
    """
    module, _, member = TASKS.get(name).partition(":")
    made: Task = getattr(importlib.import_module(module), member)(asked)
    return made


def check_size(size: int, multiple: int) -> None:
    """Refuse pictures that the network cannot take.

    Raises:
        UsageError: ``size`` is not a multiple of ``multiple``.
    """
    if size % multiple:
        near = max(1, round(size / multiple)) * multiple
        raise UsageError(
            f"the network needs a size that is a multiple of {multiple}, not {size}",
            hint=f"--size {near}",
        )


def planned(plan: Plan, spec: TrainSpec) -> Plan:
    """The plan of a task with what a request says."""
    changes: dict[str, Any] = {
        "steps": spec.steps,
        "batch": spec.batch,
        "lr": spec.learning_rate,
        "crops": None if spec.size is None else dataclasses.replace(plan.crops, size=spec.size),
    }
    return dataclasses.replace(plan, **{k: v for k, v in changes.items() if v is not None})
