"""Our convolutions against direct ones in float64, and their gradients."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F

from impasto import native
from impasto.native import choice

needs_kernels = pytest.mark.skipif(native.library() is None, reason="there is no compiler here")
#: Odd, tiny and even sizes; with a pad of 0 the smallest are refused.
CHANNELS = [(1, 1), (3, 64), (4, 5), (5, 7), (16, 16), (20, 90), (64, 80), (32, 64), (128, 96)]
SIZES = [(1, 1), (1, 9), (2, 3), (3, 3), (4, 4), (5, 7), (6, 18), (13, 4), (31, 22)]


@pytest.fixture(autouse=True, params=["best", "vectors"])
def _always_ours(request, monkeypatch):
    """With the best kernels that the machine can run, and without those of ``amx.c``."""
    if request.param == "vectors":
        if (found := native.library()) is not None and not found.splits:
            pytest.skip("this processor multiplies no matrices of bfloat16")
        monkeypatch.setenv(native.SWITCH, "vectors")
    monkeypatch.setattr(choice, "ours", lambda *_: True)


def draw(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def filters(inputs: int, outputs: int) -> native.Filters:
    weight = draw(outputs, inputs, 3, 3, seed=1) / (9 * inputs) ** 0.5
    return native.Filters(weight, draw(outputs, seed=2))


def exact(x, f, pad, relu):
    y = F.conv2d(x.double(), f.weight.double(), f.bias.double(), padding=pad)
    return y.relu() if relu else y


def close(got: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-5) -> None:
    assert got.shape == expected.shape
    assert (got.double() - expected).abs().max() <= tolerance * expected.abs().max().clamp(min=1)


@needs_kernels
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("pad", [0, 1, 2])
@pytest.mark.parametrize("channels", CHANNELS)
def test_values_and_gradient(channels, pad, relu):
    f = filters(*channels)
    for seed, (height, width) in enumerate(SIZES):
        if min(height, width) + 2 * pad < 3:
            continue
        x = draw(2, channels[0], height, width, seed=seed).requires_grad_(True)
        y = native.convolve(x, f, pad, relu=relu)
        want = exact(x, f, pad, relu)
        assert y is not None
        close(y, want.detach())
        slope = draw(*y.shape, seed=seed + 9)
        (pull,) = torch.autograd.grad(y, x, slope)
        # Where rounding decides on which side of 0 an output lies, so does it on its slope.
        agree = (y.detach() > 0) == (want > 0)
        (expected,) = torch.autograd.grad(want, x, (slope * agree).double())
        (pull,) = torch.autograd.grad(native.convolve(x, f, pad, relu=relu), x, slope * agree)
        close(pull, expected)


@needs_kernels
@pytest.mark.parametrize("channels", CHANNELS)
def test_the_way_back_keeps_a_bit_for_each_value(channels):
    """Lowest bit first, the bits of a position from a byte of their own on."""
    kept = []
    x, f = draw(2, channels[0], 13, 10, seed=3).requires_grad_(True), filters(*channels)
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        y = native.convolve(x, f, 1, relu=True)
    (bits,) = kept
    assert bits.shape == (2, 13, 10, -(-channels[1] // 8))
    each = torch.arange(8, dtype=torch.uint8)
    found = ((bits[..., None] >> each) & 1).flatten(3)
    signs = (y.detach() > 0).permute(0, 2, 3, 1)
    assert torch.equal(found[..., : channels[1]].bool(), signs)


@needs_kernels
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("channels", [(4, 5), (20, 90), (32, 64), (128, 96)])
def test_means_of_the_output_and_their_gradient(channels, relu):
    """An odd last row or column is in none of them."""
    f = filters(*channels)
    for seed, (height, width) in enumerate([(2, 2), (3, 3), (4, 9), (13, 4), (31, 22)]):
        x = draw(2, channels[0], height, width, seed=seed).requires_grad_(True)
        y = native.convolve(x, f, 1, relu=relu, means=True)
        whole = native.convolve(x, f, 1, relu=relu)
        torch.testing.assert_close(y, F.avg_pool2d(whole, 2), rtol=1e-6, atol=1e-6)
        slope = draw(*y.shape, seed=seed + 9)
        (pull,) = torch.autograd.grad(y, x, slope)
        (expected,) = torch.autograd.grad(F.avg_pool2d(whole, 2), x, slope)
        close(pull, expected.double(), 2e-6)
    assert native.convolve(draw(1, channels[0], 1, 8, seed=0), f, 1, relu=relu, means=True) is None


@needs_kernels
@pytest.mark.parametrize("channels", [(32, 64), (128, 96)])
def test_products_of_parts_are_as_exact_as_floats(channels):
    """Relative to the sum of the sizes of what is added up; two parts would be off by 1e-4."""
    f = filters(*channels)
    x = draw(1, channels[0], 24, 20, seed=4)
    y = native.convolve(x, f, 1, relu=False)
    size = F.conv2d(x.double().abs(), f.weight.double().abs(), padding=1)
    assert ((y.double() - exact(x, f, 1, False)).abs() / size).max() < 4e-6


@needs_kernels
def test_any_layout_of_the_input_gives_the_same():
    x, f = draw(2, 16, 10, 12, seed=0), filters(16, 32)
    plain = native.convolve(x, f, 1, relu=True)
    last = native.convolve(x.contiguous(memory_format=torch.channels_last), f, 1, relu=True)
    crop = native.convolve(F.pad(x, (3, 1, 2, 2))[:, :, 2:-2, 3:-1], f, 1, relu=True)
    assert torch.equal(plain, last)
    assert torch.equal(plain, crop)
    assert plain.is_contiguous(memory_format=torch.channels_last)


@needs_kernels
def test_results_do_not_depend_on_threads_or_on_the_run():
    x, f = draw(1, 48, 40, 37, seed=0), filters(48, 64)
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 3, 2):
            torch.set_num_threads(count)
            found.append(native.convolve(x, f, 1, relu=True))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0], other) for other in found)


@needs_kernels
def test_calls_at_the_same_time_do_not_share_their_room():
    x, f = draw(1, 128, 30, 30, seed=0), filters(128, 96)
    expected = native.convolve(x, f, 1, relu=True)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: native.convolve(x, f, 1, relu=True), range(40)))
    assert all(torch.equal(made, expected) for made in found)


@needs_kernels
def test_a_small_step_changes_the_sum_as_the_gradient_says():
    f = filters(6, 9)
    x = draw(1, 6, 9, 11, seed=3).requires_grad_(True)
    step = 1e-2 * draw(1, 6, 9, 11, seed=4)
    (slope,) = torch.autograd.grad(native.convolve(x, f, 1, relu=False).sum(), x)
    change = exact(x + step, f, 1, False).sum() - exact(x - step, f, 1, False).sum()
    torch.testing.assert_close((slope * step).sum() * 2, change.float(), rtol=1e-4, atol=1e-5)


@needs_kernels
@pytest.mark.parametrize("channels", [(3, 16), (16, 24)])
def test_silent_channels_are_left_out_without_a_difference(channels):
    inputs, outputs = channels
    f = filters(inputs, outputs)
    f.bias[3] = -1e6  # nothing brings this one above 0
    x = draw(1, inputs, 12, 9, seed=5)
    if inputs > 4:
        x[:, 2] = 0
        f.silent_inputs = torch.arange(inputs) == 2
    f.silent_outputs = torch.arange(outputs) == 3
    found = []
    for quiet in (False, True):
        leaf = x.clone().requires_grad_(True)
        y = native.convolve(leaf, f, 1, relu=True, quiet=quiet)
        y.square().sum().backward()
        found.append((y.detach(), leaf.grad))
    others = torch.arange(inputs) != 2 if inputs > 4 else torch.arange(inputs) >= 0
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1][:, others], found[1][1][:, others])
    assert found[1][0].shape[1] == outputs


@needs_kernels
def test_new_weights_are_seen():
    f, x = filters(8, 8), draw(1, 8, 6, 6, seed=0)
    native.convolve(x, f, 1, relu=True)
    f.weight.mul_(2)
    close(native.convolve(x, f, 1, relu=True), exact(x, f, 1, True))


@pytest.mark.parametrize(
    "x",
    [
        torch.zeros(1, 8, 6, 6, dtype=torch.float64),
        torch.zeros(1, 8, 6, 6, dtype=torch.bfloat16),
        torch.zeros(0, 8, 6, 6),
        torch.zeros(1, 7, 6, 6),
        torch.zeros(1, 8, 6, 6, device="meta"),
    ],
)
def test_what_is_torchs_is_left_to_torch(x):
    assert native.convolve(x, filters(8, 8), 1, relu=True) is None


def test_filters_that_learn_and_other_windows_are_left_to_torch():
    x = torch.zeros(1, 8, 6, 6)
    f = filters(8, 8)
    f.weight.requires_grad_(True)
    assert native.convolve(x, f, 1, relu=True) is None
    wide = native.Filters(torch.zeros(8, 8, 5, 5), torch.zeros(8))
    assert native.convolve(x, wide, 1, relu=True) is None
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert native.convolve(x, filters(8, 8), 1, relu=True) is None
