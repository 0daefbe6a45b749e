"""What every loss in the registry must do, whatever its formula."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.losses import LOSSES, SumLoss
from impasto.testing import assert_descends

from .loss_cases import (
    CASES,
    IDS,
    NOT_ZERO,
    features,
    make,
    needs_same_size,
    target_of,
    value,
)

every = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
defaults = pytest.mark.parametrize("name", LOSSES.names())
H, W, C = 8, 9, 3


def pair(name: str, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Features of a picture and of what it should resemble."""
    other = (H, W) if needs_same_size(name) else (7, 11)
    return features(0, 1, C, H, W, dtype=dtype), features(1, 1, C, *other, dtype=dtype)


def slope(loss: Any, x: Tensor, target: Any, weight: Tensor | None = None) -> Tensor:
    x = x.detach().clone().requires_grad_(True)
    return torch.autograd.grad(value(loss, x, target, weight), x)[0]


@every
def test_zero_at_its_own_target(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, _ = pair(name)
    if loss.targetless:
        x = torch.zeros_like(x) + (loss.low + loss.high) / 2 if name == "range" else x * 0 + 0.7
    own = value(loss, x, target_of(loss, x))
    if name in NOT_ZERO:
        assert own >= 0
    else:
        assert abs(float(own)) < 1e-9


@every
def test_zero_at_its_own_target_in_float32(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    if loss.targetless or name in NOT_ZERO:
        pytest.skip("has no zero at a target")
    x, y = (features(seed, 1, 12, 16, 16, dtype=torch.float32).relu() for seed in (0, 1))
    own, far = value(loss, x, target_of(loss, x)), value(loss, x, target_of(loss, 3 * y + 1))
    assert 0 <= own < 1e-5 * far


@every
def test_a_finite_scalar_not_below_zero(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    for dtype in (torch.float32, torch.float64):
        x, y = pair(name, dtype)
        found = value(loss, x, target_of(loss, y))
        assert found.shape == ()
        assert found.dtype == dtype
        assert found.isfinite()
        assert found >= 0


@every
def test_gradient_is_right(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    size = (8, 9) if name == "laplacian" else (4, 5)
    x = features(0, 1, 2, *size).requires_grad_(True)
    y = features(1, 1, 2, *size)
    weight = torch.rand(1, 1, *size, generator=torch.Generator().manual_seed(3)).double()
    for w in (None, weight):
        target = target_of(loss, y)
        assert torch.autograd.gradcheck(
            lambda t, to=target, by=w: value(loss, t, to, by), x, eps=1e-6, atol=1e-6
        )
    if name == "range" and loss.form == "box":
        x = 3 * x.detach()  # some entries outside
    assert slope(loss, x, target_of(loss, y)).abs().max() > 0


@every
def test_gradient_descent_descends(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, y = pair(name)
    target = target_of(loss, y)
    assert_descends(lambda t: value(loss, t, target), 2 * x)


DEGENERATE = {
    "zeros": torch.zeros(1, C, H, W),
    "constant": torch.full((1, C, H, W), 0.7),
    "one position": torch.rand(1, C, 1, 1, generator=torch.Generator().manual_seed(5)),
    "one row": torch.rand(1, C, 1, W, generator=torch.Generator().manual_seed(6)),
    "one channel": torch.rand(1, 1, H, W, generator=torch.Generator().manual_seed(7)),
    "rank one": torch.rand(1, 1, H, W, generator=torch.Generator().manual_seed(8))
    * torch.tensor([1.0, 2.0, -1.0]).view(1, 3, 1, 1),
    "more channels than positions": torch.rand(
        1, 20, 2, 3, generator=torch.Generator().manual_seed(9)
    ),
    "large": 1e4 * torch.rand(1, C, H, W, generator=torch.Generator().manual_seed(10)),
    "small": 1e-6 * torch.rand(1, C, H, W, generator=torch.Generator().manual_seed(11)),
}


@pytest.mark.parametrize("kind", DEGENERATE)
@every
def test_degenerate_features_give_finite_gradients(
    name: str, options: dict[str, Any], kind: str
) -> None:
    loss, odd = make(name, options), DEGENERATE[kind]
    usual = torch.rand(odd.shape, generator=torch.Generator().manual_seed(12))
    for x, y in ((odd, usual), (usual, odd), (odd, odd)):
        target = target_of(loss, y)
        found = value(loss, x, target)
        assert found.isfinite()
        assert found >= 0
        assert slope(loss, x, target).isfinite().all()


@every
def test_uniform_map_is_no_map(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, y = pair(name)
    ones, ones_y = torch.ones(1, 1, H, W), torch.ones(1, 1, *y.shape[-2:])
    target, same = target_of(loss, y), target_of(loss, y, ones_y)
    plain = value(loss, x, target)
    torch.testing.assert_close(value(loss, x, same, ones), plain)
    torch.testing.assert_close(slope(loss, x, same, ones), slope(loss, x, target))


def region(height: int, width: int) -> Tensor:
    """A map with a block of different positive weights, 0 elsewhere."""
    weight = torch.zeros(1, 1, height, width, dtype=torch.float64)
    soft = torch.rand(height - 2, width - 4, generator=torch.Generator().manual_seed(4))
    weight[..., 1:-1, 1:-3] = soft + 0.2
    return weight


@every
def test_positions_outside_the_map_have_no_influence(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, y = features(0, 1, C, 20, 24), features(1, 1, C, 20, 24)
    weight = region(20, 24)
    outside = (weight == 0).expand_as(x)
    noise = 10 * features(2, 1, C, 20, 24)
    other_x, other_y = torch.where(outside, noise, x), torch.where(outside, noise, y)
    target = target_of(loss, y, weight)
    assert value(loss, x, target, weight).isfinite()
    torch.testing.assert_close(value(loss, other_x, target, weight), value(loss, x, target, weight))
    torch.testing.assert_close(
        value(loss, x, target_of(loss, other_y, weight), weight), value(loss, x, target, weight)
    )
    found = slope(loss, x, target, weight)
    assert (found[outside] == 0).all()
    if name != "range" or loss.form == "norm":
        assert found.abs().max() > 0


@every
def test_a_map_of_zeros_gives_nothing_and_no_gradient(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, y = pair(name)
    weight = torch.zeros(1, 1, H, W)
    assert value(loss, x, target_of(loss, y), weight).isfinite()
    assert (slope(loss, x, target_of(loss, y), weight) == 0).all()


@every
def test_zero_at_its_own_target_within_a_map(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    if loss.targetless or name in NOT_ZERO:
        pytest.skip("has no zero at a target")
    x, weight = features(0, 1, C, 9, 10), region(9, 10)
    assert value(loss, x, target_of(loss, x, weight), weight) < 1e-9


@every
def test_blends_of_one_are_that_one(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, y = pair(name)
    one, two = target_of(loss, y), target_of(loss, 2 * y + 1)
    wanted = value(loss, x, one)
    torch.testing.assert_close(value(loss, x, loss.blend([one, one], [0.3, 0.7])), wanted)
    torch.testing.assert_close(value(loss, x, loss.blend([one, two], [1.0, 0.0])), wanted)


@defaults
def test_a_blend_lies_between(name: str) -> None:
    loss = make(name, {})
    if loss.targetless or name in ("adversarial", "mrf"):
        pytest.skip("nothing to blend, or a union in which every patch can find a better match")
    _, y = pair(name)
    one, two = target_of(loss, y), target_of(loss, 3 * y.flip(1).flip(2))
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    found = [float(value(loss, y, loss.blend([one, two], [1 - s, s]))) for s in shares]
    assert found[0] < found[2] < found[4]
    assert sorted(found) == found


@every
def test_a_batch_is_the_mean_of_its_samples(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, y = pair(name)
    batch = torch.cat((x, 2 * x.flip(2) + 0.1))
    target = target_of(loss, y)
    maps = torch.cat((region(H, W), torch.ones(1, 1, H, W, dtype=torch.float64)))
    singles = [value(loss, sample, target) for sample in batch.split(1)]
    torch.testing.assert_close(value(loss, batch, target), torch.stack(singles).mean())
    if "samples" in options:
        return  # a batch shares its drawn positions, which depend on its maps
    singles = [
        value(loss, sample, target, by)
        for sample, by in zip(batch.split(1), maps.split(1), strict=True)
    ]
    torch.testing.assert_close(value(loss, batch, target, maps), torch.stack(singles).mean())


@every
def test_inputs_stay_as_they_are(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, y = pair(name)
    weight = torch.rand(1, 1, H, W, generator=torch.Generator().manual_seed(3)) + 0.1
    target = target_of(loss, y.requires_grad_(True))
    assert not any(t.requires_grad for t in target)
    before = [t.clone() for t in (x, weight, *target)]
    value(loss, x.requires_grad_(True), target, weight).backward()
    for then, now in zip(before, (x, weight, *target), strict=True):
        assert torch.equal(then, now)
    with torch.no_grad():
        y.zero_()
    for then, now in zip(before[2:], target, strict=True):
        assert torch.equal(then, now), "the target shares memory with the features"


@every
def test_same_settings_same_loss(name: str, options: dict[str, Any]) -> None:
    one, two = make(name, options), make(name, options)
    assert one == two
    assert hash(one) == hash(two)
    assert eval(repr(one), {type(one).__name__: type(one)}) == one
    x, y = pair(name)
    assert torch.equal(value(one, x, target_of(one, y)), value(two, x, target_of(two, y)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.anything = 1  # type: ignore[union-attr]


@defaults
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(TypeError, match="colour_of_the_frame"):
        make(name, {"colour_of_the_frame": 1})


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("gram", {"divide": "hwc"}, "Gram: divide cannot be 'hwc'.*none, hw, chw, 2chw"),
        ("tv", {"power": 0.5}, "TotalVariation: power is 0.5.*1 or more"),
        ("tv", {"form": "isotropic", "power": 1, "eps": 0}, "eps is 0"),
        ("mrf", {"patch": 0}, "MRF: patch is 0"),
        ("mrf", {"scales": (1.0, 0.0)}, "MRF: scales is .*more than 0"),
        ("range", {"low": 1, "high": 1}, "Range: high is 1"),
        ("contextual", {"bandwidth": 0}, "Contextual: bandwidth is 0.*more than 0"),
        ("wasserstein", {"ridge": float("nan")}, "Wasserstein: ridge is nan"),
    ],
)
def test_settings_out_of_range_are_refused(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make(name, options)


def test_lists_become_tuples() -> None:
    assert make("laplacian", {"pools": [4, 16]}) == make("laplacian", {"pools": (4, 16)})
    assert hash(make("mrf", {"rotations": [90]})) == hash(make("mrf", {"rotations": (90,)}))


@every
def test_sums_add_up_over_tiles(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    if not isinstance(loss, SumLoss):
        pytest.skip("not a loss of sums")
    if loss.halo:
        pytest.skip("couples neighbours, is evaluated on the whole picture")
    x, y = pair(name)
    weight, target = region(H, W), target_of(loss, y)
    parts = [(slice(0, 3), slice(0, W)), (slice(3, H), slice(0, 4)), (slice(3, H), slice(4, W))]
    tiles = [
        loss.sums(
            x[..., rows, columns],
            tuple(t[..., rows, columns] for t in target) if loss.aligned else target,
            weight[..., rows, columns],
        )
        for rows, columns in parts
    ]
    total = tuple(sum(each) for each in zip(*tiles, strict=True))
    torch.testing.assert_close(loss.value(total, target), loss(x, target, weight))


@every
@pytest.mark.parametrize("weighted", [False, True])
def test_what_is_pulled_is_the_gradient_of_the_sums(
    name: str, options: dict[str, Any], weighted: bool
) -> None:
    loss = make(name, options)
    if not isinstance(loss, SumLoss):
        pytest.skip("not a loss of sums")
    x, y = pair(name)
    target, weight = target_of(loss, y), region(H, W) if weighted else None
    leaf = x.detach().requires_grad_()
    sums = loss.sums(leaf, target, weight)
    draw = torch.Generator().manual_seed(1)
    slopes = [torch.randn(s.shape, generator=draw, dtype=s.dtype) for s in sums]
    total = torch.stack([(a * s).sum() for a, s in zip(slopes, sums, strict=True)]).sum()
    (want,) = torch.autograd.grad(total, leaf)
    wider = torch.randn(*x.shape[:2], H + 2, W + 3, generator=draw, dtype=x.dtype)
    before, inside = wider.clone(), (..., slice(1, H + 1), slice(2, W + 2))
    loss.add_pull(wider[inside], x, target, slopes, weight)
    torch.testing.assert_close((wider - before)[inside], want)
    wider[inside] = before[inside]
    loss.add_pull(wider[inside], x, target, [None] * len(slopes), weight)
    assert torch.equal(wider, before)


@every
def test_draws_are_a_function_of_seed_and_step(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    assert loss.at(0) == loss
    assert loss.at(7) == loss.at(7)
    x, y = pair(name)
    target = target_of(loss, y)
    few = "samples" in options or name == "sliced-wasserstein"
    same = torch.equal(value(loss, x, target), value(loss.at(7), x, target))
    assert same != few
    state = torch.get_rng_state()
    value(loss.at(3), x, target)
    assert torch.equal(state, torch.get_rng_state()), "the global generator was used"


@every
def test_no_tensor_is_made_on_the_default_device(name: str, options: dict[str, Any]) -> None:
    loss = make(name, options)
    x, y = pair(name)
    weight = region(H, W)
    with torch.device("meta"):  # a device where nothing can be read
        target = loss.blend([target_of(loss, y), target_of(loss, y)], [0.5, 0.5])
        found = value(loss, x, target, weight)
    assert found.isfinite()


UNORDERED = ("gram", "swag", "mean-std", "mean-cov", "wasserstein", "histogram")
UNORDERED_TOO = ("sliced-wasserstein", "remd", "contextual")


@defaults
def test_order_of_positions_matters_only_where_it_should(name: str) -> None:
    loss = make(name, {})
    x, y = pair(name)
    order = torch.randperm(H * W, generator=torch.Generator().manual_seed(1))
    mixed = x.flatten(2)[..., order].view_as(x)
    target = target_of(loss, y)
    same = torch.allclose(value(loss, x, target), value(loss, mixed, target), rtol=1e-9)
    assert same == (name in UNORDERED + UNORDERED_TOO + ("range",))


RELATIVE = [(n, o) for n, o in CASES if o.get("scale") == "relative"] + [("remd", {})]


@pytest.mark.parametrize(("name", "options"), RELATIVE, ids=[n for n, _ in RELATIVE])
def test_relative_losses_do_not_depend_on_the_scale_of_features(
    name: str, options: dict[str, Any]
) -> None:
    extra = {"eps": 1e-12} if name == "mean-std" else {}
    loss = make(name, options | extra)
    x, y = pair(name)
    one = value(loss, x, target_of(loss, y))
    ten = value(loss, 10 * x, target_of(loss, 10 * y))
    torch.testing.assert_close(ten, one, rtol=1e-6, atol=1e-9)
    if name not in ("remd", "mrf"):
        empty = value(loss, torch.zeros_like(x), target_of(loss, y))
        torch.testing.assert_close(empty, torch.ones_like(one) * _parts(options), atol=1e-5, rtol=0)


def _parts(options: dict[str, Any]) -> int:
    """The Laplacian is a sum over pools, each of which is 1 for a flat picture."""
    return len(options.get("pools", (1,)))


@defaults
def test_docstring_has_all_that_a_reader_needs(name: str) -> None:
    kind = LOSSES.get(name)
    text = kind.__doc__ or ""
    for word in ("Source:", "Cost:", "Blends:", "Deviations:"):
        assert word in text, word
    for option in dataclasses.fields(kind):  # type: ignore[arg-type]
        assert f"        {option.name}: " in text, option.name
