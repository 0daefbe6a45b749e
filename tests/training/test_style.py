"""Style networks learn the recipe's own objective."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import impasto
from impasto import images, jobs, networks
from impasto.engine.objective import Objective, goal_for
from impasto.errors import UsageError
from impasto.events import Finished, Step
from impasto.images import Picture
from impasto.images.tensors import to_tensor
from impasto.networks.fast import paint
from impasto.recipes import find_recipe
from impasto.specs import OutputSpec, TrainSpec
from impasto.training.board import board
from impasto.training.style import StyleTask, made
from impasto.training.task import Asked

SOURCE = str(Path(impasto.__file__).resolve().parents[1])
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


def test_convolutions_in_bfloat16_give_nearly_the_same() -> None:
    """Rounded to eight bits on the way, so within a percent; figures are exact."""
    settings = {"painting": "48", "strength": "0.5"}
    batch = torch.cat([to_tensor(drawn(48, 48, s)) for s in (5, 6)])
    found = {}
    for kind in ("float32", "bfloat16"):
        asked = Asked((drawn(48, 60, 1),), LEAN + ",sight=1", settings | {"convolutions": kind})
        task = StyleTask(asked)
        terms = task.objective(batch, 0)
        torch.stack(list(terms.values())).sum().backward()
        pulls = [p.grad for n, p in task.network.named_parameters() if n == "last.weight"]
        assert pulls[0] is not None
        terms = {n: v.detach() for n, v in terms.items()}
        found[kind] = terms, pulls[0], task.validate(list(batch.split(1)))
    exact, brief = found["float32"], found["bfloat16"]
    for name, value in exact[0].items():
        if name != "content":  # a rounding of nothing: the network begins as the photo, nearly
            assert float(brief[0][name]) == pytest.approx(float(value), rel=0.02)
    assert torch.nn.functional.cosine_similarity(exact[1].flatten(), brief[1].flatten(), 0) > 0.98
    assert not torch.equal(exact[1], brief[1])
    assert brief[2] == pytest.approx(exact[2], rel=1e-4)
    with pytest.raises(UsageError, match="convolutions in float8"):
        StyleTask(Asked((drawn(48, 60, 1),), LEAN, settings | {"convolutions": "float8"}))


def test_a_network_gains_sight_and_paints_the_same_at_first(task: StyleTask) -> None:
    blind, seeing, usual = (
        StyleTask(Asked(task.asked.styles, architecture, {"painting": "48"}))
        for architecture in (LEAN, LEAN + ",sight=1", None)
    )
    photo = to_tensor(drawn(48, 48, 3))
    with torch.no_grad():
        for parameter in blind.network.parameters():
            parameter.add_(0.01)
        assert (blind._shown(photo, 1) - seeing._shown(photo, 1)).abs().max() > 1e-3
        assert seeing.adopt(blind.network.state_dict())
        torch.testing.assert_close(seeing._shown(photo, 1), blind._shown(photo, 1))
    assert usual.painter.multiple == 8  # with sight, unless another architecture is asked for
    assert not blind.adopt(seeing.network.state_dict())  # what it has seen cannot be left out


def test_a_task_without_paintings_is_refused() -> None:
    with pytest.raises(UsageError, match="needs paintings"):
        StyleTask(Asked())


def folder_of(place: Path) -> dict[str, Any]:
    """Six photos and a painting, and what a short training asks for."""
    (place / "photos").mkdir()
    for i in range(6):
        images.save(drawn(56, 56, 10 + i).rgb, place / "photos" / f"{i}.png")
    images.save(drawn(60, 60, 30).rgb, place / "painting.png")
    return {
        "style": (str(place / "painting.png"),),
        "photos": str(place / "photos"),
        "architecture": LEAN,
        "batch": 2,
        "size": 48,
        "hold_out": 2,
        "set": ("painting=48",),
    }


def test_training_lowers_the_loss_and_the_file_paints(tmp_path: Path) -> None:
    spec = TrainSpec.build(**folder_of(tmp_path), steps=24, validate_every=24, learning_rate=0.01)
    assert spec.what == "style"
    path = tmp_path / "m.safetensors"
    events = list(jobs.run(spec, OutputSpec.build(output=str(path))))
    steps = [e for e in events if isinstance(e, Step)]
    assert sum(e.loss for e in steps[-4:]) < 0.9 * sum(e.loss for e in steps[:4])
    assert steps[-1].figures["loss"] < steps[0].figures["loss"] <= steps[0].figures["photo"] * 1.1
    assert isinstance(events[-1], Finished)
    model = networks.load(path, "fast")
    assert model.architecture.endswith("styles=1")
    assert model.card.data == "4 photos; painting"
    assert model.card.styles == ["painting"]
    assert isinstance(model.network, networks.FastNet)
    image = to_tensor(drawn(50, 70, 7))
    result = paint(model.network, image)
    assert result.shape == image.shape
    assert float((result - image).abs().mean()) > 0.02


def test_every_photo_in_several_styles(task: StyleTask) -> None:
    paintings, settings = (drawn(48, 60, 1), drawn(50, 40, 2)), {"painting": "48"}
    both = StyleTask(Asked(paintings, LEAN, {**settings, "each": "2"}))
    alone = StyleTask(Asked(paintings, LEAN, settings))
    photo = to_tensor(drawn(48, 48, 5))
    with torch.no_grad():
        have = both.objective(photo, 3)
        found = [alone.objective(photo, step) for step in (0, 1)]
    for name, value in have.items():
        mean = (found[0][name] + found[1][name]) / 2
        assert float(value) == pytest.approx(float(mean), rel=1e-4)


def test_python_tensorboard_and_onnx(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    request = folder_of(tmp_path)
    onnx, events = tmp_path / "m.onnx", tmp_path / "board"
    made = impasto.train(
        request.pop("style"), **request, steps=2, output=tmp_path / "m.safetensors",
        onnx=str(onnx), tensorboard=str(events),
    )  # fmt: skip
    assert made.report["card"]["task"] == "style"
    assert len(made.losses) == 2
    assert any(p.name.startswith("events") and p.stat().st_size > 500 for p in events.iterdir())
    assert onnxruntime.InferenceSession(str(onnx)).get_inputs()[0].name == "image"
    with pytest.raises(UsageError, match="exists"):
        impasto.train(tmp_path / "painting.png", **request, onnx=str(onnx))


def test_without_tensorboard_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match="--tensorboard needs a further package"):
        board(str(tmp_path))
    assert board(None) is None


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["critic=0.5"]])
def test_two_processes_are_one(tmp_path: Path, more: list[str]) -> None:
    """`torchrun` with two processes of gloo: the losses of one process, and one who talks."""
    request = folder_of(tmp_path)
    command = ["impasto", "train", *request["style"] * 2]
    for name in ("photos", "architecture", "batch", "size"):
        command += [f"--{name}", str(request[name])]
    command += ["--hold-out", "2", "--set", "painting=48", *more, "--steps", "5", "--device", "cpu"]
    rows, environment = {}, {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": SOURCE}
    for count in (1, 2):
        name = str(tmp_path / f"{count}")
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        # The launcher takes --log for an option of its own, unless a -- is before the module.
        run = [sys.executable, *([*launcher, "-m", "--"] if count > 1 else ["-m"]), *command]
        done = subprocess.run(
            [*run, "-o", f"{name}.safetensors", "--log", f"{name}.jsonl"],
            env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [f"{name}.safetensors"]
        rows[count] = [json.loads(line) for line in Path(f"{name}.jsonl").read_text().splitlines()]
    assert len(rows[1]) == len(rows[2]) == 5
    for one, two in zip(rows[1], rows[2], strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=2e-4)
    first, second = (networks.load(tmp_path / f"{n}.safetensors").network for n in (1, 2))
    for mine, theirs in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=3e-3)
