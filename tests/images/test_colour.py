"""Colour: against scikit-image and the definitions, and its own inverses."""

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import color, exposure

from impasto.errors import UnknownName, UsageError
from impasto.images import colour

from .samples import pattern

PAIRS = sorted(colour.SPACES)


def tensor(values, dtype=torch.float64):
    return torch.from_numpy(np.ascontiguousarray(values)).to(dtype).permute(2, 0, 1)[None]


def array(t):
    return t[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-10), (torch.float32, 2e-5)])
def test_there_and_back(name, dtype, atol):
    there, back = colour.SPACES[name]
    t = torch.rand(2, 3, 40, 50, dtype=dtype, generator=torch.Generator().manual_seed(0))
    t[0, :, 0, :8] = torch.tensor([0.0, 1.0, 0.04045, 0.0405, 1e-9, 0.5, 0.003, 1e-4], dtype=dtype)
    torch.testing.assert_close(back(there(t)), t, atol=atol, rtol=0)


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.float64, (1, 3, 2, 2), elements=st.floats(-0.5, 1.5)), st.sampled_from(PAIRS))
def test_there_and_back_outside_the_gamut(values, name):
    there, back = colour.SPACES[name]
    t = torch.from_numpy(values)
    assert torch.isfinite(there(t)).all()
    torch.testing.assert_close(back(there(t)), t, atol=1e-8, rtol=0)


@pytest.mark.parametrize(
    ("name", "theirs", "atol"),
    [("yiq", color.rgb2yiq, 1e-3), ("yuv", color.rgb2yuv, 1e-3), ("lab", color.rgb2lab, 2e-2)],
)
def test_against_scikit_image(name, theirs, atol):
    """To the digits of the matrices, which others round differently."""
    values = pattern().astype("f8")
    np.testing.assert_allclose(
        array(colour.SPACES[name][0](tensor(values))), theirs(values), atol=atol
    )


def test_transfer_curve_against_its_definition():
    v = np.linspace(0, 1, 4096)
    expected = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    got = colour.srgb_to_linear(torch.from_numpy(v)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-15)
    knee = torch.tensor([0.0404482, 0.0404483, 0.04045], dtype=torch.float64)
    np.testing.assert_allclose(colour.srgb_to_linear(knee), knee / 12.92, atol=1e-8)


def test_yiq_of_the_standard_library():
    got = colour.rgb_to_yiq(torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)[:, None, None])
    np.testing.assert_allclose(got[:, 0, 0], colorsys.rgb_to_yiq(0.2, 0.5, 0.9), atol=5e-3)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((1, 1, 1), (1, 0, 0)),
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_oklab_of_the_primaries(rgb, expected):
    """Published values (CSS Color 4 test suite)."""
    got = colour.rgb_to_oklab(torch.tensor(rgb, dtype=torch.float64)[:, None, None])
    np.testing.assert_allclose(got[:, 0, 0], expected, atol=1e-4)


def test_grey_has_no_chroma():
    grey = torch.linspace(0, 1, 50, dtype=torch.float64).expand(1, 3, 1, 50)
    for name, scale in (("lab", 100), ("oklab", 1), ("yiq", 1), ("yuv", 1)):
        out = colour.SPACES[name][0](grey)
        assert float(out[:, 1:].abs().max()) < 2e-4
        assert float(out[0, 0, 0, -1]) == pytest.approx(scale, abs=1e-9)
    assert float(colour.rgb_to_lab(grey)[:, 1:].abs().max()) < 1e-10
    assert float(colour.rgb_to_oklab(grey)[:, 1:].abs().max()) < 1e-10


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_finite_everywhere_and_right_inside(name):
    there, back = colour.SPACES[name]
    t = torch.tensor([0.0, 0.3, 1.0, 0.04045], dtype=torch.float64).expand(1, 3, 1, 4).clone()
    (gradient,) = torch.autograd.grad(back(there(t.requires_grad_())).sum(), t)
    assert torch.isfinite(gradient).all()
    inner = tensor(pattern(2, 3) * 0.8 + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(there, (inner,))


def test_wrong_shapes_and_names():
    with pytest.raises(ValueError, match="expected"):
        colour.rgb_to_lab(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ValueError, match="expected"):
        colour.rgb_to_lab(torch.zeros(1, 3, 2, 2, dtype=torch.uint8))
    with pytest.raises(UnknownName, match="did you mean oklab"):
        colour.match_histogram(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), space="oklob")


# Gamut


def test_colours_inside_are_left_alone():
    t = tensor(pattern())
    out = colour.clip_gamut(t)
    assert torch.equal(out, t)
    assert out.data_ptr() != t.data_ptr()


def test_colours_outside_keep_lightness_and_hue():
    generator = torch.Generator().manual_seed(0)
    lab = torch.rand(1, 3, 60, 60, dtype=torch.float64, generator=generator)
    lab = torch.cat([lab[:, :1] * 0.8 + 0.1, (lab[:, 1:] - 0.5) * 0.8], 1)
    wild = colour.oklab_to_rgb(lab)
    outside = ((wild < 0) | (wild > 1)).any(1)
    assert 0.3 < float(outside.double().mean()) < 1
    got = colour.clip_gamut(wild)
    assert 0 <= got.min() <= got.max() <= 1
    after = colour.rgb_to_oklab(got)
    assert float((after[:, 0] - lab[:, 0])[outside].abs().max()) < 1e-4
    hue_error = after[:, 1] * lab[:, 2] - after[:, 2] * lab[:, 1]
    assert float(hue_error[outside].abs().max()) < 1e-4
    # As much chroma as there is room for: each touches the border.
    border = torch.minimum(got.amin(1), 1 - got.amax(1))
    assert float(border[outside].abs().max()) < 1e-4
    # Clamping, for comparison, moves the hue.
    clamped = colour.rgb_to_oklab(wild.clamp(0, 1))
    assert float((clamped[:, 1] * lab[:, 2] - clamped[:, 2] * lab[:, 1]).abs().max()) > 0.01


def test_too_bright_and_too_dark_become_white_and_black():
    t = torch.tensor([1.5, -0.5], dtype=torch.float32).expand(1, 3, 1, 2)
    torch.testing.assert_close(
        colour.clip_gamut(t), torch.tensor([1.0, 0.0]).expand(1, 3, 1, 2), atol=1e-5, rtol=0
    )


# Keeping colours


@pytest.mark.parametrize("space", ["lab", "yiq", "yuv", "oklab"])
def test_lightness_of_the_result_chroma_of_the_photo(space):
    result = tensor(pattern(seed=1) * 0.2 + 0.4)
    photo = tensor(pattern(seed=2)[::-1] * 0.2 + 0.4)
    there = colour.SPACES[space][0]
    out = colour.keep_colours(result, photo, space)
    inside = (out > 1e-6).all(1, keepdim=True) & (out < 1 - 1e-6).all(1, keepdim=True)
    assert float(inside.double().mean()) > 0.8
    error = (there(out)[:, :1] - there(result)[:, :1])[inside]
    assert float(error.abs().max()) < 1e-8
    error = (there(out)[:, 1:] - there(photo)[:, 1:])[inside.expand(-1, 2, -1, -1)]
    assert float(error.abs().max()) < 1e-8
    torch.testing.assert_close(colour.keep_colours(photo, photo, space), photo, atol=1e-9, rtol=0)


def test_keep_colours_refuses():
    t = torch.zeros(1, 3, 4, 4)
    with pytest.raises(UsageError, match="cannot keep colours in 'rgb'"):
        colour.keep_colours(t, t, "rgb")
    with pytest.raises(ValueError, match="sizes differ"):
        colour.keep_colours(t, torch.zeros(1, 3, 4, 5))


# Matching


def moments(t):
    flat = t.flatten(2)[0].double().numpy()
    return flat.mean(1), np.cov(flat, bias=True)


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_mean_and_covariance_are_those_of_the_content(dtype, atol):
    style, content = (
        tensor(pattern(), dtype),
        tensor(pattern(50, 20, seed=4)[..., [2, 0, 1]] ** 2, dtype),
    )
    before = style.clone()
    out = colour.match_mean_cov(style, content)
    assert out.shape == style.shape
    assert out.dtype == dtype
    for got, wanted in zip(moments(out), moments(content), strict=True):
        np.testing.assert_allclose(got, wanted, atol=atol)
    assert torch.equal(style, before)


def test_the_transform_is_that_of_the_paper():
    from scipy.linalg import inv, sqrtm

    style, content = pattern().astype("f8"), pattern(seed=3).astype("f8") ** 2
    s, c = style.reshape(-1, 3), content.reshape(-1, 3)
    transform = sqrtm(np.cov(c.T, bias=True)) @ inv(sqrtm(np.cov(s.T, bias=True)))
    expected = (s - s.mean(0)) @ transform.T + c.mean(0)
    got = array(colour.match_mean_cov(tensor(style), tensor(content)))
    np.testing.assert_allclose(got.reshape(-1, 3), expected, atol=1e-10)


def test_matching_a_picture_to_itself_changes_nothing():
    t = tensor(pattern())
    torch.testing.assert_close(colour.match_mean_cov(t, t), t, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_plain_and_grey_pictures(dtype):
    colourful = tensor(pattern(), dtype)
    plain = torch.full_like(colourful, 0.3)
    grey = colourful[:, :1].expand(-1, 3, -1, -1)
    for style in (plain, grey, colourful):
        for content in (plain, grey, colourful):
            out = colour.match_mean_cov(style, content)
            assert torch.isfinite(out).all()
            assert float((out - 0.5).abs().max()) < 1.5
            np.testing.assert_allclose(moments(out)[0], moments(content)[0], atol=1e-5)
    assert float(colour.match_mean_cov(plain, colourful).std((2, 3)).max()) < 1e-5
    out = colour.match_mean_cov(colourful, grey)
    assert float((out[:, 0] - out[:, 1]).abs().max()) < 1e-4


def test_batches_are_matched_one_by_one():
    style = torch.cat([tensor(pattern(seed=i)) for i in (0, 1)])
    content = torch.cat([tensor(pattern(seed=i) ** 2) for i in (2, 3)])
    both = colour.match_mean_cov(style, content)
    torch.testing.assert_close(both[1:], colour.match_mean_cov(style[1:], content[1:]))


@pytest.mark.parametrize("seed", range(3))
def test_histograms_against_scikit_image(seed):
    src = np.round(pattern(seed=seed) * 40) / 40  # ties
    ref = np.round(pattern(25, 60, seed=seed + 9) ** 2 * 60) / 60
    got = array(colour.match_histogram(tensor(src), tensor(ref)))
    np.testing.assert_allclose(got, exposure.match_histograms(src, ref, channel_axis=2), atol=1e-6)


def test_equal_values_stay_equal_and_order_is_kept():
    src = torch.tensor([0.1, 0.1, 0.5, 0.5, 0.9]).expand(1, 3, 1, 5)
    out = colour.match_histogram(
        src, torch.rand(1, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    )
    assert torch.equal(out[..., 0], out[..., 1])
    assert (out[..., 1] < out[..., 2]).all()
    assert (out[..., 3] < out[..., 4]).all()


@pytest.mark.parametrize("space", PAIRS)
def test_histograms_in_every_space(space):
    src, ref = tensor(pattern() * 0.6 + 0.2), tensor(pattern(seed=5)[..., ::-1] * 0.5 + 0.3)
    out = colour.match_histogram(src, ref, space=space)
    assert 0 <= out.min() <= out.max() <= 1
    assert float((out.mean((2, 3)) - ref.mean((2, 3))).abs().max()) < 0.05
    plain = torch.full_like(src, 0.5)
    assert torch.isfinite(colour.match_histogram(plain, ref, space=space)).all()
    assert torch.isfinite(colour.match_histogram(src, plain, space=space)).all()
    with pytest.raises(ValueError, match="batches differ"):
        colour.match_histogram(src, ref.expand(2, -1, -1, -1), space=space)
