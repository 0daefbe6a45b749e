"""Style networks learn the recipe's own objective."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto import images, jobs, networks
from impasto.engine.objective import Objective, goal_for
from impasto.errors import UsageError
from impasto.events import Finished, Step
from impasto.images import Picture
from impasto.images.tensors import to_tensor
from impasto.networks.fast import paint
from impasto.recipes import find_recipe
from impasto.specs import OutputSpec, TrainSpec
from impasto.training.style import StyleTask, made
from impasto.training.task import Asked

LEAN = "width=8,blocks=1,half=6,full=4"


def drawn(height: int, width: int, seed: int) -> Picture:
    """A smooth random picture."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 255, (4, 4, 3), dtype=np.uint8))
    return images.load(small.resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def task() -> StyleTask:
    settings = {"painting": "48", "strength": "0.5", "smooth": "2"}
    return StyleTask(Asked((drawn(48, 60, 1), drawn(50, 40, 2)), LEAN, settings))


def test_values_are_those_of_the_recipe(task: StyleTask) -> None:
    photo, painted = to_tensor(drawn(48, 48, 3)), to_tensor(drawn(48, 48, 4))
    terms = [made(t) for t in find_recipe("impasto").terms]
    painting = to_tensor(drawn(50, 40, 2))
    from impasto.images.resize import resize

    painting = resize(painting, (48, 38)).clamp(0, 1)
    goals = [
        goal_for(t, task.backbone, [painting if t.name in ("style", "palette") else photo], (1.0,))
        for t in terms
    ]
    want = Objective(task.backbone, goals)(painted)
    have = task.values(painted, photo, 1)
    factors = {"content": 1.0, "style": 0.5, "palette": 0.5, "tv": 2.0}
    assert set(have) == set(factors)
    for name, factor in factors.items():
        assert float(have[name]) == pytest.approx(factor * float(want[name]), rel=1e-5)


def test_styles_take_turns_through_the_batch(task: StyleTask) -> None:
    batch = torch.cat([to_tensor(drawn(48, 48, s)) for s in (5, 6)])
    with torch.no_grad():
        both = task.objective(batch, 0)
        painted = [task.painter(batch[i : i + 1], torch.eye(2)[i : i + 1]) for i in range(2)]
        alone = [task.values(painted[i], batch[i : i + 1], i) for i in range(2)]
        odd = task.objective(batch[:1], 1)
        other = task.painter(batch[:1], torch.eye(2)[1:])
    for name, value in both.items():
        mean = (alone[0][name] + alone[1][name]) / 2
        assert float(value) == pytest.approx(float(mean), rel=1e-4)
    assert float(odd["style"]) == pytest.approx(
        float(task.values(other, batch[:1], 1)["style"]), rel=1e-4
    )


def test_a_task_without_paintings_is_refused() -> None:
    with pytest.raises(UsageError, match="needs paintings"):
        StyleTask(Asked())


def test_training_lowers_the_loss_and_the_file_paints(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        images.save(drawn(56, 56, 10 + i).rgb, folder / f"{i}.png")
    painting = tmp_path / "painting.png"
    images.save(drawn(60, 60, 30).rgb, painting)
    spec = TrainSpec.build(
        style=(str(painting),), photos=str(folder), task="style", architecture=LEAN, steps=24,
        batch=2, size=48, hold_out=2, validate_every=24, learning_rate=0.01,
        set=("painting=48",),
    )  # fmt: skip
    path = tmp_path / "m.safetensors"
    events = list(jobs.run(spec, OutputSpec.build(output=str(path))))
    steps = [e for e in events if isinstance(e, Step)]
    assert sum(e.loss for e in steps[-4:]) < 0.9 * sum(e.loss for e in steps[:4])
    assert steps[-1].figures["loss"] < steps[0].figures["loss"] <= steps[0].figures["photo"] * 1.1
    assert isinstance(events[-1], Finished)
    model = networks.load(path, "fast")
    assert model.architecture.endswith("styles=1")
    assert model.card.data == "4 photos; painting"
    assert isinstance(model.network, networks.FastNet)
    image = to_tensor(drawn(50, 70, 7))
    result = paint(model.network, image)
    assert result.shape == image.shape
    assert float((result - image).abs().mean()) > 0.02
