"""Ulyanov's network paints photos, each seed another picture; styles join a trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import impasto
from impasto import images, networks
from impasto.errors import UsageError
from impasto.images.tensors import to_tensor
from impasto.networks import UlyanovNet
from impasto.networks.fast import paint
from impasto.training.style import StyleTask, restyled
from impasto.training.task import Asked
from impasto.training.variety import alike, noise_at

from .test_style import LEAN, drawn

WEAVER = "scales=3,width=4"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos, two paintings."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(5):
        images.save(drawn(56, 56, 10 + i).rgb, tmp_path / "photos" / f"{i}.png")
    for i, name in enumerate(("dusk", "dawn")):
        images.save(drawn(60, 60, 30 + i).rgb, tmp_path / f"{name}.png")
    return tmp_path


def trained(steps: int, output: str, **settings: object) -> impasto.Result:
    return impasto.train(
        "dusk.png", photos="photos", architecture=WEAVER, steps=steps, batch=1, size=48,
        hold_out=1, learning_rate=0.1, output=output,
        set={"network": "ulyanov", "painting": 48, **settings},
    )  # fmt: skip


def test_each_seed_is_another_picture_the_more_so_with_diversity(here: Path) -> None:
    plain, pushed = (
        trained(16, f"{weight}.safetensors", diversity=weight).report["card"]["losses"]
        for weight in (0.0, 0.3)
    )
    assert pushed["variety"] > 1.2 * plain["variety"] > 0
    image = drawn(50, 70, 7)
    first, again, other = (
        impasto.apply("0.3.safetensors", image.rgb, seed=seed).array for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 0.003
    network = networks.load(here / "0.3.safetensors", "ulyanov").network
    assert isinstance(network, UlyanovNet)
    want = paint(network, to_tensor(image), seed=1)[0].permute(1, 2, 0).numpy()
    assert np.abs(first - want).max() < 1e-5
    stylized = impasto.stylize(image.rgb, recipe="fast:./0.3.safetensors", size=70, seed=2)
    assert np.abs(stylized.array - other).max() < 1e-4
    assert stylized.settings["seed"] == 2


def test_two_noises_of_each_photo_and_style() -> None:
    paintings = (drawn(48, 60, 1), drawn(50, 40, 2))
    settings = {"painting": "48", "network": "ulyanov", "diversity": "0.5", "each": "2"}
    task = StyleTask(Asked(paintings, WEAVER, settings, seed=5))
    draw = torch.Generator().manual_seed(1)
    for parameter in task.painter.parameters():
        parameter.data += torch.randn(parameter.shape, generator=draw) * 0.2
    photo = to_tensor(drawn(48, 48, 5))
    with torch.no_grad():
        have = task.objective(photo, 3)
        noise = noise_at(5, 3, (4, 3, 48, 48))
        made = [
            task.painter(photo, torch.eye(2)[row : row + 1], noise[i : i + 1])
            for i, row in enumerate((0, 0, 1, 1))
        ]
        apart = [alike(torch.cat(made[:2])), alike(torch.cat(made[2:]))]
        values = [task.values(m, photo, row) for m, row in zip(made, (0, 0, 1, 1), strict=True)]
    assert float(have["diversity"]) == pytest.approx(0.25 * float(sum(apart)), rel=1e-4)
    for name in values[0]:
        mean = sum(float(v[name]) for v in values) / 4
        assert float(have[name]) == pytest.approx(mean, rel=1e-4)


def test_what_makes_no_sense_is_refused(here: Path) -> None:
    with pytest.raises(UsageError, match="kind fast has no noise"):
        StyleTask(Asked((drawn(48, 48, 1),), None, {"diversity": "1"}))
    request = {"photos": "photos", "steps": 1, "hold_out": 0}
    settings = {"network": "ulyanov", "painting": 48}
    with pytest.raises(UsageError, match=r"multiple of 4, not 50 \(--size 48\)"):
        impasto.train("dusk.png", **request, size=50, architecture=WEAVER, set=settings)
    with pytest.raises(UsageError, match="multiple of 8, not 50"):
        impasto.train("dusk.png", **request, size=50)
    with pytest.raises(UsageError, match="kind texture paint no photos"):
        impasto.train("dusk.png", **request, set={"network": "texture"})


def test_without_photos_kept_aside_there_is_still_a_picture(here: Path) -> None:
    made = impasto.train(
        "dusk.png", photos="photos", architecture=LEAN, steps=1, batch=1, size=48, hold_out=0,
        set={"painting": 48}, output="one.safetensors",
    )  # fmt: skip
    assert made.array.shape == (96, 96, 3)
    assert (here / "one.safetensors").is_file()


def test_styles_join_a_trained_network_and_mix(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_MODELS", str(here))
    request = {"photos": "photos", "architecture": LEAN, "batch": 2, "size": 48, "hold_out": 1}
    request |= {"set": {"painting": 48}, "learning_rate": 0.1}
    impasto.train("dusk.png", **request, steps=6, output="one.safetensors")
    both = ("dusk.png", "dawn.png")
    impasto.train(both, **request, steps=12, output="two.safetensors", init="one")
    begun = StyleTask(Asked((drawn(48, 48, 1),) * 2, LEAN, {"painting": "48"}))
    one = networks.load(here / "one.safetensors").network
    assert begun.adopt(one.state_dict())
    photo = to_tensor(drawn(48, 48, 3))
    for row in torch.eye(2).split(1):
        assert torch.allclose(begun.painter(photo, row), one(photo), atol=1e-6)
    assert not begun.adopt(networks.build("fast", "width=4").state_dict())

    image = drawn(50, 70, 7).rgb
    dusk, dawn = (impasto.apply("two", image, style=name).array for name in ("dusk", "dawn"))
    mixed = impasto.apply("two", image, style=("dusk", "dawn"), style_blend=(1, 1)).array
    apart = np.abs(dusk - dawn).mean()
    assert apart > 0.01
    # Between the two, and neither of them.
    assert max(np.abs(mixed - x).mean() for x in (dusk, dawn)) < apart
    assert min(np.abs(mixed - x).mean() for x in (dusk, dawn)) > 0.2 * apart


def test_styles_beyond_those_there_are_are_their_mean() -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    assert torch.equal(restyled(rows, 1), rows[:1])
    assert torch.equal(restyled(rows, 4), torch.tensor([[1.0, 2], [3, 6], [2, 4], [2, 4]]))
