"""Networks of textures, and critics, learn and go on exactly."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

import impasto
from impasto import images, networks
from impasto.errors import UsageError
from impasto.training.group import Group
from impasto.training.loop import Training
from impasto.training.photos import Crops, Stream, find
from impasto.training.style import StyleTask
from impasto.training.task import Asked, Plan, Task
from impasto.training.texture import TextureTask
from impasto.training.variety import alike

from .test_style import drawn

WEAVER = "scales=3,width=4"


def woven(**settings: str) -> TextureTask:
    task = TextureTask(Asked((drawn(48, 48, 1),), WEAVER, {"painting": "48", **settings}))
    task.plan = Plan(steps=12, batch=2, crops=Crops(32), lr=0.02, warmup=2)
    return task


def judged() -> StyleTask:
    settings = {"painting": "48", "critic": "0.5", "network": "johnson"}
    task = StyleTask(Asked((drawn(48, 48, 1),), "c3s1-6,d8,R8,u6,c3s1-3", settings))
    task.plan = Plan(steps=12, batch=1, crops=Crops(32), lr=0.02, warmup=2)
    return task


def noisy() -> StyleTask:
    settings = {"painting": "48", "diversity": "0.02", "network": "ulyanov"}
    task = StyleTask(Asked((drawn(48, 48, 1),), WEAVER, settings))
    task.plan = Plan(steps=12, batch=1, crops=Crops(32), lr=0.02, warmup=2)
    return task


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photos")
    for i in range(3):
        images.save(drawn(40, 40, 10 + i).rgb, place / f"{i}.png")
    return place


def training(task: Task, folder: Path) -> Training:
    photos = find([str(folder)], 40) if task.needs_photos else None
    stream = Stream(photos, task.plan.crops, 7) if photos else None
    return Training(task, task.plan, stream, Group())


@pytest.mark.parametrize("make", [woven, judged, noisy])
def test_it_learns_and_goes_on_exactly(make, folder: Path) -> None:
    whole = training(make(), folder)
    expected = [{n: float(v) for n, v in taken.terms.items()} for taken in whole.steps()]
    held = [e for e in expected[0] if e not in ("critic", "content", "diversity")]
    first, last = (
        sum(sum(e[n] for n in held) for e in part) for part in (expected[:3], expected[-3:])
    )
    assert last < 0.9 * first
    begun, taken = training(make(), folder), []
    for step in begun.steps():
        taken.append({n: float(v) for n, v in step.terms.items()})
        if step.index == 5:
            break
    buffer = io.BytesIO()
    torch.save(begun.state(), buffer)
    buffer.seek(0)
    again = training(make(), folder)
    again.load(torch.load(buffer, weights_only=True))
    taken += [{n: float(v) for n, v in step.terms.items()} for step in again.steps()]
    assert taken == expected


def test_a_critic_learns_and_judges(folder: Path) -> None:
    task = judged()
    before = task.critics[0][-1].clone()
    terms = task.objective(torch.rand(1, 3, 32, 32), 0)
    assert float(terms["critic"].detach()) > 0
    assert not torch.equal(before, task.critics[0][-1])


def test_a_critic_learns_from_the_whole_batch_whatever_its_order() -> None:
    batch, found = torch.rand(2, 3, 32, 32), []
    for pictures in (batch, batch.flip(0)):
        task = judged()
        task.objective(pictures, 0)
        found.append(task.critics[0][-1])
    assert float(found[0][3, 0]) == 1  # one step
    torch.testing.assert_close(found[0], found[1])


def test_alike_is_the_formula() -> None:
    pictures = torch.rand(3, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    flat = pictures.flatten(1).double().numpy()
    near = [
        min(((a - b) ** 2).mean() for j, b in enumerate(flat) if j != i) for i, a in enumerate(flat)
    ]
    assert float(alike(pictures)) == pytest.approx(-np.log(np.array(near) + 1e-8).mean(), rel=1e-5)


def test_one_exemplar() -> None:
    with pytest.raises(UsageError, match="needs 1 exemplar, not 2"):
        TextureTask(Asked((drawn(48, 48, 1), drawn(48, 48, 2))))


def test_trained_and_applied_in_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    images.save(drawn(48, 48, 1).rgb, "exemplar.png")
    impasto.train(
        "exemplar.png", task="texture", architecture=WEAVER, steps=2, batch=2, size=32,
        set={"painting": 48, "seamless": 1, "diversity": 0.1}, output="t.safetensors",
    )  # fmt: skip
    assert networks.load(tmp_path / "t.safetensors").kind == "texture"
    made = impasto.apply("t.safetensors", "50x34", seed=3)
    assert made.array.shape == (34, 50, 3)
    assert not np.array_equal(made.array, impasto.apply("t.safetensors", "50x34").array)
    with pytest.raises(UsageError, match="is no size"):
        impasto.apply("t.safetensors", "4x99999")
    with pytest.raises(UsageError, match="paints no photos"):
        impasto.apply("t.safetensors", drawn(48, 48, 1).rgb)
