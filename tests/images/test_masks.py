import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter

from impasto import images
from impasto.errors import InputError, UsageError
from impasto.images import masks

from .samples import file_bytes, levels, pattern

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
COLOURS += [(0, 0, 0), (255, 255, 255)]


def painted(count, h=64, w=96):
    """Disjoint regions of different areas, and their labels."""
    labels = np.zeros((h, w), int)
    for i in range(1, count):
        labels[: h - 6 * i, w * i // count :] = i
    return np.array(COLOURS, "u1")[labels], labels


def test_grey_and_alpha_and_colour_masks():
    grey = levels(pattern(channels=1)[:, :, 0])
    np.testing.assert_allclose(
        masks.load_mask(file_bytes(Image.fromarray(grey), "PNG")), grey / 255, atol=1e-6
    )
    rgba = levels(pattern(channels=4))
    np.testing.assert_allclose(masks.load_mask(rgba), rgba[:, :, 3] / 255, atol=1e-6)
    red = np.zeros((4, 4, 3), "u1")
    red[..., 0] = 255
    np.testing.assert_allclose(masks.load_mask(red), 0.299, atol=1e-6)
    np.testing.assert_allclose(masks.load_mask(red, invert=True), 0.701, atol=1e-6)
    mask = masks.load_mask(np.full((4, 4), 255, "u1"))
    assert mask.dtype == np.float32
    assert mask.max() <= 1
    with pytest.raises(InputError, match="not a picture"):
        masks.load_mask(b"nothing")


@pytest.mark.parametrize("count", range(1, 9))
def test_plain_colours_are_split_exactly(count):
    rgb, labels = painted(count)
    regions = masks.split_colours(images.load(rgb))
    assert len(regions) == count
    assert [r.area for r in regions] == sorted((r.area for r in regions), reverse=True)
    for region in regions:
        wanted = labels == COLOURS.index(region.colour)
        np.testing.assert_array_equal(region.mask, wanted)
        assert region.area == pytest.approx(wanted.mean())
        assert region.mask.dtype == np.float32


def test_close_colours_are_kept_apart_if_they_are_few():
    rgb = np.zeros((4, 4, 3), "u1")
    rgb[:2] = 1
    assert [r.colour for r in masks.split_colours(images.load(rgb))] == [(0, 0, 0), (1, 1, 1)]


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("quality", [60, 90])
def test_compressed_masks_are_split_like_clean_ones(count, quality):
    rgb, labels = painted(count)
    data = file_bytes(Image.fromarray(rgb), "JPEG", quality=quality)
    regions = masks.split_colours(images.load(data))
    assert len(regions) == count
    np.testing.assert_array_equal(sum(r.mask for r in regions), 1)
    for region in regions:
        nearest = np.linalg.norm(np.array(COLOURS) - region.colour, axis=1).argmin()
        assert np.mean(region.mask != (labels == nearest)) < 0.02


def test_softened_edges_go_to_the_nearest_colour():
    rgb, labels = painted(3)
    soft = Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(1))
    regions = masks.split_colours(images.load(soft))
    assert len(regions) == 3
    for region in regions:
        nearest = np.linalg.norm(np.array(COLOURS[:3]) - region.colour, axis=1).argmin()
        assert np.mean(region.mask != (labels == nearest)) < 0.05


def test_a_photo_is_no_mask():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), "u1")
    with pytest.raises(InputError, match="not a mask of at most 8 plain colours"):
        masks.split_colours(images.load(noise))
    with pytest.raises(InputError, match="at most 3"):
        masks.split_colours(images.load(painted(8)[0]), most=3)
    with pytest.raises(ValueError, match="most"):
        masks.split_colours(images.load(noise), most=9)


def test_regions_of_two_masks_are_paired_by_colour():
    content = masks.split_colours(images.load(painted(3)[0]))
    style = masks.split_colours(images.load(painted(4, 40, 50)[0]))
    pairs = masks.pair_regions(content, style)
    assert len(pairs) == 3
    for region, (ours, theirs) in zip(content, pairs, strict=True):
        assert ours is region.mask
        index = COLOURS.index(region.colour)
        np.testing.assert_array_equal(theirs, painted(4, 40, 50)[1] == index)
    with pytest.raises(UsageError, match=r"no region coloured #ffff00 \(it has #"):
        masks.pair_regions(style, content)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_normalised_masks_sum_to_one(count, seed):
    rng = np.random.default_rng(seed)
    stack = [(rng.random((7, 9)) * (rng.random((7, 9)) > 0.5)).astype("f4") for _ in range(count)]
    before = [mask.copy() for mask in stack]
    out = masks.normalise(stack)
    np.testing.assert_allclose(sum(out), 1, atol=1e-6)
    total = sum(stack)
    for mask, share, old in zip(stack, out, before, strict=True):
        np.testing.assert_allclose((share * total)[total > 0], mask[total > 0], atol=1e-6)
        np.testing.assert_allclose(share[total == 0], 1 / count)
        np.testing.assert_array_equal(mask, old)


def test_masks_that_cannot_be_normalised():
    with pytest.raises(ValueError, match="one shape"):
        masks.normalise([])
    with pytest.raises(ValueError, match="one shape"):
        masks.normalise([np.zeros((2, 2), "f4"), np.zeros((2, 3), "f4")])
    for bad in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite and not negative"):
            masks.normalise([np.full((2, 2), bad, "f4")])


@pytest.mark.parametrize("radius", [0.5, 2, 10])
def test_softening_is_a_gaussian(radius):
    mask = (pattern(40, 50)[:, :, 0] > 0.5).astype("f4")
    expected = gaussian_filter(mask.astype("f8"), radius, mode="nearest", truncate=4 + 1 / radius)
    np.testing.assert_allclose(masks.soften(mask, radius), expected, atol=1e-4)
    assert mask.max() == 1


def test_softening_nothing_and_wrongly():
    mask = np.ones((5, 6), "f4")
    np.testing.assert_allclose(masks.soften(mask, 30), 1, atol=1e-6)
    copy = masks.soften(mask, 0)
    np.testing.assert_array_equal(copy, mask)
    assert not np.shares_memory(copy, mask)
    for radius in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="radius"):
            masks.soften(mask, radius)
