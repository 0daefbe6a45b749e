"""MGAN's generator learns to paint what its frozen encoder sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import impasto
from impasto import backbones, images, networks
from impasto.networks import MarkovianNet
from impasto.training.style import StyleTask
from impasto.training.task import Asked

from .test_style import drawn

SETTINGS = {"network": "mgan", "painting": 48, "critic": 0.5}


def apart_from_the_critic(row: dict[str, float]) -> float:
    return row["content"] + row["style"] + row["palette"]


def test_the_decoder_learns_and_the_encoder_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for i in range(4):
        images.save(drawn(56, 56, 10 + i).rgb, tmp_path / "photos" / f"{i}.png")
    images.save(drawn(60, 60, 30).rgb, tmp_path / "dusk.png")
    request = {"photos": "photos", "architecture": "width=16", "batch": 2, "size": 48}
    request |= {"hold_out": 1, "set": SETTINGS}
    made = impasto.train("dusk.png", **request, steps=20, output="m.safetensors")
    card = made.report["card"]
    # The critic's part grows as long as it learns faster than the painter.
    values = [apart_from_the_critic(row) for row in made.losses]
    assert sum(values[-3:]) < 0.7 * sum(values[:3])
    network = networks.load(tmp_path / "m.safetensors", "mgan").network
    assert isinstance(network, MarkovianNet)
    untrained = networks.build("mgan", card["settings"]["architecture"])
    assert isinstance(untrained, MarkovianNet)
    untrained.see(backbones.load())
    for mine, theirs in zip(
        network.encoder.parameters(), untrained.encoder.parameters(), strict=True
    ):
        assert torch.equal(mine, theirs)
    photo = drawn(50, 70, 7)
    first, other = (impasto.apply("m.safetensors", p.rgb).array for p in (photo, drawn(50, 70, 8)))
    assert first.shape == photo.rgb.shape
    assert np.abs(first - other).mean() > 0.01
    more = impasto.train(
        "dusk.png", **request, steps=1, output="n.safetensors", init="m.safetensors"
    )
    assert apart_from_the_critic(more.losses[0]) < 0.8 * values[0]


def test_the_critic_alone() -> None:
    """What Li & Wand train with: content and a critic, none of the recipe's style terms."""
    settings = {k: str(v) for k, v in SETTINGS.items()} | {"strength": "0", "smooth": "0"}
    task = StyleTask(Asked((drawn(48, 48, 1),), "width=8", settings))
    terms = task.objective(torch.rand(1, 3, 48, 48), 0)
    assert set(terms) == {"content", "critic"}


def test_a_word_about_the_encoder_is_not_taken_from_the_request() -> None:
    """Depths and pooling are those of the network that the recipe looks through."""
    settings = {k: str(v) for k, v in SETTINGS.items()}
    task = StyleTask(Asked((drawn(48, 48, 1),), "width=8,three=2,encoder=9", settings))
    assert isinstance(task.painter, MarkovianNet)
    assert len(task.painter.encoder) == 8
    assert networks.build("mgan", task.architecture).state_dict().keys() == (
        task.painter.state_dict().keys()
    )
