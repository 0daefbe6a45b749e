"""The loop and the job around it."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from impasto import jobs, networks, outputs
from impasto.errors import Diverged, UnknownName, UsageError
from impasto.events import Finished, Started, Step
from impasto.specs import OutputSpec, TrainSpec
from impasto.training.group import Group
from impasto.training.loop import Training
from impasto.training.photos import Crops, Stream, find
from impasto.training.task import Asked, Plan, Task


class Line(Task):
    """A convolution learns to halve pictures; with noise of its own, and a thing it remembers."""

    kind, architecture = "line", ""

    def __init__(self, broken: tuple[int, ...] = ()) -> None:
        torch.manual_seed(0)
        self.network = nn.Conv2d(3, 3, 1)
        self.plan = Plan(steps=12, batch=4, crops=Crops(8), lr=0.05, warmup=2, average=0.9)
        self.broken, self.seen = broken, 0.0

    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        self.seen += float(batch.sum())
        draw = torch.randn(3, generator=torch.Generator().manual_seed(step)) * 0.01
        value = (self.network(batch) - batch / 2 - draw.view(3, 1, 1)).square().mean()
        return {"value": value * (math.nan if step in self.broken else 1), "zero": 0 * value}

    def validate(self, photos: Sequence[Tensor]) -> dict[str, float]:
        return {"error": float((self.network(photos[0]) - photos[0] / 2).square().mean())}

    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        return self.network(photos[0]).detach()

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photos")
    draw = torch.Generator().manual_seed(3)
    for i in range(6):
        pixels = torch.randint(0, 256, (5, 6, 3), generator=draw, dtype=torch.uint8)
        Image.fromarray(pixels.numpy()).resize((60, 50), Image.Resampling.BICUBIC).save(
            place / f"{i}.png"
        )
    return place


def training(folder: Path, task: Line | None = None, group: Group | None = None) -> Training:
    task = task or Line()
    return Training(
        task, task.plan, Stream(find([str(folder)], 50), task.plan.crops, 7), group or Group()
    )


def values(run: Training) -> list[float]:
    return [float(taken.terms["value"]) for taken in run.steps()]


def test_it_learns(folder: Path) -> None:
    task = Line()
    task.plan = replace(task.plan, steps=200)
    found = values(training(folder, task))
    assert len(found) == 200
    assert sum(found[-10:]) < 0.02 * sum(found[:10])


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_resumed_training_is_the_uninterrupted_one(folder: Path, stop: int) -> None:
    whole = training(folder)
    expected = values(whole)
    first = training(folder)
    taken = []
    for step in first.steps():
        taken.append(float(step.terms["value"]))
        if step.index == stop:
            break
    buffer = io.BytesIO()
    torch.save(first.state(), buffer)
    buffer.seek(0)
    second = training(folder)
    second.load(torch.load(buffer, weights_only=True))
    assert taken + values(second) == expected
    for mine, theirs in zip(
        second.parameters + second.mean, whole.parameters + whole.mean, strict=True
    ):
        assert torch.equal(mine, theirs)
    assert second.task.state() == whole.task.state()


def test_a_step_that_is_not_finite_is_not_taken(folder: Path) -> None:
    run = training(folder, Line(broken=(3, 4)))
    before: list[Tensor] = []
    for taken in run.steps():
        if taken.index == 3:
            before = [p.detach().clone() for p in run.parameters]
        if taken.index in (4, 5):
            assert not math.isfinite(float(taken.terms["value"]))
            assert all(torch.equal(a, b) for a, b in zip(before, run.parameters, strict=True))
    assert run.halved == 2
    assert all(torch.isfinite(p).all() for p in run.parameters)
    with pytest.raises(Diverged, match="5 times in a row, at step 6"):
        values(training(folder, Line(broken=tuple(range(1, 12)))))


def test_the_result_is_the_mean_of_the_weights(folder: Path) -> None:
    run = training(folder)
    mean = [p.detach().clone() for p in run.parameters]
    for taken in run.steps():
        decay = min(0.9, taken.index / (taken.index + 9))
        mean = [
            decay * m + (1 - decay) * p.detach() for m, p in zip(mean, run.parameters, strict=True)
        ]
    now = [p.detach().clone() for p in run.parameters]
    with run.averaged() as network:
        for mine, want in zip(network.parameters(), mean, strict=True):
            torch.testing.assert_close(mine, want)
        assert not network.training
    assert all(torch.equal(a, b) for a, b in zip(now, run.parameters, strict=True))


def test_the_step_size_rises_and_falls(folder: Path) -> None:
    run = training(folder)
    rates = []
    for done in range(13):
        run.done = done
        rates.append(run.rate())
    assert rates[0] == pytest.approx(0.025)
    assert max(rates) < 0.05
    assert rates[1:] == sorted(rates[1:], reverse=True)
    assert rates[12] == pytest.approx(0.05 * 0.01)


def test_a_batch_must_be_shared_evenly() -> None:
    Group(0, 2).check(4)
    with pytest.raises(UsageError, match="cannot be shared by 3"):
        Group(0, 3).check(4)


QUICK: dict[str, Any] = {
    "set": ("layer=relu1_1", "fitted=8"),
    "steps": 6,
    "batch": 2,
    "size": 32,
    "hold_out": 2,
    "validate_every": 3,
    "device": "cpu",
}


def run(folder: Path, output: Path | None, stop: int | None = None, **more: Any) -> list[Any]:
    given = {k: more.pop(k) for k in ("resume", "force", "log") if k in more}
    spec = TrainSpec.build(photos=str(folder), **{**QUICK, **more})
    out = OutputSpec.build(output=str(output) if output else None, **given)
    events = []
    job = jobs.run(spec, out)
    for event in job:
        events.append(event)
        if isinstance(event, Step) and event.index == stop:
            job.close()  # type: ignore[attr-defined]
            break
    return events


def test_a_job_from_photos_to_a_model(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    events = run(folder, path, licence="CC0-1.0")
    assert isinstance(events[0], Started)
    assert "4 photos" in events[0].notes
    steps = [e for e in events if isinstance(e, Step)]
    assert [s.index for s in steps] == [1, 2, 3, 4, 5, 6]
    assert [bool(s.figures) for s in steps] == [True, False, True, False, False, True]
    assert isinstance(events[-1], Finished)
    assert events[-1].path == str(path)
    model = networks.load(path, "decoder")
    assert model.card.steps == 6
    assert model.card.licence == "CC0-1.0"
    assert model.card.data == "4 photos"
    assert model.card.losses["psnr"] == steps[-1].figures["psnr"] > 25
    assert str(folder) not in str(model.card)


def test_a_stopped_job_goes_on_exactly(folder: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    run(folder, whole)
    run(folder, parts, stop=4, log=str(tmp_path / "log.jsonl"))
    assert networks.load(parts).card.steps == 4
    assert outputs.checkpoint_path(str(parts)).exists()
    run(folder, parts, resume=True, log=str(tmp_path / "log.jsonl"))
    mine, theirs = networks.load(parts), networks.load(whole)
    for name, value in mine.network.state_dict().items():
        assert torch.equal(value, theirs.network.state_dict()[name])
    assert mine.card.losses["psnr"] == theirs.card.losses["psnr"]
    assert not outputs.checkpoint_path(str(parts)).exists()
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 6


def test_a_checkpoint_of_other_settings_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    run(folder, path, stop=2)
    with pytest.raises(UsageError, match="other settings"):
        run(folder, path, resume=True, batch=3)


def test_a_model_to_begin_with(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    run(folder, path, precision="full")
    again = [e for e in run(folder, None, init=str(path), steps=1) if isinstance(e, Step)]
    assert again[0].figures["psnr"] == pytest.approx(networks.load(path).card.losses["psnr"], abs=1)
    with pytest.raises(UsageError, match="has the architecture"):
        run(folder, None, init=str(path), architecture="width=16")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"task": "decodr"}, "did you mean decoder"),
        ({"set": ("layer=relu9_9",)}, "unknown layer"),
        ({"set": ("colour=1",)}, "no setting 'colour'"),
        ({"set": ("fitted=x",)}, "must be a number"),
        ({"photos": ()}, "needs photos"),
    ],
)
def test_what_makes_no_sense(folder: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises((UsageError, UnknownName), match=message):
        jobs.prepare(
            TrainSpec.build(**{**QUICK, "photos": str(folder), **more}), OutputSpec.build()
        )


def test_the_output_is_a_model(folder: Path) -> None:
    for name in ("m.png", "-", "model"):
        with pytest.raises(UsageError, match="no name for a model"):
            run(folder, Path(name))


def test_settings_are_read_in_their_types() -> None:
    asked = Asked(settings={"a": "2", "b": "x"})
    assert asked.read({"a": 0.5, "b": "y", "c": 3}) == {"a": 2.0, "b": "x", "c": 3}
