"""The networks that come with impasto: what their cards say, and what they do to pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto import backbones, images, networks
from impasto.images.quality import psnr, ssim
from impasto.images.resize import resize
from impasto.images.tensors import to_tensor
from impasto.losses import Perceptual
from impasto.networks import Enhancer
from impasto.networks.enhance import enlarge
from impasto.networks.shelf import shipped

NAMES = [f"enhance-x{s}-{v}" for s in (2, 4) for v in ("perceptual", "pixel")]


def network(name: str) -> Enhancer:
    found = networks.load(shipped() / f"{name}.safetensors", "enhance").network
    assert isinstance(found, Enhancer)
    return found


def reduced(image: Tensor, scale: int) -> Tensor:
    size = (image.shape[-2] // scale, image.shape[-1] // scale)
    return (resize(image, size, mode="bicubic").clamp(0, 1) * 255).round() / 255


@pytest.fixture(scope="module")
def set5(shared: Path) -> list[Tensor]:
    found = [to_tensor(images.load(p)) for p in sorted((shared / "sr" / "Set5").glob("*.png"))]
    assert len(found) == 5
    return found


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_all_four_are_small() -> None:
    sizes = [(shipped() / f"{n}.safetensors").stat().st_size for n in NAMES]
    assert sum(sizes) < 4_000_000


@pytest.mark.parametrize("name", NAMES)
def test_cards_tell_what_they_are(name: str) -> None:
    kind, architecture, card = networks.read_card(shipped() / f"{name}.safetensors")
    assert (kind, card.task, card.licence) == ("enhance", "enhance", "MIT")
    assert f"scale={name[9]}" in architecture
    assert card.steps > 100
    assert card.losses["psnr"] > card.losses["bicubic"]
    options = card.settings["options"]
    assert (options["features"] > 0) == name.endswith("perceptual")


@pytest.mark.parametrize("name", NAMES)
def test_plain_areas_stay_plain(name: str) -> None:
    """No grid, no drift of colour."""
    net = network(name)
    for colour in torch.rand(6, 3, generator=torch.Generator().manual_seed(1)):
        flat = colour.view(1, 3, 1, 1).expand(1, 3, 12, 12).contiguous()
        error = enlarge(net, flat) - colour.view(1, 3, 1, 1)
        assert float(error.abs().max()) < 2.5 / 255


@pytest.mark.parametrize("name", NAMES)
def test_made_small_again_it_is_the_picture(name: str) -> None:
    draw = torch.Generator().manual_seed(2)
    small = resize(torch.rand(1, 3, 8, 8, generator=draw), (32, 32), mode="bicubic").clamp(0, 1)
    again = resize(enlarge(network(name), small), (32, 32), mode="bicubic")
    assert float((again - small).abs().mean()) < 2 / 255


@pytest.mark.data
def test_bicubic_interpolation_is_that_of_the_papers(set5: list[Tensor]) -> None:
    """Set5: 33.64 dB / 0.9292 twice, 28.42 / 0.8101 four times, where MATLAB rounds otherwise."""
    for scale, decibels, similar in ((2, 33.64, 0.9292), (4, 28.42, 0.8101)):
        made = [resize(reduced(t, scale), (t.shape[-2], t.shape[-1]), mode="bicubic") for t in set5]
        pairs = list(zip(made, set5, strict=True))
        assert mean([psnr(a, b, scale) for a, b in pairs]) == pytest.approx(decibels, abs=0.06)
        assert mean([ssim(a, b, scale) for a, b in pairs]) == pytest.approx(similar, abs=2e-3)


@pytest.mark.data
@pytest.mark.parametrize(("scale", "gain"), [(2, 2.0), (4, 1.5)])
def test_pixel_beats_bicubic_interpolation(set5: list[Tensor], scale: int, gain: float) -> None:
    net = network(f"enhance-x{scale}-pixel")
    gains, similar = [], []
    for true in set5:
        small = reduced(true, scale)
        made, plain = enlarge(net, small), net.plain(small)
        gains.append(psnr(made, true, scale) - psnr(plain, true, scale))
        similar.append(ssim(made, true, scale) - ssim(plain, true, scale))
    assert mean(gains) > gain
    assert mean(similar) > 0.02
    assert min(gains) > 0.5


@pytest.mark.data
@pytest.mark.parametrize("scale", [2, 4])
def test_perceptual_is_nearest_in_features(set5: list[Tensor], scale: int) -> None:
    """Those of a network that no model was trained with."""
    eyes, loss = backbones.load("efficientnet_lite0.in1k"), Perceptual()
    layers = ("stem", "block1_expand", "block3_expand", "block5_expand", "block9_expand")
    nets = {v: network(f"enhance-x{scale}-{v}") for v in ("perceptual", "pixel")}
    found: dict[str, list[float]] = {"bicubic": [], "perceptual": [], "pixel": []}
    for true in set5:
        small = reduced(true, scale)
        made = {name: enlarge(net, small) for name, net in nets.items()}
        made["bicubic"] = nets["pixel"].plain(small).clamp(0, 1)
        with torch.no_grad():
            goal = eyes.taps(true, layers)
            for name, picture in made.items():
                taps = eyes.taps(picture, layers)
                each = [float(loss(taps[n], loss.target(goal[n]))) for n in layers]
                found[name].append(mean(each))
    assert mean(found["perceptual"]) < mean(found["pixel"]) < mean(found["bicubic"])
