"""The tools of the sample paintings: noise, ramps, strokes, relief, cells, rays."""

from __future__ import annotations

import numpy as np
import pytest

from impasto.samples import stained_glass, still_life
from impasto.samples.brush import (
    Brush,
    Strokes,
    blank,
    finish,
    lay,
    spread,
    straight,
    trace,
    vary,
)
from impasto.samples.fields import (
    GUIDE,
    Frame,
    Noise,
    blur,
    hexes,
    lookup,
    ramp,
    resize,
    smoothstep,
)
from impasto.samples.surface import disc, grain, paper, polygon, weave

CLEAN = Brush(dry=0.0, ragged=0.0, streak=0.0, grain=0.0, taper=0.0)
RED, BLUE = hexes("ff0000", "0000ff")


def rng(seed=0):
    return np.random.default_rng(seed)


def bars(rows, colours, width=0.1):
    """Level strokes through the middle of a square picture at heights ``rows`` (units)."""
    n = len(rows)
    path = straight(np.full(n, 0.56), rows, 0.0, 0.6)
    colour = np.array(colours, np.float32).reshape(n, 3)
    return Strokes(path, np.full(n, width, np.float32), colour, colour)


def test_noise_vanishes_on_its_lattice_and_repeats_after_64_cells():
    noise = Noise(rng())
    i, j = np.meshgrid(np.arange(5.0), np.arange(5.0))
    np.testing.assert_allclose(noise(i, j), 0, atol=1e-6)
    x, y = rng(1).uniform(0, 10, (2, 100))
    np.testing.assert_allclose(noise(x, y), noise(x + 64, y - 64), atol=1e-5)
    assert 0.2 < noise(*rng(2).uniform(0, 60, (2, 5000))).std() < 0.6


def test_noise_has_no_steps():
    x = np.linspace(0, 5, 5001)
    line = Noise(rng()).fbm(x, np.full_like(x, 0.3), 3)
    assert np.abs(np.diff(line)).max() < 0.02


def test_blur_agrees_with_three_sliding_means():
    picture = rng().random((9, 11)).astype(np.float32)
    expected = picture.astype(np.float64)
    for axis in (0, 1):
        for _ in range(3):
            pad = [(2, 2) if a == axis else (0, 0) for a in (0, 1)]
            wide = np.pad(expected, pad, mode="edge")
            expected = np.lib.stride_tricks.sliding_window_view(wide, 5, axis=axis).mean(-1)
    np.testing.assert_allclose(blur(picture, 2), expected, atol=1e-6)
    np.testing.assert_array_equal(blur(picture, 0), picture)
    assert blur(picture, 0) is not picture


def test_ramp_hexes_and_smoothstep_hit_their_stops():
    stops = hexes("000000", "ff8000", "ffffff")
    np.testing.assert_allclose(ramp(np.array([0, 0.5, 1]), stops), stops, atol=1e-6)
    np.testing.assert_allclose(ramp(np.array([0.25]), stops)[0], stops[1] / 2, atol=1e-6)
    t = np.array([-1.0, 0.0, 0.5, 1.0, 2.0], np.float32)
    np.testing.assert_allclose(smoothstep(0, 1, t), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(smoothstep(1, 0, t), [1, 1, 0.5, 0, 0])


def test_resize_averages_and_lookup_reads_the_nearest_value():
    picture = rng().random((4, 6, 3)).astype(np.float32)
    small = resize(picture, 2, 3, smooth=False)
    np.testing.assert_allclose(small, picture.reshape(2, 2, 3, 2, 3).mean((1, 3)), atol=1e-6)
    at = np.array([2.5, 99.0, -9.0]) / GUIDE
    got = lookup(picture, at, np.full(3, 1.5 / GUIDE))
    np.testing.assert_array_equal(got, picture[1, [2, 5, 0]])


def test_units_do_not_depend_on_the_size():
    small, large = Frame(100, 125), Frame(800, 1000)
    assert small.unit == pytest.approx(100)
    assert (small.tall, small.wide) == pytest.approx((large.tall, large.wide))
    assert small.at(GUIDE) == large.at(GUIDE)
    x, y = large.grid()
    assert x.shape == y.shape == (800, 1000)
    assert (x.max(), y.max()) == pytest.approx((large.wide, large.tall), rel=1e-3)


def test_a_stroke_paints_its_strip_and_nothing_else():
    canvas = blank(200, 200, hexes("ffffff")[0])
    painted = lay(canvas, bars([0.56], [RED]), CLEAN, rng())
    hit = (painted.colour == RED).all(axis=2)
    x, y = canvas.frame.grid()
    inside = (np.abs(y - 0.56) < 0.045) & (np.abs(x - 0.56) < 0.24)
    beyond = (np.abs(y - 0.56) > 0.052) | (np.abs(x - 0.56) > 0.302)
    assert hit[inside].all(), "the strip has holes"
    assert not hit[beyond].any()
    assert (painted.relief[~hit] == 0).all()
    assert (painted.relief[inside] > 0).all()


@pytest.mark.parametrize(("bend", "share"), [(0.0, 0.0), (0.1, 0.003)])
def test_slanted_strokes_have_no_holes_and_bowed_ones_next_to_none(bend, share):
    canvas = blank(200, 200, hexes("ffffff")[0])
    path = straight([0.56], [0.56], 0.7, 0.7, bend)
    one = Strokes(path, np.array([0.12], np.float32), RED[None], RED[None])
    hit = (lay(canvas, one, CLEAN, rng()).colour == RED).all(axis=2)
    neighbours = sum(np.roll(hit, s, a).astype(int) for s, a in ((1, 0), (-1, 0), (1, 1), (-1, 1)))
    assert (~hit & (neighbours == 4)).sum() <= share * hit.sum()


def test_later_strokes_cover_earlier_ones_also_across_chunks(monkeypatch):
    monkeypatch.setattr("impasto.samples.brush.CHUNK", 1)
    canvas = blank(128, 128, hexes("ffffff")[0])
    both = lay(canvas, bars([0.5, 0.5], [RED, BLUE]), CLEAN, rng())
    assert not (both.colour == RED).all(axis=2).any()
    assert (both.colour == BLUE).all(axis=2).any()


def test_laying_does_not_touch_its_input_and_nothing_changes_nothing():
    canvas = blank(96, 96, hexes("808080")[0])
    before = canvas.colour.copy()
    lay(canvas, bars([0.5], [RED]), CLEAN, rng())
    np.testing.assert_array_equal(canvas.colour, before)
    assert not canvas.relief.any()
    after = lay(canvas, bars([], []), CLEAN, rng())
    np.testing.assert_array_equal(after.colour, before)


def test_hairs_differ_in_colour_and_run_dry():
    canvas = blank(200, 200, hexes("ffffff")[0])
    stroke = bars([0.56], [RED])
    stroke = Strokes(stroke.path, stroke.width, stroke.colour, np.array([BLUE]))
    full = lay(canvas, stroke, Brush(dry=0.0), rng()).colour
    dry = lay(canvas, stroke, Brush(dry=0.9), rng()).colour
    column = full[:, 200][full[:, 200, 1] < 0.5]
    assert column[:, 2].std() > 0.1
    left = [(c[:, 230:300, 1] < 0.5).sum() for c in (full, dry)]
    assert left[1] < 0.8 * left[0]


def test_relief_is_lit_from_the_side_of_the_light():
    canvas = lay(blank(200, 200, hexes("808080")[0]), bars([0.56], hexes("808080")), CLEAN, rng())
    flat = finish(canvas, (200, 200), depth=0)
    np.testing.assert_allclose(flat, hexes("808080")[0, 0], atol=1e-6)
    above = finish(canvas, (200, 200), light=(0, -1))[..., 0].mean(axis=1)
    below = finish(canvas, (200, 200), light=(0, 1))[..., 0].mean(axis=1)
    top, foot = slice(85, 100), slice(101, 116)
    assert above[top].max() > above[foot].max()
    assert below[top].max() < below[foot].max()


def test_spread_covers_the_picture_evenly():
    frame = Frame(160, 200)
    x, y = spread(frame, 0.05, rng())
    inside = (x > 0) & (x < frame.wide) & (y > 0) & (y < frame.tall)
    counts, _, _ = np.histogram2d(x[inside], y[inside], bins=(5, 4))
    assert counts.min() > 0.6 * counts.mean()
    assert inside.sum() == pytest.approx(frame.wide * frame.tall / 0.05**2, rel=0.1)


def test_trace_follows_the_flow_to_both_sides():
    level = np.broadcast_to(np.array([1, 0], np.float32), (50, 60, 2))
    path = trace(level, np.array([0.1], np.float32), np.array([0.05], np.float32), 0.06, 6)
    np.testing.assert_allclose(path[0, :, 0], np.linspace(0.07, 0.13, 7), atol=1e-6)
    np.testing.assert_allclose(path[0, :, 1], 0.05, atol=1e-6)


def test_vary_keeps_the_range_and_the_mean():
    colour = np.full((4000, 3), 0.5)
    shaken = vary(colour, 0.05, rng())
    assert shaken.mean() == pytest.approx(0.5, abs=0.01)
    assert 0.02 < shaken.std() < 0.1
    assert vary(np.ones((100, 3)), 0.5, rng()).max() <= 1


def test_surfaces_stay_in_bounds():
    frame = Frame(120, 150)
    assert 0 <= weave(frame).min() < weave(frame).max() <= 1
    assert 0.2 < grain(frame, (0.05, 0.05), rng()).std() < 0.8
    sheet = paper(frame, hexes("e9d6b0")[0], rng())
    assert 0.003 < sheet.std(axis=(0, 1)).max() < 0.06
    area = polygon(frame, disc((0.6, 0.5), 0.3)).sum() / frame.unit**2
    assert area == pytest.approx(np.pi * 0.09, rel=0.02)
    half = polygon(frame, disc((0.6, 0.5), 0.3, turn=0.5)).sum() / frame.unit**2
    assert half == pytest.approx(area / 2, rel=0.03)


def test_lead_distance_is_the_distance_to_the_bisector():
    seeds = rng().random((12, 2)).astype(np.float32)
    x, y = rng(1).random((2, 500)).astype(np.float32)
    first, gap = stained_glass._nearest(x, y, seeds)
    points, s = np.stack([x, y], 1).astype(np.float64), seeds.astype(np.float64)
    far = np.linalg.norm(points[:, None] - s, axis=2)
    one, two = np.argsort(far, axis=1)[:, :2].T
    np.testing.assert_array_equal(first, one)
    middle, across = (s[one] + s[two]) / 2, s[one] - s[two]
    expected = ((points - middle) * across).sum(1) / np.linalg.norm(across, axis=1)
    np.testing.assert_allclose(gap, expected, atol=1e-5)


def test_relaxation_evens_out_the_cells():
    inside = rng().random((4000, 2)).astype(np.float32)
    start = inside[:30]

    def spread_of_sizes(points):
        owner = ((inside[:, None] - points) ** 2).sum(-1).argmin(1)
        return np.bincount(owner, minlength=30).std()

    assert spread_of_sizes(stained_glass._relax(start, inside)) < 0.6 * spread_of_sizes(start)


def ball(radius=0.5):
    middle = (0.2, 0.6, 0.1)
    return still_life.Thing(
        lambda p: np.linalg.norm(p - np.array(middle, np.float32), axis=1) - radius,
        middle,
        radius * 1.1,
        RED,
        0.5,
    )


def test_marched_rays_meet_a_ball_where_algebra_says():
    rays = still_life._rays(Frame(40, 50))
    depth, which = still_life._first_hit([ball()], rays)
    d, to = rays.astype(np.float64), np.array(ball().middle) - still_life.EYE
    along = d @ to
    inner = along**2 - to @ to + 0.25
    clear = np.abs(inner) > 0.02
    np.testing.assert_array_equal((which == 0)[clear], (inner > 0)[clear])
    hit = clear & (inner > 0)
    assert hit.sum() > 30
    np.testing.assert_allclose(depth[hit], (along - np.sqrt(np.maximum(inner, 0)))[hit], atol=3e-3)
    ground = which == -1
    np.testing.assert_allclose((still_life.EYE + depth[:, None] * rays)[ground, 1], 0, atol=1e-4)


def test_shadow_is_dark_behind_the_ball_and_soft_at_its_edge():
    middle, lamp = np.array(ball().middle), still_life.LAMP.astype(np.float64)
    side = np.cross(lamp, [0, 1, 0])
    side /= np.linalg.norm(side)
    off = np.array([0.0, 0.3, 0.45, 0.5, 0.55, 0.7, 2.0])
    points = (middle - 1.2 * lamp + off[:, None] * side).astype(np.float32)
    light = still_life._shadow([ball()], points)
    assert light[0] == 0
    assert light[-1] == 1
    assert 0.05 < light[3] < 0.95
    assert (np.diff(light) >= 0).all()


def test_fruit_normals_point_outwards():
    fruit = still_life._fruit((0.0, 0.5, 0.0), 0.5, RED)
    out = np.array([[1, 0, 0], [0, -1, 0], [0, 0, 1]], np.float32)
    at = np.array(fruit.middle, np.float32) + 0.5 * out
    np.testing.assert_allclose(still_life._gradient(fruit.distance, at), out, atol=0.02)
