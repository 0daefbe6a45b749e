"""The decoder that learns to paint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto import images, samples
from impasto.errors import UsageError
from impasto.training.adain import AdainTask, apart, moments, renormalised, scales, variation
from impasto.training.decoder import DecoderTask, task
from impasto.training.group import Group
from impasto.training.loop import Training
from impasto.training.photos import Crops, Stream, find
from impasto.training.run import make
from impasto.training.shapes import drawn
from impasto.training.task import Asked

STYLES = tuple(images.load(samples.painting(n, (200, 240))) for n in ("nocturne", "woodblock"))
SETTINGS = {"mode": "adain", "parts": "1", "layers": "image+relu1_1", "layer": "relu2_1"}


def asked(**settings: str) -> Asked:
    return Asked(STYLES, settings={**SETTINGS, "begin": "decoder-relu2_1", **settings})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photos")
    for name in ("harbour", "still_life"):
        pixels = (samples.photo(name, (64, 80)) * 255).astype(np.uint8)
        Image.fromarray(pixels).save(place / f"{name}.png")
    return place


def test_moments_by_numpy() -> None:
    features = torch.randn(2, 5, 7, 6, generator=torch.Generator().manual_seed(0)) * 3 + 1
    mean, deviation = moments(features)
    rows = features.double().numpy().reshape(2, 5, -1)
    np.testing.assert_allclose(mean, rows.mean(2), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(deviation, np.sqrt(rows.var(2) + 1e-5), rtol=1e-5)


def test_features_get_the_moments() -> None:
    draw = torch.Generator().manual_seed(1)
    features = torch.randn(2, 4, 8, 8, generator=draw)
    features[:, 3] = 2.0  # nothing there to stretch
    wanted = torch.randn(2, 4, generator=draw), torch.rand(2, 4, generator=draw) + 0.5
    made = renormalised(features, wanted)
    have = moments(made)
    torch.testing.assert_close(have[0], wanted[0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(have[1][:, :3], wanted[1][:, :3], rtol=1e-3, atol=1e-3)
    assert float(apart(have, have, torch.ones(4))) == 0


def test_every_channel_counts_alike() -> None:
    mean, deviation = torch.rand(6, 3) + 1, torch.rand(6, 3) + 1
    large = torch.tensor([1.0, 10.0, 0.001])
    wanted = mean * large, deviation * large
    scale = scales(wanted)
    np.testing.assert_allclose(
        scale[:2], (wanted[0] ** 2 + wanted[1] ** 2).mean(0).sqrt()[:2], rtol=1e-5
    )
    one, other = (
        float(apart((wanted[0] * f, wanted[1] * f), wanted, scale))
        for f in (torch.tensor([2.0, 1, 1]), torch.tensor([1.0, 2, 1]))
    )
    assert one == pytest.approx(1 / 3, rel=1e-3)
    assert other == pytest.approx(1 / 3, rel=1e-3)
    dead = scales((torch.zeros(2, 3), torch.tensor([[0.0, 1, 1]] * 2)))
    assert float(dead.min()) > 0


def test_it_begins_as_the_one_that_reconstructs() -> None:
    made = AdainTask(asked())
    made.prepare(None)
    from impasto import networks
    from impasto.networks import shelf

    theirs = networks.load(shelf.locate("decoder-relu2_1"), "decoder").network
    features = torch.rand(1, 128, 8, 9)
    # Enlarged smoothly and with one block more, which is the identity still.
    torch.testing.assert_close(
        made.decoder.first(features), theirs.first(features), atol=0.2, rtol=0
    )
    assert not list(made.decoder.corrections)


def test_it_learns_to_paint(folder: Path) -> None:
    made = AdainTask(asked())
    plan = replace(made.plan, steps=20, batch=2, crops=Crops(48, (1.0, 1.2)), lr=2e-4, warmup=2)
    run = Training(made, plan, Stream(find([str(folder)], 58), plan.crops, 0), Group())
    run.begin()
    held = [torch.from_numpy(samples.photo("harbour", (64, 64))).permute(2, 0, 1)[None]] * 2
    before = made.validate(held)
    terms = {"content", "style", "plain", "calm"}
    assert all(set(taken.terms) == terms for taken in run.steps())
    assert made.validate(held)["style_held"] < 0.5 * before["style_held"]
    figures = made.validate(held)
    assert figures["loss"] == pytest.approx(figures["content_held"] + figures["style_held"])
    assert made.preview(held).shape == (1, 3, 4 * 64, 128)


def test_calm_takes_the_echoes_of_edges_away(folder: Path) -> None:
    """On scenes that it has not seen, with the weight and without."""
    found = []
    for weight in ("0", "100"):
        made = AdainTask(asked(calm=weight, drawn="2"))
        plan = replace(made.plan, steps=25, batch=1, crops=Crops(48), lr=1e-3, warmup=2)
        run = Training(made, plan, Stream(find([str(folder)], 58), plan.crops, 0), Group())
        run.begin()
        list(run.steps())
        scenes = drawn(4, 64, np.random.default_rng(99))
        which = torch.zeros(4, dtype=torch.long)
        with torch.no_grad():
            painted = made._painted(scenes, made._wanted(which)[made.layer])[0]
        found.append(float(variation(painted)))
    assert found[1] < 0.8 * found[0]


def test_scenes_that_are_drawn() -> None:
    scenes = drawn(6, 64, np.random.default_rng(5))
    assert scenes.shape == (6, 3, 64, 64)
    assert 0 <= float(scenes.min()) < float(scenes.max()) <= 1
    assert torch.equal(scenes, drawn(6, 64, np.random.default_rng(5)))
    assert len({float(s.mean()) for s in scenes}) == 6
    # Plain nearly everywhere, with some edges that are hard.
    steps = scenes.diff(dim=3).abs().amax(1)
    assert float((steps < 0.01).float().mean()) > 0.8
    assert float(steps.amax((1, 2)).min()) > 0.05


def test_variation_is_that_of_neighbours() -> None:
    ramp = torch.arange(12, dtype=torch.float64).view(1, 1, 3, 4)
    assert float(variation(ramp)) == pytest.approx(4 + 1)
    hill = torch.tensor([0.0, 1, 1, 1]).expand(1, 1, 4, 4)
    echoes = torch.tensor([0.0, 1, 0.5, 1]).expand(1, 1, 4, 4)
    assert float(variation(echoes)) > float(variation(hill))


def test_no_feature_asked_for_is_above_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen by the decoder: a dot in a plain photo is far beyond what any painting has."""
    made = AdainTask(asked(limit="2"))
    made.prepare(None)
    photo = torch.full((1, 3, 48, 48), 0.5)
    photo[..., 20:22, 20:22] = 1
    given: list[torch.Tensor] = []
    first = made.decoder.first

    def kept(features: torch.Tensor) -> torch.Tensor:
        given.append(features)
        return first(features)

    monkeypatch.setattr(made.decoder, "first", kept)
    made.objective(photo, 0)
    mean, deviation = made._styles[made.layer]
    tops = mean + 2 * deviation  # of every part of a painting
    highest = given[0].amax((2, 3))
    assert any(bool((highest <= top + 1e-4).all()) for top in tops)
    assert any(bool((highest >= top - 1e-4).any()) for top in tops)


def test_which_painting_is_a_function_of_the_step() -> None:
    made, batch = AdainTask(asked()), torch.rand(2, 3, 32, 32)
    made.prepare(None)
    one, again, other = (made.objective(batch, step)["style"] for step in (3, 3, 4))
    one, again, other = (v.detach() for v in (one, again, other))
    assert float(one) == float(again) != float(other)


def test_what_makes_no_sense() -> None:
    assert isinstance(task(Asked()), DecoderTask)
    with pytest.raises(UsageError, match="no mode 'wct'"):
        make("decoder", Asked(settings={"mode": "wct"}))
    with pytest.raises(UsageError, match="needs paintings"):
        make("decoder", Asked(settings={"mode": "adain"}))
    for bad in ("0", "-1", "nan"):
        with pytest.raises(UsageError, match="limit must be above 0"):
            AdainTask(asked(limit=bad))
    for bad in ({"drawn": "-1"}, {"calm": "-1"}, {"calm": "nan"}):
        with pytest.raises(UsageError, match="drawn and calm must be 0 or more"):
            AdainTask(asked(**bad))
    with pytest.raises(UsageError, match="no setting 'style'"):
        make("decoder", Asked(settings={"style": "3"}))
