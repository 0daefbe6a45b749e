"""Dreams: values and gradients against one pass in float64, tiles, the shape of the gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto.backbones import load
from impasto.engine import tiles
from impasto.engine.dreams import (
    Dream,
    Guided,
    LooseTiling,
    Loudness,
    _Summed,
    _sums,
    normalised,
    tiling,
)
from impasto.engine.gradients import even
from impasto.errors import UsageError
from impasto.testing import thin_vgg

NET = thin_vgg(dtype=torch.float64)
PICTURE = torch.rand(
    1, 3, 150, 170, generator=torch.Generator().manual_seed(2), dtype=torch.float64
)
GUIDE = torch.rand(40, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
SCORES = [Loudness("relu2_2"), Loudness("conv3_1", (1, 5)), Guided("pool2", GUIDE)]


def expected(image: torch.Tensor) -> list[torch.Tensor]:
    """The definitions, on the whole picture."""
    taps = NET.taps(image, ["relu2_2", "conv3_1", "pool2"])
    matches = torch.einsum("bchw,nc->bnhw", taps["pool2"], GUIDE).amax(1)
    return [
        (taps["relu2_2"] ** 2).sum(),
        (taps["conv3_1"][:, [1, 5]] ** 2).sum(),
        matches.sum(),
    ]


def test_sums():
    found = _sums(PICTURE, tiling(NET, 999, ["conv3_1", "relu2_2", "pool2"]), SCORES)
    np.testing.assert_allclose(found, [float(v) for v in expected(PICTURE)], rtol=1e-10)


@pytest.mark.parametrize("tile", [40, 64, 999])
def test_tiles_change_nothing(tile):
    """Values and gradient of a network with fixed padding, to the last digits."""
    layers = [s.layer for s in SCORES]
    factors = [2.0, 0.5, 3.0]
    leaf = PICTURE.clone().requires_grad_(True)
    value = _Summed.apply(leaf, tiling(NET, tile, layers), SCORES, factors)
    value.backward()
    whole = PICTURE.clone().requires_grad_(True)
    total = sum(f * v for f, v in zip(factors, expected(whole), strict=True))
    total.backward()
    assert float(value.detach()) == pytest.approx(float(total.detach()), rel=1e-10)
    torch.testing.assert_close(leaf.grad, whole.grad, rtol=1e-9, atol=1e-12)


def test_no_more_than_a_tile_is_seen(monkeypatch):
    sizes = []
    features = tiles.Tiling.features

    def watched(self, image, down, across):
        sizes.append(max(image.shape[-2:]))
        return features(self, image, down, across)

    monkeypatch.setattr(tiles.Tiling, "features", watched)
    dream = Dream(NET, [Loudness("relu2_2")], tile=32, jitter=8)
    dream(torch.rand(1, 3, 300, 200, dtype=torch.float64))
    halo = dream.tiling.halo
    assert len(sizes) > 50 and max(sizes) <= 32 + dream.tiling.grid + 2 * halo < 60


def test_loose_tiles_are_nearly_the_same():
    """SAME padding: features of tiles differ a little, and only near the seams."""
    net = load("efficientnet_lite0.in1k")
    scores = [Loudness("block9")]
    kind = tiling(net, 64, ["block9"])
    assert isinstance(kind, LooseTiling)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 40, 40, generator=generator)
    image = torch.nn.functional.interpolate(image, (256, 192), mode="bicubic").clamp(0, 1)
    part = float(_sums(image, kind, scores)[0])
    whole = float(_sums(image, tiling(net, 999, ["block9"]), scores)[0])
    assert part == pytest.approx(whole, rel=0.05)
    assert part != whole


def test_reported_relative_to_the_first_picture():
    dream = Dream(NET, SCORES, tile=999, jitter=0)
    assert float(dream(PICTURE)["excitation"]) == pytest.approx(-1)
    loud = dream((PICTURE * 1.5).clamp(0, 1.5))["excitation"]
    assert float(loud) < -1.1
    again = Dream(NET, SCORES, tile=999, jitter=0)
    again.load(dream.state())
    assert float(again(PICTURE * 1.2)["excitation"]) == float(dream(PICTURE * 1.2)["excitation"])


def test_the_gradient_is_even_and_mostly_grey():
    leaf = PICTURE.clone().requires_grad_(True)
    Dream(NET, SCORES, tile=999, chroma=0.0)(leaf)["excitation"].backward()
    assert float(leaf.grad.abs().sum()) == pytest.approx(1)
    torch.testing.assert_close(leaf.grad[:, 0], leaf.grad[:, 1])
    free = PICTURE.clone().requires_grad_(True)
    Dream(NET, SCORES, tile=999, chroma=1.0, levels=0, jitter=0)(free)["excitation"].backward()
    true = PICTURE.clone().requires_grad_(True)
    first = [float(v) for v in expected(PICTURE)]
    (-sum(v / f for v, f in zip(expected(true), first, strict=True)) / 3).backward()
    torch.testing.assert_close(free.grad, even(true.grad))


def test_normalised_octaves_have_equal_size(generator):
    from impasto.engine.pixels import laplacian_levels

    fine = torch.randn(1, 3, 64, 48, generator=generator, dtype=torch.float64)
    coarse = torch.randn(1, 3, 8, 6, generator=generator, dtype=torch.float64)
    gradient = 100 * fine + 0.01 * torch.nn.functional.interpolate(coarse, (64, 48))
    found = normalised(gradient, 3)
    levels = laplacian_levels(gradient, 3)
    total = levels[-1] / levels[-1].square().mean().sqrt()
    from impasto.images.resize import resize

    for level in levels[-2::-1]:
        size = (level.shape[-2], level.shape[-1])
        total = level / level.square().mean().sqrt() + resize(total, size, mode="bilinear")
    torch.testing.assert_close(found, total)
    share = resize(found, (16, 12)).square().mean() / found.square().mean()
    before = resize(gradient, (16, 12)).square().mean() / gradient.square().mean()
    assert share > 3 * before, "coarse shapes have a say"
    assert torch.equal(normalised(gradient, 0), gradient)
    assert not normalised(torch.zeros(1, 3, 9, 9), 4).any()


def test_shifts_are_drawn_from_seed_and_step():
    dream = Dream(NET, SCORES, tile=999, jitter=5, seed=1)
    drawn = [dream.shift(step) for step in range(200)]
    assert drawn == [dream.shift(step) for step in range(200)]
    assert {abs(n) for pair in drawn for n in pair} == set(range(6))
    assert drawn != [Dream(NET, SCORES, tile=999, jitter=5, seed=2).shift(i) for i in range(200)]


def test_refuses_channels_that_are_not_there():
    with pytest.raises(UsageError, match="channels 0 to 7, not 8"):
        Dream(NET, [Loudness("relu2_2", (8,))], tile=999)(PICTURE)
