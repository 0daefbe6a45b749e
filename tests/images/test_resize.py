"""Resampling against an independent computation, Pillow, and its own algebra."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from impasto import images
from impasto.images import resize as module
from impasto.images.resize import MODES, fit_size, resize, resize_map

from .samples import levels, pattern

SIZES = [(37, 53), (20, 31), (74, 106), (1, 1), (90, 20), (13, 200), (36, 54)]


def kernel(mode, x):
    x = abs(x)
    if mode == "bilinear":
        return max(0.0, 1 - x)
    if mode == "bicubic":
        if x < 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0
    if x == 0:
        return 1.0
    if x >= 3:
        return 0.0
    return 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2


def slow_axis(values, n_out, mode):
    """One axis, sample by sample, in float64 (values: (n_in, ...))."""
    n_in = len(values)
    if n_in == n_out:
        return values
    if mode == "auto":
        mode = "lanczos" if n_out < n_in else "bicubic"
    scale = n_in / n_out
    out = np.zeros((n_out, *values.shape[1:]))
    for i in range(n_out):
        centre, total = (i + 0.5) * scale, 0.0
        for j in range(n_in):
            if mode == "area":
                weight = max(0.0, min(j + 1, (i + 1) * scale) - max(j, i * scale))
            else:
                weight = kernel(mode, (j + 0.5 - centre) / max(scale, 1.0))
            out[i] += weight * values[j]
            total += weight
        out[i] /= total
    return out


def slow(values, h, w, mode):
    return slow_axis(slow_axis(values, h, mode).swapaxes(0, 1), w, mode).swapaxes(0, 1)


def tensor(values, dtype=torch.float64):
    return torch.from_numpy(np.ascontiguousarray(values)).to(dtype).permute(2, 0, 1)[None]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_against_the_definition(mode, size):
    values = pattern().astype("f8")
    got = resize(tensor(values), size, mode=mode)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(got, slow(values, *size, mode), atol=1e-12)


@pytest.mark.parametrize(("mode", "theirs"), [("lanczos", 1), ("bicubic", 3), ("bilinear", 2)])
@pytest.mark.parametrize("size", SIZES)
def test_against_pillow(mode, theirs, size):
    plane = pattern()[:, :, 0]
    expected = np.asarray(Image.fromarray(plane).resize(size[::-1], theirs))
    got = resize(torch.from_numpy(plane)[None, None], size, mode=mode)[0, 0].numpy()
    np.testing.assert_allclose(got, expected, atol=2e-6)
    eight = Image.fromarray(levels(plane)).resize(size[::-1], theirs)
    got = resize(torch.from_numpy(levels(plane) / 255)[None, None], size, mode=mode, clamp=True)
    # Pillow also clips and rounds between the axes.
    np.testing.assert_allclose(got[0, 0].numpy(), np.asarray(eight) / 255, atol=2 / 255)


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_the_size_of_blocks_does_not_show(monkeypatch, block):
    t = tensor(pattern(50, 61))
    for size in ((17, 90), (200, 13)):
        whole = resize(t, size)
        with monkeypatch.context() as patch:
            patch.setattr(module, "_BLOCK", block)
            torch.testing.assert_close(resize(t, size), whole, atol=1e-13, rtol=0)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(MODES),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(1, 60),
    st.integers(1, 60),
)
def test_a_plain_picture_stays_plain(mode, h, w, new_h, new_w):
    out = resize(torch.full((1, 3, h, w), 0.3, dtype=torch.float64), (new_h, new_w), mode=mode)
    assert out.shape == (1, 3, new_h, new_w)
    torch.testing.assert_close(out, torch.full_like(out, 0.3), atol=1e-12, rtol=0)


def test_area_keeps_the_mean():
    t = tensor(pattern(48, 60))
    for size in ((7, 11), (48, 13), (5, 60)):
        torch.testing.assert_close(
            resize(t, size, mode="area").mean((2, 3)), t.mean((2, 3)), atol=1e-12, rtol=0
        )


def test_shrinking_leaves_no_alias():
    """Stripes finer than the result can show become grey."""
    x = torch.arange(512, dtype=torch.float64)
    stripes = (0.5 + 0.5 * torch.sin(2 * math.pi * x * 0.37)).expand(1, 3, 512, 512)
    for mode in ("auto", "lanczos", "bicubic", "area"):
        inner = resize(stripes, (64, 64), mode=mode)[..., 8:-8]
        assert float((inner - 0.5).abs().max()) < (0.1 if mode == "area" else 0.02)


def test_positions_do_not_shift():
    """The centre of mass stays where it is, to a thousandth of a pixel."""
    h, w = 120, 90
    y, x = np.mgrid[0:h, 0:w]
    blob = np.exp(-((y - 70.3) ** 2 + (x - 31.7) ** 2) / 60)
    for size in ((60, 45), (240, 180), (77, 51)):
        small = resize(torch.from_numpy(blob)[None, None], size)[0, 0].numpy()
        yy, xx = np.mgrid[0 : size[0], 0 : size[1]]
        centre = [(small * g).sum() / small.sum() for g in (yy, xx)]
        assert (centre[0] + 0.5) * h / size[0] - 0.5 == pytest.approx(70.3, abs=1e-2)
        assert (centre[1] + 0.5) * w / size[1] - 0.5 == pytest.approx(31.7, abs=1e-2)


def test_clamp_limits_the_overshoot():
    step = torch.zeros(1, 3, 16, 16)
    step[..., 8:] = 1
    free = resize(step, (40, 40))
    assert free.min() < 0
    assert free.max() > 1
    torch.testing.assert_close(resize(step, (40, 40), clamp=True), free.clamp(0, 1))


def test_gradients_are_exact():
    t = tensor(pattern(9, 7, 1)).requires_grad_()
    for size in ((4, 11), (15, 3)):
        assert torch.autograd.gradcheck(lambda v, s=size: resize(v, s), (t,))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types_are_kept(dtype):
    t = tensor(pattern(), dtype)
    out = resize(t, (20, 70))
    assert out.dtype == dtype
    exact = resize(t.double(), (20, 70))
    eps = torch.finfo(dtype).eps
    assert float((out.double() - exact).abs().max()) < 2 * eps
    assert resize_map(t, (20, 70)).dtype == dtype


def test_the_callers_tensor_is_neither_changed_nor_returned():
    t = tensor(pattern(), torch.float32)
    before = t.clone()
    for out in (resize(t, (37, 53)), resize(t, (37, 53), clamp=True), resize_map(t, (37, 53))):
        assert out.data_ptr() != t.data_ptr()
        torch.testing.assert_close(out, before)
    resize(t, (10, 90))
    assert torch.equal(t, before)


def test_any_leading_shape():
    t = tensor(pattern(12, 14))
    expected = resize(t, (5, 9))
    assert torch.equal(resize(t[0, 0], (5, 9)), expected[0, 0])
    torch.testing.assert_close(resize(t.expand(2, 4, 3, 12, 14), (5, 9))[1, 2], expected[0])
    strided = t.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)  # channels last
    torch.testing.assert_close(resize(strided, (5, 9)), expected)


def test_the_same_twice():
    t = torch.rand(1, 3, 300, 401, generator=torch.Generator().manual_seed(0))
    assert torch.equal(resize(t, (123, 777)), resize(t, (123, 777)))


@pytest.mark.parametrize(
    ("t", "size", "mode"),
    [
        (torch.zeros(1, 3, 4, 4), (0, 4), "auto"),
        (torch.zeros(1, 3, 4, 4), (4, 4), "nearest"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), (2, 2), "auto"),
        (torch.zeros(1, 3, 0, 4), (2, 2), "auto"),
        (torch.zeros(4), (2, 2), "auto"),
    ],
)
def test_what_makes_no_sense(t, size, mode):
    with pytest.raises(ValueError, match=r"cannot resize|unknown mode|floating-point"):
        resize(t, size, mode=mode)


def test_no_dense_matrix_for_a_long_axis():
    """A dense matrix of 60 000 x 20 000 float64 would take 9.6 GB; numpy holds the weights."""
    t = torch.rand(1, 1, 2, 60_000, generator=torch.Generator().manual_seed(0))
    tracemalloc.start()
    resize(t, (2, 20_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000_000


# Masks


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 50), st.integers(1, 50))
def test_maps_stay_within_their_range(h, w, new_h, new_w):
    generator = torch.Generator().manual_seed(h * 31 + w)
    mask = (torch.rand(1, 1, h, w, generator=generator) > 0.5).float()
    out = resize_map(mask, (new_h, new_w))
    assert out.shape == (1, 1, new_h, new_w)
    assert 0 <= out.min() <= out.max() <= 1


def test_maps_shrink_by_area_and_grow_linearly():
    mask = torch.zeros(1, 1, 4, 8)
    mask[..., :3] = 1
    torch.testing.assert_close(resize_map(mask, (1, 2)), torch.tensor([[[[0.75, 0.0]]]]))
    grown = resize_map(torch.tensor([[[[0.0, 1.0]]]]), (1, 4))
    torch.testing.assert_close(grown, torch.tensor([[[[0.0, 0.25, 0.75, 1.0]]]]))


def test_maps_pass_gradients():
    mask = torch.rand(1, 1, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda v: resize_map(v, (3, 9)), (mask.requires_grad_(),))


# Sizes


@given(st.integers(1, 20_000), st.integers(1, 20_000), st.integers(1, 20_000))
def test_fit_size_keeps_the_aspect_to_half_a_pixel(h, w, longest):
    new = fit_size(h, w, longest)
    assert max(new) == longest
    assert min(new) >= 1
    scale = longest / max(h, w)
    for old, fitted in zip((h, w), new, strict=True):
        assert abs(fitted - max(1, old * scale)) <= 0.5 + 1e-9


def test_fit_size_refuses_nothing():
    for bad in ((0, 4, 4), (4, 0, 4), (4, 4, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            fit_size(*bad)


# Tensors


def test_pictures_become_tensors_and_come_back():
    picture = images.load(levels(pattern()))
    t = images.to_tensor(picture)
    assert t.shape == (1, 3, 37, 53)
    assert t.is_contiguous()
    assert torch.equal(t[0, 1], torch.from_numpy(picture.rgb[:, :, 1].copy()))
    np.testing.assert_array_equal(images.from_tensor(t), picture.rgb)
    t.zero_()
    assert picture.rgb.max() > 0
    assert images.to_tensor(picture, dtype=torch.float64).dtype == torch.float64


def test_tensors_of_other_kinds_come_back():
    t = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0)).half().requires_grad_()
    values = images.from_tensor(t)
    assert values.shape == (4, 5, 3)
    assert values.dtype == np.float32
    assert values.flags.c_contiguous
    for shape in ((2, 3, 4, 5), (1, 4, 4, 5), (4, 5)):
        with pytest.raises(ValueError, match="expected"):
            images.from_tensor(torch.zeros(shape))
