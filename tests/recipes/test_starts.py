"""The starts: their moments, their limits, their names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.engine.pixels import laplacian_levels
from impasto.errors import UsageError
from impasto.styling import starts
from impasto.styling.starts import Start, draw, parse
from impasto.testing import gradient_picture

PHOTO = gradient_picture(150, 200)
ART = torch.tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 9, 9)


def start(init: str, seed: int = 0, mean: tuple[float, float, float] | None = None) -> Tensor:
    return draw(parse(init), PHOTO, [ART], torch.Generator().manual_seed(seed), mean)


def test_names() -> None:
    assert parse("content") == Start("content")
    assert parse("noise") == Start("noise")
    assert parse("noise:normal:0.001") == Start("noise", "normal", 0.001)
    assert parse("mix:0.25") == Start("noise", "flat", 0.0, 0.25)
    assert parse("mix:0.7:uniform:20") == Start("noise", "uniform", 20.0, 0.7)
    assert parse("noisy.png").kind == "picture"
    assert parse("C:\\noise.png").kind == "picture"


@pytest.mark.parametrize(
    "init",
    ["mix", "mix:", "mix:2", "mix:x", "mix:nan", "noise:", "noise:uniform", "noise:pink:3",
     "noise:normal:0", "noise:normal:-1", "noise:normal:nan", "mix:0.5:uniform",
     "noise:normal:3:4"],
)  # fmt: skip
def test_bad_names(init: str) -> None:
    with pytest.raises(UsageError, match="init"):
        parse(init)


def test_truncated_normal_of_s2() -> None:
    values = start("noise:truncated:20").double() * 255 - 127.5
    assert float(values.abs().max()) <= 40.001
    assert float(values.mean()) == pytest.approx(0, abs=0.3)
    # Deviation of a normal cut off at two deviations: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
    assert float(values.std()) == pytest.approx(20 * 0.8796, rel=0.01)


def test_uniform_noise_mixed_with_the_photo_as_in_s1() -> None:
    mean = torch.tensor([123.0, 117.0, 104.0]).view(3, 1, 1)
    found = start("mix:0.7:uniform:20", mean=(123, 117, 104)) * 255
    noise = found - mean - 0.3 * (PHOTO * 255 - mean)
    assert float(noise.abs().max()) <= 14.001
    assert float(noise.std()) == pytest.approx(0.7 * 20 / 3**0.5, rel=0.01)
    assert float(noise.mean()) == pytest.approx(0, abs=0.1)


def test_faint_noise_around_the_mean_pixel_as_in_neural_style() -> None:
    found = start("noise:normal:0.001").double() * 255
    pixel = torch.tensor(starts.MEAN_PIXEL, dtype=torch.float64).view(3, 1, 1)
    assert float((found - pixel).std()) == pytest.approx(0.001, rel=0.05)


def test_detail_has_the_paintings_colour_and_the_photos_edges() -> None:
    found = start("detail")
    assert torch.allclose(found.mean((2, 3)), ART.mean((2, 3)), atol=2e-3)
    detail = laplacian_levels(PHOTO, 2)[0]
    assert torch.allclose(found - ART[..., :1, :1], detail, atol=1e-6)


def test_seeds() -> None:
    for init in ("noise", "noise:uniform:9", "noise:normal:9", "noise:truncated:9", "mix:0.5"):
        assert torch.equal(start(init, 3), start(init, 3))
        assert not torch.equal(start(init, 3), start(init, 4))
    assert torch.equal(start("content"), PHOTO)
