"""Gram matrices and pooled means against torch in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from impasto import native
from impasto.backbones.operations import Pool, Window
from impasto.native.packing import parts

LAYOUTS = (torch.contiguous_format, torch.channels_last)


@pytest.mark.parametrize("kernels", ["best", "vectors", "off"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "shape", [(1, 16, 9, 7), (2, 80, 5, 13), (1, 5, 4, 4), (1, 128, 1, 1), (2, 96, 17, 31)]
)
def test_gram_and_its_gradient(shape, layout, kernels, monkeypatch):
    monkeypatch.setenv(native.SWITCH, kernels)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).contiguous(memory_format=layout)
    slope = torch.randn(shape[0], shape[1], shape[1], generator=generator)
    x.requires_grad_(True)
    gram = native.gram(x)
    flat = x.double().flatten(2)
    expected = flat @ flat.mT
    torch.testing.assert_close(gram.double(), expected, rtol=1e-5, atol=1e-4)
    (got,) = torch.autograd.grad(gram, x, slope)
    (want,) = torch.autograd.grad(expected, x, slope.double())
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernels", ["best", "vectors", "off"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [5, 16, 80, 96])
@pytest.mark.parametrize("where", [(slice(2, 9), slice(3, 50)), (slice(4), slice(1))])
def test_gram_of_a_part_and_its_gradient_added(where, channels, layout, kernels, monkeypatch):
    """What lies around the part is neither read nor written."""
    monkeypatch.setenv(native.SWITCH, kernels)
    generator = torch.Generator().manual_seed(0)
    shape = (2, channels, 11, 60)
    whole, into = (
        torch.randn(shape, generator=generator).contiguous(memory_format=layout) for _ in range(2)
    )
    slope = torch.randn(2, channels, channels, generator=generator)
    part = whole[(..., *where)]
    flat = part.double().flatten(2)
    torch.testing.assert_close(native.gram(part).double(), flat @ flat.mT, rtol=1e-5, atol=1e-4)
    want = into.double()
    want[(..., *where)] += ((slope + slope.mT).double() @ flat).view(part.shape)
    native.add_gram_pull(into[(..., *where)], part, slope)
    torch.testing.assert_close(into.double(), want, rtol=1e-4, atol=1e-4)


def test_a_float_is_the_sum_of_its_parts():
    lib = native.library()
    if lib is None or not lib.splits:
        pytest.skip("this processor multiplies no matrices of bfloat16")
    values = torch.randn(1, 64, 32, generator=torch.Generator().manual_seed(0))
    values *= torch.logspace(-20, 20, 32)
    found = parts(values, lib)
    assert found.shape == (1, 2, 2, 3, 16, 16, 2)
    assert found.dtype == torch.bfloat16
    whole = found.double().sum(3)  # tiles of columns, tiles of rows, pairs, columns, rows of a pair
    back = whole[0].permute(1, 2, 4, 0, 3).reshape(64, 32)
    assert torch.equal(back, values[0].double())


@pytest.mark.parametrize("channels", [16, 32])
def test_gram_of_millions_of_positions_keeps_its_digits(channels):
    x = torch.rand(1, channels, 1024, 512, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last)
    flat = x.double().flatten(2)
    torch.testing.assert_close(native.gram(x).double(), flat @ flat.mT, rtol=5e-7, atol=0)


def test_gram_twice_differentiated():
    x = torch.randn(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(native.gram, x)
    assert torch.autograd.gradgradcheck(native.gram, x)


@pytest.mark.parametrize("size", [(2, 2), (3, 5), (8, 7), (1, 4)])
def test_mean_pool(size):
    x = torch.randn(2, 5, *size, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_(True)
    if min(size) < 2:
        assert native.mean_pool(x) is None
        return
    got = Pool("avg", Window(2, 2))(x)
    want = F.avg_pool2d(x.double(), 2)
    torch.testing.assert_close(got.double(), want, rtol=1e-6, atol=1e-6)
    slope = torch.randn(got.shape, generator=torch.Generator().manual_seed(1))
    (mine,) = torch.autograd.grad(got, x, slope)
    (theirs,) = torch.autograd.grad(want, x, slope.double())
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(native.library() is None, reason="there is no compiler here")
@pytest.mark.parametrize("shape", [(1, 16, 5, 7), (1, 5, 4, 3), (1, 512, 2, 9), (1, 3, 1, 1)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_maps_without_their_zeros(shape, share):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator) * (torch.rand(shape, generator=generator) < share)
    x = x.contiguous(memory_format=torch.channels_last)
    wide = F.pad(x, (2, 1, 1, 3), value=7.0).contiguous(memory_format=torch.channels_last)
    inside = wide[:, :, 1 : 1 + shape[2], 2 : 2 + shape[3]]
    for each in (x, inside):
        packed = native.sparse(each)
        assert packed.values.numel() == int((x != 0).sum())
        assert packed.bits.shape == (shape[2], -(-shape[1] * shape[3] // 8))
        back = native.dense(packed, shape)
        assert torch.equal(back, x)
        assert back.is_contiguous(memory_format=torch.channels_last)


def test_what_is_not_left_without_zeros():
    """Other layouts, dtypes and batches are kept as they are."""
    assert native.sparse(torch.zeros(1, 8, 4, 4)) is None
    last = torch.channels_last
    assert native.sparse(torch.zeros(2, 8, 4, 4).contiguous(memory_format=last)) is None
    assert native.sparse(torch.zeros(1, 8, 4, 4).double().contiguous(memory_format=last)) is None
    assert native.sparse(torch.zeros(1, 8, 0, 4).contiguous(memory_format=last)) is None
