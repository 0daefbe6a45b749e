"""A layer restyled: regions, strength, tiles."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from impasto import backbones, samples
from impasto.errors import UsageError, WeightsError
from impasto.losses.wasserstein import Wasserstein, matrix_root
from impasto.networks import shelf
from impasto.testing import gradient_picture
from impasto.universal import Coders, Gaussian, Region, levels, restyled

LAYERS = ["relu1_1", "relu2_1", "relu3_1"]
#: Share of the distance to the painting that may be left; the deep read-out is blurred most.
NEARER = {"image": 0.3, "relu1_1": 0.5, "relu2_1": 0.5, "relu3_1": 0.65}


@pytest.fixture(scope="module")
def coders() -> Coders:
    return Coders(backbones.load(pooling="avg", normalized=True))


def noisy(height: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    small = torch.rand(1, 3, height // 4 + 1, width // 4 + 1, generator=generator)
    return torch.nn.functional.interpolate(small, size=(height, width), mode="bicubic").clamp(0, 1)


def target(coders: Coders, layer: str, picture: torch.Tensor) -> Gaussian:
    with torch.no_grad():
        return Gaussian.of(coders.get(layer).encode(picture))


@pytest.mark.parametrize("layer", [*LAYERS, "image"])
def test_the_picture_takes_on_the_statistics(coders: Coders, layer: str) -> None:
    """Seen by the layer itself, the picture is much nearer to the painting than the photo was."""
    photo = torch.from_numpy(samples.photo("harbour", (96, 128))).permute(2, 0, 1)[None]
    painting = torch.from_numpy(samples.painting("nocturne", (96, 128))).permute(2, 0, 1)[None]
    want = target(coders, layer, painting)
    made = restyled(photo, coders.get(layer), [Region(((want, 1.0),))], "transport")
    assert made.shape == photo.shape
    assert 0 <= float(made.min()) <= float(made.max()) <= 1
    loss = Wasserstein(scale="relative")
    goal = (want.mean[None], want.cov[None], matrix_root(want.cov[None]))
    with torch.no_grad():
        before, after = (
            float(loss(coders.get(layer).encode(p).double(), goal)) for p in (photo, made)
        )
    assert after < NEARER[layer] * before


@pytest.mark.parametrize(
    ("layer", "kind"), [*((n, "decoder") for n in [*LAYERS, "image"]), ("relu3_1", "adain")]
)
def test_tiles_change_nothing(coders: Coders, layer: str, kind: str) -> None:
    photo = noisy(150, 203, 2)
    where = torch.zeros(1, 1, 150, 203)
    where[..., :90] = 1
    regions = [
        Region(((target(coders, layer, noisy(64, 64, 3)), 1.0),), where),
        Region(((target(coders, layer, noisy(64, 64, 4)), 1.0),), 1 - where),
    ]
    whole, tiled = (
        restyled(photo, coders.get(layer, kind), regions, "transport", ridge=0.01, tile=t)
        for t in (None, 64)
    )
    assert float((whole - tiled).abs().max()) < 1e-3


def test_no_strength_is_the_picture(coders: Coders) -> None:
    photo = noisy(40, 44, 5)
    region = Region(((target(coders, "relu2_1", noisy(64, 64, 6)), 1.0),))
    same = restyled(photo, coders.get("relu2_1"), [region], "transport", strength=0.0)
    torch.testing.assert_close(same, photo, rtol=0, atol=1e-4)


def test_where_no_region_is_features_stay(coders: Coders) -> None:
    photo = noisy(64, 64, 7)
    where = torch.zeros(1, 1, 64, 64)
    where[..., :32] = 1
    want = target(coders, "image", torch.ones(1, 3, 8, 8) * 0.25)
    made = restyled(photo, coders.get("image"), [Region(((want, 1.0),), where)], "transport")
    torch.testing.assert_close(made[..., 32:], photo[..., 32:])
    assert float((made[..., :32] - 0.25).abs().max()) < 1e-3


def test_no_feature_is_far_beyond_the_painting(coders: Coders) -> None:
    """A dot in a plain picture is many deviations off; the painting has nothing of the kind."""
    photo = torch.full((1, 3, 64, 64), 0.5)
    photo[..., 30:32, 30:32] = 1
    painting = 0.3 + 0.2 * noisy(64, 64, 11)
    want = target(coders, "image", painting)
    region = Region(((want, 1.0),))
    free, held, half = (
        restyled(photo, coders.get("image"), [region], "moments", limit=n, strength=s)
        for n, s in ((None, 1.0), (3.0, 1.0), (3.0, 0.5))
    )
    top = (painting.mean((2, 3)) + 3 * painting.std((2, 3), correction=0))[..., None, None]
    assert bool((free.amax((2, 3), keepdim=True) > top + 0.05).all())
    torch.testing.assert_close(held, torch.minimum(free, top), rtol=0, atol=1e-5)
    torch.testing.assert_close(half, (photo + held) / 2, rtol=0, atol=1e-5)


def test_constant_features_give_a_constant_picture(coders: Coders) -> None:
    """Also features that no picture has: no checkerboard in plain areas."""
    for layer in LAYERS:
        coder = coders.get(layer)
        features = coder.encode(gradient_picture(64, 64)).mean((2, 3), keepdim=True)
        odd = (features * torch.rand_like(features) * 2).expand(-1, -1, 9, 9)
        with torch.no_grad():
            made = coder.decode(odd)
        assert float((made - made.mean((2, 3), keepdim=True)).abs().max()) < 1e-3


def test_unknown_layer(coders: Coders) -> None:
    with pytest.raises(UsageError, match="no decoder for relu5_1"):
        coders.get("relu5_1")


@pytest.mark.parametrize("size", [(1, 1), (3, 9), (17, 5)])
def test_tiny_pictures(coders: Coders, size: tuple[int, int]) -> None:
    photo = torch.rand(1, 3, *size)
    region = Region(((target(coders, "relu2_1", noisy(16, 16, 8)), 1.0),))
    for method in ("transport", "whiten", "moments"):
        made = restyled(photo, coders.get("relu2_1"), [region], method)
        assert made.shape == photo.shape
        assert bool(torch.isfinite(made).all())


def test_a_damaged_decoder_is_named(
    coders: Coders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clear line, also where the file is whole but for another layer."""
    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path))
    path = tmp_path / "decoder-relu2_1.safetensors"
    whole = (shelf.shipped() / path.name).read_bytes()
    for damaged in (b"", b"damaged", whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(WeightsError) as caught:
            Coders(coders.backbone).get("relu2_1")
        assert path.name in caught.value.message
        assert "\n" not in caught.value.message
    path.write_bytes((shelf.shipped() / "decoder-relu1_1.safetensors").read_bytes())
    with pytest.raises(WeightsError, match="decoder-relu2_1 does not fit relu2_1"):
        Coders(coders.backbone).get("relu2_1")
    path.unlink()
    assert Coders(coders.backbone).get("relu2_1").stride == 2


@pytest.mark.parametrize("kind", ["decoder", "adain"])
@pytest.mark.parametrize("layer", ["relu3_1"])
def test_strips_change_nothing(
    coders: Coders, layer: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures that are one tile are decoded a few rows at a time."""
    photo = noisy(150, 60, 9)
    region = Region(((target(coders, layer, noisy(64, 64, 10)), 1.0),))
    made = []
    for rows in (1000, 40):  # rows at a time
        monkeypatch.setattr(levels, "STRIP", rows)
        monkeypatch.setattr(levels, "STRIPS", 0)
        made.append(restyled(photo, coders.get(layer, kind), [region], "whiten", strength=0.7))
    assert float((made[0] - made[1]).abs().max()) < 1e-3
