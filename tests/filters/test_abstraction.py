"""What defines the filters that abstract: kuwahara, cartoon, watercolour, posterise, shinkai."""

from __future__ import annotations

import pytest
import torch

from impasto.filters.cartoon import Cartoon, quantised
from impasto.filters.kuwahara import Kuwahara, _samples
from impasto.filters.posterise import PALETTES, Posterise, named
from impasto.filters.shinkai import Shinkai, sky_mask
from impasto.filters.watercolour import Watercolour
from impasto.images.spaces import luma, rgb_to_oklab

from .scenes import flat, landscape, step


def colours(picture: torch.Tensor) -> torch.Tensor:
    return torch.unique(picture[0].reshape(3, -1).T, dim=0)


def test_kuwahara_smooths_noise_and_keeps_the_edge() -> None:
    noisy = step(noise=0.04, size=128)
    smooth = Kuwahara(radius=30.0)(noisy)
    for side in (slice(8, 56), slice(72, 120)):
        assert smooth[..., side].std() < 0.35 * noisy[..., side].std()
    profile = smooth.mean((0, 1, 2))
    blurred = ((profile > 0.3) & (profile < 0.7)).sum()
    assert blurred <= 2


def test_kuwahara_leaves_one_colour_alone() -> None:
    image = flat((0.3, 0.6, 0.2))
    assert (Kuwahara()(image) - image).abs().max() < 1e-5


def test_kuwahara_sectors_are_weighted_means() -> None:
    places, weights = _samples()
    assert weights.shape == (8, len(places))
    assert torch.allclose(weights.sum(1), torch.ones(8))
    assert weights.min() >= 0
    # Each sector leans to its own side.
    centres = weights @ places
    angles = torch.arange(8) * torch.pi / 4
    sides = torch.stack([angles.cos(), angles.sin()], 1)
    assert torch.allclose(torch.nn.functional.normalize(centres), sides, atol=0.02)


def test_kuwahara_dabs_lie_along_the_structure() -> None:
    stripes = torch.sin(torch.arange(256.0) * 0.7).view(1, 1, 1, -1).expand(1, 3, 256, 256)
    clean = 0.5 + 0.25 * stripes
    grain = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(2))
    noisy = (clean + 0.04 * grain).clamp(0.0, 1.0)

    def error(stretch: float) -> torch.Tensor:
        made = Kuwahara(radius=16.0, stretch=stretch, smoothness=12.0, passes=1)
        return (made(noisy) - clean).abs().mean()

    assert error(2.0) < 0.8 * error(0.0)


def test_cartoon_flattens_and_inks() -> None:
    noisy = step(noise=0.02, size=512)
    result, plain = Cartoon(lines=1.0)(noisy), Cartoon(lines=0.0, levels=32)(noisy)
    assert plain[..., 50:200].std() < 0.5 * noisy[..., 50:200].std()
    dark, around = luma(result)[..., 250:256].amin(3).mean(), luma(result)[..., 50:200].mean()
    assert dark < 0.4 * around


def test_cartoon_quantises_softly() -> None:
    ramp = torch.linspace(0.0, 1.0, 2001)
    steps = quantised(ramp, 5)
    assert (steps.diff() >= 0).all()
    assert steps.diff().max() < 0.004  # continuous

    def on_a_step(light: torch.Tensor) -> torch.Tensor:
        return ((light - (light * 4).round() / 4).abs() < 0.02).float().mean()

    assert on_a_step(steps) > 3.0 * on_a_step(ramp)
    assert steps[0] == pytest.approx(0.0, abs=1e-6)
    assert steps[-1] == pytest.approx(1.0, abs=1e-6)


def test_watercolour_gathers_pigment_at_edges() -> None:
    image = step(0.35, 0.65, size=128)
    quiet = {"flow": 0.0, "grain": 0.0}
    result = luma(Watercolour(**quiet)(image)).mean((0, 1, 2))
    without = luma(Watercolour(**quiet, edges=0.0)(image)).mean((0, 1, 2))
    assert (without - result)[56:72].max() > 0.05
    assert (without - result)[10:40].abs().max() < 0.005


def test_watercolour_grain_is_uneven_on_a_flat_wash() -> None:
    image = flat((0.5, 0.4, 0.3), 96, 96)
    assert Watercolour(flow=0.0, grain=0.0)(image).std(dim=(2, 3)).max() < 1e-3
    assert Watercolour(flow=0.0, grain=1.0)(image).std(dim=(2, 3)).max() > 0.01


def test_watercolour_leaves_white_paper_white() -> None:
    assert Watercolour()(flat((1.0, 1.0, 1.0))).min() > 0.95


@pytest.mark.parametrize("count", [2, 5, 12])
def test_posterise_has_no_more_colours_than_asked(count: int) -> None:
    result = Posterise(colours=count)(landscape())
    assert 2 <= len(colours(result)) <= count


def test_posterise_finds_the_colours_that_there_are() -> None:
    image = flat((0.8, 0.1, 0.1), 40, 60)
    image[..., 20:40] = torch.tensor([0.1, 0.5, 0.2]).view(1, 3, 1, 1)
    image[..., 40:] = torch.tensor([0.1, 0.1, 0.7]).view(1, 3, 1, 1)
    result = Posterise(colours=3, vividness=1.0, smoothing=0.0)(image)
    assert (result - image).abs().max() < 2e-3


@pytest.mark.parametrize("palette", sorted(PALETTES))
@pytest.mark.parametrize("dither", [0.0, 1.0])
def test_posterise_keeps_to_a_named_palette(palette: str, dither: float) -> None:
    found = colours(Posterise(palette=palette, dither=dither)(landscape()))
    distance = torch.cdist(found, named(palette)).amin(1)
    assert distance.max() < 1e-6


def test_posterise_dithers_to_the_right_mean() -> None:
    ramp = torch.linspace(0.0, 1.0, 128).view(1, 1, 1, -1).expand(1, 3, 128, 128).contiguous()
    light = rgb_to_oklab(ramp)[:, :1]

    def error(dither: float) -> torch.Tensor:
        result = rgb_to_oklab(Posterise(palette="ink", smoothing=0.0, dither=dither)(ramp))[:, :1]
        means = torch.nn.functional.avg_pool2d(result - light, 16)
        return means[..., 2:-2].abs().mean()

    assert error(1.0) < 0.6 * error(0.0)


def test_posterise_removes_specks() -> None:
    def specks(picture: torch.Tensor) -> int:
        inner = picture[..., 1:-1, 1:-1]
        height, width = picture.shape[-2:]
        alone = torch.ones(height - 2, width - 2, dtype=torch.bool)
        for dy, dx in ((0, 1), (2, 1), (1, 0), (1, 2)):
            near = picture[..., dy : dy + height - 2, dx : dx + width - 2]
            alone &= (near != inner).any(1)[0]
        return int(alone.sum())

    noisy = (landscape() + 0.06 * torch.randn(1, 3, 96, 128)).clamp(0.0, 1.0)
    assert specks(Posterise(smoothing=40.0)(noisy)) < 0.05 * specks(Posterise(smoothing=0.0)(noisy))


def test_shinkai_finds_the_sky() -> None:
    mask = sky_mask(landscape(192, 256))[0, 0]
    assert mask[:60].mean() > 0.95
    assert mask[130:].mean() < 0.05
    house = mask[85:110, 60:110]
    assert house.mean() < 0.1


def test_shinkai_finds_no_sky_in_a_blue_thing_below() -> None:
    image = flat((0.25, 0.4, 0.1), 128, 128)
    image[..., 70:110, 40:90] = torch.tensor([0.3, 0.5, 0.9]).view(1, 3, 1, 1)
    assert sky_mask(image).max() < 0.05


def test_shinkai_sky_goes_from_deep_blue_to_warm() -> None:
    image = landscape(192, 256)
    plain, lab = (rgb_to_oklab(Shinkai(sky=s, bloom=0.0)(image)) for s in (0.0, 1.0))
    left = slice(0, 40)  # no house, no cloud
    zenith, horizon = lab[0, :, 4, left].mean(1), lab[0, :, 108, left].mean(1)
    assert zenith[2] < plain[0, 2, 4, left].mean()  # bluer than it was
    assert zenith[0] < plain[0, 0, 4, left].mean()  # and deeper
    assert horizon[2] > zenith[2] + 0.1
    assert horizon[2] > plain[0, 2, 108, left].mean() + 0.05
    assert (lab - plain)[..., 140:, :].abs().mean() < 0.01  # the field is not touched


def test_shinkai_leaves_become_richer_and_fresher() -> None:
    image = landscape(192, 256)
    plain, lab = (
        rgb_to_oklab(Shinkai(foliage=s, bloom=0.0)(image))[..., 160:, :] for s in (0.0, 1.0)
    )
    assert lab[:, 1:].norm(dim=1).mean() > 1.2 * plain[:, 1:].norm(dim=1).mean()
    assert lab[:, 1].mean() < plain[:, 1].mean()  # greener


def test_shinkai_blooms_around_lights() -> None:
    image = flat((0.15, 0.15, 0.2), 128, 128)
    image[..., 54:74, 54:74] = 1.0
    glow = Shinkai(bloom=1.0)(image) - Shinkai(bloom=0.0)(image)
    assert glow[..., 78, 64].min() > 0.05
    assert glow[..., 78, 64].mean() > 3 * glow[..., 120, 120].mean()
    assert glow.min() >= -1e-6
