"""The enlarging network: bicubic at first, and tiles that change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto import networks
from impasto.errors import UsageError
from impasto.images.resize import resize
from impasto.networks import Card, Enhancer, build
from impasto.networks.enhance import enlarge

SMALL = "width=6,blocks=2,up=4"


def network(scale: int, fine: int = 0) -> Enhancer:
    """Small, with random numbers everywhere."""
    draw = torch.Generator().manual_seed(1)
    made = Enhancer(scale=scale, width=6, blocks=2, up=4, fine=fine).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.15
    return made.requires_grad_(False)


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("scale", [2, 4])
def test_an_untrained_network_is_bicubic_interpolation(scale: int) -> None:
    image = picture(9, 14)
    want = resize(image, (9 * scale, 14 * scale), mode="bicubic")
    made = build("enhance", f"scale={scale},{SMALL}")(image)
    assert torch.equal(made, want)
    assert made.shape == (1, 3, 9 * scale, 14 * scale)


@pytest.mark.parametrize(("scale", "fine"), [(2, 0), (2, 2), (4, 0), (4, 1)])
@pytest.mark.parametrize("tile", [5, 16, 100])
def test_tiles_are_the_whole(scale: int, fine: int, tile: int) -> None:
    net, image = network(scale, fine), picture(37, 29)
    whole = enlarge(net, image)
    assert float(whole.std()) > 0.05
    assert torch.allclose(enlarge(net, image, tile), whole, atol=5e-5)


def test_a_smaller_halo_would_leave_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    net, image = network(4), picture(40, 40)
    whole = enlarge(net, image)
    monkeypatch.setattr(Enhancer, "reach", lambda self: 2)
    assert float((enlarge(net, image, 16) - whole).abs().max()) > 1e-3


@pytest.mark.parametrize("fine", [0, 1, 2, 3])
@pytest.mark.parametrize("scale", [2, 4])
def test_nothing_beyond_the_reach_counts(scale: int, fine: int) -> None:
    net, image = network(scale, fine), picture(48, 48).requires_grad_()
    reach, centre = net.reach(), 24
    place = slice(centre * scale, (centre + 1) * scale)
    net(image)[..., place, place].square().sum().backward()
    slope = image.grad.abs().amax((0, 1))
    seen = (slope > 1e-5 * slope.max()).nonzero()  # fast convolutions round beyond their window
    assert int(seen.min()) >= centre - reach
    assert int(seen.max()) <= centre + reach
    assert int(seen.max() - seen.min()) > reach  # and it is not far too wide


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (2, 3)])
def test_the_smallest_pictures(size: tuple[int, int]) -> None:
    made = enlarge(network(4), picture(*size))
    assert made.shape == (1, 3, 4 * size[0], 4 * size[1])
    assert bool(made.isfinite().all())


def test_values_stay_in_range_and_the_input_as_it_is() -> None:
    image = (picture(12, 12) > 0.5).float()
    before = image.clone()
    made = enlarge(network(2), image, 5)
    assert 0 <= float(made.min()) < float(made.max()) <= 1
    assert torch.equal(image, before)


def test_other_scales_are_refused() -> None:
    with pytest.raises(UsageError, match=r"by 3 .*2 and 4"):
        build("enhance", "scale=3")


def test_the_file_gives_the_same_pictures(tmp_path: Path) -> None:
    net = network(2).half().float()
    where = tmp_path / "net.safetensors"
    networks.save(where, net, "enhance", f"scale=2,{SMALL}", Card())
    image = picture(10, 11)
    loaded = networks.load(where, "enhance").network
    assert isinstance(loaded, Enhancer)
    assert torch.equal(enlarge(loaded, image), enlarge(net, image))


def test_a_network_for_2_is_part_of_one_for_4() -> None:
    two = {k: v.shape for k, v in network(2).state_dict().items()}
    four = {k: v.shape for k, v in network(4).state_dict().items()}
    assert two.items() < four.items()


def test_blocks_at_full_size_begin_as_nothing() -> None:
    net, image = network(4), picture(9, 9)
    more = Enhancer(scale=4, width=6, blocks=2, up=4, fine=2).eval().requires_grad_(False)
    assert not more.load_state_dict(net.state_dict(), strict=False).unexpected_keys
    assert torch.equal(enlarge(more, image), enlarge(net, image))
