"""What defines the filters that draw with marks: dots, strokes, pieces of glass."""

from __future__ import annotations

import pytest
import torch

from impasto.filters.halftone import Halftone
from impasto.filters.kernels import gaussian
from impasto.filters.painterly import Painterly
from impasto.filters.sketch import Sketch
from impasto.filters.stained_glass import StainedGlass, _pieces, _smoothed
from impasto.filters.stipple import Stipple, _blue_noise, _flooded, _placed
from impasto.images.spaces import luma, rgb_to_oklab

from .scenes import flat, landscape, step


def test_sketch_is_grey_on_white_paper() -> None:
    result = Sketch()(landscape())
    assert torch.equal(result[:, 0], result[:, 1])
    assert torch.equal(result[:, 0], result[:, 2])
    assert Sketch()(flat((1.0, 1.0, 1.0))).mean() > 0.93


def test_sketch_draws_the_edge_as_a_line() -> None:
    result = Sketch(shading=0.0)(step(size=128))[:, :1]
    assert result[..., 63:65].mean() < 0.4
    assert result[..., :40].mean() > 0.95


def test_sketch_strokes_run_along_the_edge_only() -> None:
    result = Sketch(shading=0.0, stroke=80.0)(step(size=128))[:, :1]
    assert result[..., 63:65].mean() < 0.4
    assert result[..., 54:61].mean() > 0.97


def test_sketch_shades_the_dark_side() -> None:
    result = Sketch(lines=0.0)(step(size=128))[:, :1]
    assert result[..., :56].mean() < result[..., 72:].mean() - 0.15


def test_sketch_strokes_are_longer_than_the_edge() -> None:
    """Lines cross at corners: that is what makes it a drawing."""
    image = flat((1.0, 1.0, 1.0), 128, 128)
    image[..., 40:88, 40:88] = 0.2
    result = Sketch(shading=0.0, stroke=80.0)(image)
    over = result[0, 0, 40, 90:93].mean()  # beyond the corner, on the line of the upper edge
    assert over < 0.97
    assert result[0, 0, 60, 100:110].mean() > 0.98


def test_sketch_in_colour_keeps_the_hue() -> None:
    lab = rgb_to_oklab(Sketch(colour=True)(flat((0.7, 0.3, 0.2))))
    assert lab[:, 1].mean() > 0.03
    assert lab[:, 2].mean() > 0.02


@pytest.mark.parametrize("tone", [0.1, 0.3, 0.5, 0.8])
def test_halftone_covers_the_share_of_the_tone(tone: float) -> None:
    result = Halftone(inks="mono", paper="white", cell=40.0)(flat((1 - tone,) * 3, 512, 512))
    ink = (1.0 - result).mean() / (1.0 - torch.tensor([0.09, 0.09, 0.11])).mean()
    assert float(ink) == pytest.approx(tone, abs=0.015)


def test_halftone_ends_are_exact() -> None:
    assert Halftone(paper="white")(flat((1.0, 1.0, 1.0))).min() == 1.0
    solid = Halftone(inks="mono")(flat((0.0, 0.0, 0.0)))
    assert solid.max() - solid.min() < 0.03


def test_halftone_screen_has_its_period_and_angle() -> None:
    grey = Halftone(inks="mono", cell=32.0, turn=0.0)(flat((0.6, 0.6, 0.6), 256, 256))[0, 0]
    power = torch.fft.fft2(grey - grey.mean()).abs()
    peak = int(power[:128, :128].argmax())
    fy, fx = peak // 128 / 256, peak % 128 / 256
    cell = 32.0 * 256 / 1024
    assert (fx**2 + fy**2) ** 0.5 == pytest.approx(1 / cell, rel=0.04)
    assert fy == pytest.approx(fx, abs=1 / 256)  # 45 degrees


@pytest.mark.parametrize(
    "colour",
    [(0.75, 0.25, 0.15), (0.9, 0.5, 0.3), (0.35, 0.4, 0.6), (0.3, 0.3, 0.3), (0.5, 0.6, 0.3)],
)
def test_halftone_prints_the_colour_on_average(colour: tuple[float, float, float]) -> None:
    """With the chroma that the inks are given more; a print that loses the yellow is pink."""
    result = Halftone(cell=16.0)(flat(colour, 384, 384)).mean((2, 3))[0]
    given = torch.tensor(colour)
    grey = float(luma(given.view(1, 3, 1, 1)))
    assert (result - (grey + 1.15 * (given - grey))).abs().max() < 0.03


def test_stipple_has_more_ink_where_it_is_darker() -> None:
    shares = [float(1.0 - Stipple()(flat((t, t, t), 96, 96)).mean()) for t in (0.0, 0.3, 0.6, 0.9)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.6
    white = Stipple()(flat((1.0, 1.0, 1.0)))
    assert white.std(dim=(2, 3)).max() < 1e-6


def test_stipple_dots_keep_their_distance() -> None:
    dots = _placed(torch.full((1, 1, 160, 160), 0.4), 5.0, 0)
    apart = torch.cdist(dots, dots).fill_diagonal_(1e9).amin(1)
    chance = torch.rand(len(dots), 2, generator=torch.Generator().manual_seed(1)) * 160
    random = torch.cdist(chance, chance).fill_diagonal_(1e9).amin(1)
    # Relaxed points are evenly spaced; random ones have a coefficient of variation of 0.52.
    assert apart.std() / apart.mean() < 0.25
    assert apart.quantile(0.02) > 5 * random.quantile(0.02)


def test_stipple_dots_are_the_centres_of_their_cells() -> None:
    """Centroidal: that is what Lloyd's relaxation is for."""
    dots = _placed(torch.full((1, 1, 96, 96), 0.4), 5.0, 0)
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    places = torch.stack([y.flatten(), x.flatten()], 1)
    cells = torch.cdist(places, dots).argmin(1)
    sizes = torch.bincount(cells, minlength=len(dots)).unsqueeze(1)
    centres = torch.zeros_like(dots).index_add_(0, cells, places) / sizes.clamp_min(1)
    off = (centres - dots).norm(dim=1)[sizes[:, 0] > 0]
    assert off.mean() < 0.1 * 5.0


def test_stipple_dots_follow_the_darkness() -> None:
    dark = torch.zeros(1, 1, 80, 160)
    dark[..., 80:] = 0.8
    dots = _placed(dark, 5.0, 0)
    assert (dots[:, 1] > 76).float().mean() > 0.98


def test_blue_noise_is_even_at_every_level() -> None:
    tile = _blue_noise(0)
    assert torch.unique(tile).numel() == tile.numel()
    for level in (0.03, 0.1, 0.3):
        mask = (tile < level).float()
        power = torch.fft.fft2(mask - mask.mean()).abs() ** 2
        low = power[:4, :4].flatten()[1:].mean()
        assert low < 0.25 * power.mean()


def test_jump_flooding_finds_the_nearest_dot() -> None:
    dots = torch.rand(60, 2, generator=torch.Generator().manual_seed(4)) * 47
    start = dots.round().long()
    cells = torch.full((48, 48), -1, dtype=torch.long)
    cells[start[:, 0], start[:, 1]] = torch.arange(60)
    found = _flooded(cells, dots, [32, 16, 8, 4, 2, 1, 1])
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(48.0), indexing="ij")
    places = torch.stack([y.flatten(), x.flatten()], 1)
    distance = torch.cdist(places, dots)
    got = distance.gather(1, found.flatten().unsqueeze(1)).squeeze(1)
    assert (got - distance.amin(1)).max() < 1.0
    assert (found.flatten() == distance.argmin(1)).float().mean() > 0.95


def test_glass_pieces_have_one_colour_each() -> None:
    image = landscape(192, 256)
    window = StainedGlass(glow=0.0, cell=100.0)
    lab = rgb_to_oklab(image)
    labels, groups = _pieces(lab, 25.0, 1.4, torch.Generator().manual_seed(0))
    labels, _ = _smoothed(labels, groups, 2.5)
    assert 40 < len(torch.unique(labels)) < 160
    assert int(groups.max()) < 9
    result = window(image)
    # Far from the lead, neighbouring pixels are alike, though the photo has noise.
    rough = result.diff(dim=3).abs().amax(1).flatten()
    assert (rough < 1e-4).float().mean() > 0.35
    assert (image.diff(dim=3).abs().amax(1).flatten() < 1e-4).float().mean() < 0.01


def test_glass_pieces_of_a_group_do_not_touch() -> None:
    labels, groups = _pieces(rgb_to_oklab(landscape(192, 256)), 25.0, 1.4, torch.Generator())
    for axis in (0, 1):
        first, second = (
            labels.narrow(axis, 0, labels.shape[axis] - 1),
            labels.narrow(axis, 1, labels.shape[axis] - 1),
        )
        border = first != second
        same = groups[first[border]] == groups[second[border]]
        assert same.float().mean() < 0.02


def test_lead_is_dark_and_grows_with_its_width() -> None:
    image = flat((0.8, 0.8, 0.6), 128, 128)

    def share(lead: float) -> float:
        return float((luma(StainedGlass(lead=lead, cell=150.0)(image)) < 0.3).float().mean())

    assert 0.03 < share(8.0) < share(15.0) < 0.6


def test_painterly_comes_closer_with_finer_brushes() -> None:
    image = landscape(192, 256)
    errors = [
        float((Painterly(layers=n, brush=60.0, relief=0.0)(image) - image).abs().mean())
        for n in (1, 2, 4)
    ]
    assert errors[0] > 1.15 * errors[1] > 1.15 * errors[2]


def test_painterly_paints_fine_strokes_only_where_needed() -> None:
    image = flat((0.4, 0.5, 0.6), 128, 128)
    image[..., 64:] += 0.25 * torch.rand(1, 1, 128, 64, generator=torch.Generator().manual_seed(1))
    coarse, fine = (Painterly(layers=n, brush=60.0)(image) for n in (1, 4))
    changed = (coarse - fine).abs().amax(1)[0]
    assert (changed[:, :28] < 0.02).float().mean() > 0.9
    assert (changed[:, 80:] > 0.02).float().mean() > 0.5


def test_painterly_covers_the_whole_canvas() -> None:
    image = flat((0.9, 0.1, 0.1), 96, 96)
    image[..., :48] = torch.tensor([0.1, 0.1, 0.9]).view(1, 3, 1, 1)
    result = Painterly(relief=0.0)(image)
    # Bare canvas would be the mean, purple.
    blue, red = result[..., :40], result[..., 56:]
    assert (blue[:, 2] - blue[:, 0]).min() > 0.5
    assert (red[:, 0] - red[:, 2]).min() > 0.5


def test_painterly_relief_lights_the_strokes() -> None:
    image = flat((0.5, 0.5, 0.5), 128, 128)
    smooth, raised = (gaussian(luma(Painterly(relief=r)(image)), 0.7) for r in (0.0, 1.5))
    assert raised.std() > 1.2 * smooth.std()
