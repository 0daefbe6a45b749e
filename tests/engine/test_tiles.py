"""Tiled values and gradients are those of one pass, for every sum, size, layer, tile and mask."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto import native
from impasto.backbones import ARCHITECTURES, PREPROCESSING
from impasto.backbones.chain import Chain
from impasto.backbones.operations import Conv
from impasto.engine import tiles
from impasto.engine.objective import IMAGE, Goal, Objective, Term, goal_for
from impasto.engine.passes import Tile
from impasto.engine.store import Pages, Store, in_memory
from impasto.engine.tiled import TiledEyes, TiledObjective, Tiles
from impasto.engine.tiles import Span, Tiling, layer_sizes, sections
from impasto.engine.way_back import BOARD, Place, Shelf, Walker, WayBack
from impasto.errors import UsageError
from impasto.losses import LOSSES, Content, Gram, SumLoss, TotalVariation
from impasto.native import choice
from impasto.testing import thin_vgg

NETS = {p: thin_vgg(width=2, pooling=p, dtype=torch.float64) for p in ("avg", "max")}
SUMS = [name for name, loss in LOSSES if issubclass(loss, SumLoss) and not loss.targetless]


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def slope_of(objective: Objective, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    x = image.clone().requires_grad_(True)
    values = objective(x)
    (slope,) = torch.autograd.grad(torch.stack(list(values.values())).sum(), x)
    return {k: v.detach() for k, v in values.items()}, slope


def assert_same(goals: list[Goal], net: object, image: Tensor, how: Tiles, **options: bool) -> None:
    whole, slope = slope_of(Objective(net, goals, **options), image)
    tiled, found = slope_of(TiledObjective(net, goals, how, **options), image)
    assert whole.keys() == tiled.keys()
    for name, value in whole.items():
        torch.testing.assert_close(tiled[name], value, rtol=1e-10, atol=1e-12)
    scale = float(slope.abs().max())
    torch.testing.assert_close(found / scale, slope / scale, rtol=0, atol=1e-10)


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(40, 150),
    width=st.integers(40, 150),
    size=st.integers(12, 90),
    deepest=st.sampled_from(["relu1_1", "conv2_2", "relu3_1", "pool3", "relu4_1"]),
    pooling=st.sampled_from(["avg", "max"]),
    masked=st.booleans(),
)
def test_any_size_layer_tile_and_mask(
    height: int, width: int, size: int, deepest: str, pooling: str, masked: bool,
) -> None:  # fmt: skip
    net, photo = NETS[pooling], picture(height, width, 1)
    layers = ("relu1_2", deepest)
    maps = {}
    if masked:
        taps = net.taps(photo, layers)
        maps = {n: picture(*t.shape[-2:], seed=5)[:, :1] for n, t in taps.items()}
    goals = [
        goal_for(Term("content", Content("relative"), (deepest,), 2.0), net, [photo], [1.0]),
        goal_for(Term("style", Gram("hw", "relative"), layers, 3.0), net, [picture(60, 70, 2)],
                 [1.0], maps),
        goal_for(Term("tv", TotalVariation(), (IMAGE,), 1.5), net, [photo], [1.0]),
    ]  # fmt: skip
    assert_same(goals, net, picture(height, width, 3), Tiles(size))


@pytest.mark.parametrize("name", SUMS)
def test_every_sum_over_positions(name: str) -> None:
    net, loss = NETS["avg"], LOSSES.get(name)()
    shape = (97, 110) if loss.aligned else (80, 64)
    goal = goal_for(Term("t", loss, ("relu2_1", "relu3_1")), net, [picture(*shape, 2)], [1.0])
    assert_same([goal], net, picture(97, 110, 3), Tiles(24))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    "loss",
    [
        TotalVariation(),
        TotalVariation(form="isotropic", scale="pixels"),
        TotalVariation(power=1.0, scale="sum"),
        LOSSES.get("range")(),
        LOSSES.get("wasserstein")(scale="relative"),
        Content(),
    ],
)
def test_losses_on_the_picture_itself(loss: SumLoss, masked: bool) -> None:
    """Alone, where the network is not run at all, and beside a loss on features."""
    net, photo = NETS["max"], picture(61, 50, 1)
    maps = {IMAGE: picture(61, 50, 4)[:, :1]} if masked else {}
    goal = goal_for(Term("p", loss, (IMAGE,), 2.0), net, [photo], [1.0], maps)
    style = goal_for(Term("s", Gram(), ("relu3_1",)), net, [photo], [1.0])
    for goals in ([goal], [goal, style]):
        assert_same(goals, net, picture(61, 50, 3), Tiles(16))


WHOLE = [
    ("histogram", ("relu1_1", "relu3_1")),
    ("sliced-wasserstein", ("relu2_1",)),
    ("mrf", ("relu3_1",)),
    ("contextual", ("relu3_1", "pool2")),
    ("swag", ("relu3_1",)),
    ("remd", ("relu1_1", "relu3_1")),
    ("laplacian", (IMAGE,)),
]


@pytest.mark.parametrize(("name", "layers"), WHOLE)
def test_losses_that_need_their_layers_whole(name: str, layers: tuple[str, ...]) -> None:
    net, loss = NETS["avg"], LOSSES.get(name)()
    maps = {n: picture(*t.shape[-2:], seed=6)[:, :1] for n, t in
            net.taps(picture(97, 110), [n for n in layers if n != IMAGE]).items()}  # fmt: skip
    shape = (97, 110) if name == "laplacian" else (70, 90)
    goals = [
        goal_for(Term("t", loss, layers, 2.0), net, [picture(*shape, 2)], [1.0], maps),
        goal_for(Term("s", Gram(), ("relu1_1", "relu3_1")), net, [picture(60, 70, 2)], [1.0]),
    ]
    assert_same(goals, net, picture(97, 110, 3), Tiles(24))


def test_normalised_gradients() -> None:
    net, photo = NETS["avg"], picture(80, 90, 1)
    goals = [
        goal_for(Term("style", Gram("hw", "relative"), ("relu1_2", "relu3_1"), 3.0), net,
                 [photo], [1.0]),
        goal_for(Term("tv", TotalVariation(), (IMAGE,), 1.5), net, [photo], [1.0]),
    ]  # fmt: skip
    assert_same(goals, net, picture(80, 90, 3), Tiles(24), normalize_gradients=True)


def test_what_draws_and_what_learns_does_so_as_without_tiles() -> None:
    net, photo = NETS["avg"], picture(80, 90, 1)
    goals = [
        goal_for(
            Term("swd", LOSSES.get("sliced-wasserstein")(), ("relu2_1",)), net, [photo], [1.0]
        ),
        goal_for(Term("adv", LOSSES.get("adversarial")(), ("relu3_1",)), net, [photo], [1.0]),
    ]
    whole, tiled = Objective(net, goals), TiledObjective(net, goals, Tiles(24))
    for step in range(2):
        for objective in (whole, tiled):
            objective.begin(step)
        (a, slope), (b, found) = (slope_of(o, picture(80, 90, 3)) for o in (whole, tiled))
        for name in a:
            torch.testing.assert_close(a[name], b[name], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(slope, found, rtol=0, atol=1e-9 * float(slope.abs().max()))


def test_in_float32() -> None:
    net, photo = thin_vgg(width=8, pooling="avg"), picture(160, 140, 1).float()
    goals = [
        goal_for(Term("content", Content("relative"), ("relu4_2",)), net, [photo], [1.0]),
        goal_for(Term("style", Gram("hw", "relative"), ("relu1_1", "relu5_1"), 3.0), net,
                 [picture(120, 130, 2).float()], [1.0]),
    ]  # fmt: skip
    image = picture(160, 140, 3).float()
    (a, slope), (b, found) = (
        slope_of(o, image) for o in (Objective(net, goals), TiledObjective(net, goals, Tiles(48)))
    )
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-5, atol=0)
    assert float((slope - found).norm() / slope.norm()) < 1e-5


def test_tensors_in_files_change_nothing(tmp_path: Path) -> None:
    net, photo = NETS["avg"], picture(120, 130, 1)
    store = Store(least=1, folder=tmp_path)
    eyes = TiledEyes(net, Tiles(32, store))
    goals = [
        goal_for(Term("content", Content("relative"), ("relu3_1",)), eyes, [photo], [1.0]),
        goal_for(Term("style", Gram("hw", "relative"), ("relu1_2", "relu4_1")), eyes,
                 [picture(60, 70, 2)], [1.0]),
    ]  # fmt: skip
    assert_same(goals, net, picture(120, 130, 3), Tiles(32, store))
    assert not list(tmp_path.iterdir())  # files have no names, so none is left behind


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", [name for name, _ in LOSSES])
def test_targets_are_those_of_the_whole(name: str, masked: bool) -> None:
    net, loss = NETS["avg"], LOSSES.get(name)()
    layers = (IMAGE,) if name in ("tv", "range", "laplacian") else ("relu2_1", "relu3_1")
    weights = [picture(90, 75, 5)[:, :1]] if masked else []
    whole, tiled = (
        goal_for(Term("t", loss, layers), eyes, [picture(90, 75, 2)], [1.0], weights=weights)
        for eyes in (net, TiledEyes(net, Tiles(24)))
    )
    assert whole.targets.keys() == tiled.targets.keys()
    for layer, target in whole.targets.items():
        for a, b in zip(target, tiled.targets[layer], strict=True):
            torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-10)


def test_gradients_only_where_they_are_wanted() -> None:
    """Without a gradient there is one pass."""
    net, photo = NETS["avg"], picture(80, 90, 1)
    goal = goal_for(Term("s", Gram(), ("relu3_1",)), net, [photo], [1.0])
    objective = TiledObjective(net, [goal], Tiles(24))
    (value,) = objective(picture(80, 90, 3)).values()
    assert not value.requires_grad
    (same,) = Objective(net, [goal])(picture(80, 90, 3)).values()
    torch.testing.assert_close(value, same, rtol=1e-10, atol=0)


@pytest.mark.parametrize("arch", ["alexnet", "resnet18", "resnet50", "squeezenet1_1", "googlenet"])
def test_features_of_other_networks(arch: str) -> None:
    architecture = ARCHITECTURES.get(arch)
    net = architecture.build(
        arch,
        architecture.random(0, thin=8, head=False),
        preprocessing=PREPROCESSING.get("imagenet"),
        pooling="max",
        padding="zeros",
    ).double()
    layers = [n for n, t in net.table.items() if t.reach is not None and t.stride <= 16]
    image = picture(190, 230, 1)
    whole = net.taps(image, layers)
    tiled = TiledEyes(net, Tiles(48)).taps(image, layers)
    for layer in layers:
        torch.testing.assert_close(tiled[layer], whole[layer], rtol=1e-9, atol=1e-9, msg=layer)


@pytest.mark.parametrize("arch", ["alexnet", "resnet18", "squeezenet1_1", "googlenet"])
def test_gradients_of_other_networks(arch: str) -> None:
    architecture = ARCHITECTURES.get(arch)
    net = architecture.build(
        arch, architecture.random(0, thin=8, head=False), pooling="max", padding="zeros",
        preprocessing=PREPROCESSING.get("imagenet"),
    ).double()  # fmt: skip
    layers = (net.nearest("relu2_1"), net.nearest("relu4_1"))
    goals = [
        goal_for(Term("s", Gram("hw", "relative"), layers), net, [picture(150, 140, 2)], [1.0]),
        goal_for(Term("c", Content("relative"), layers[1:]), net, [picture(170, 190, 1)], [1.0]),
    ]
    assert_same(goals, net, picture(170, 190, 3), Tiles(48))


def test_halo_is_what_the_deepest_layer_sees() -> None:
    net = NETS["avg"]
    assert Tiling(net, 32, ("relu1_1",)).halo == 1
    # 3x3 at strides 1 1 2 2 4 4 4 8: sum of the strides is 30, less the block of its own.
    assert net.table["relu4_1"].reach == (26, 26)
    assert Tiling(net, 32, ("relu4_1",)).halo == 32
    # From pool3 on, in its cells of 8 px: four 3x3 and a pooling, on a grid of two.
    assert Tiling(net, 32, ("relu5_1",), "pool3").halo == 6


def test_tiles_are_about_equal() -> None:
    """A picture of 1024 px with its margin is no row of slim tiles more; parts cover it once."""
    tiling = Tiling(NETS["avg"], 512, ("relu1_1",))
    assert [s.stop - s.start for s in tiling.spans(1040)] == [520, 520]
    for length in (1, 511, 563, 564, 1126, 1127, 4112):
        spans = tiling.spans(length)
        edges = [s.stop - s.start for s in spans]
        assert sum(edges) == length
        assert [s.start for s in spans[1:]] == [s.stop for s in spans[:-1]]
        assert max(edges) <= 564
        assert max(edges) - min(edges) < len(edges)


def in_style(
    net: Chain, layers: tuple[str, ...], size: int, dtype: torch.dtype = torch.float64
) -> TiledObjective:
    """Wants certain Gram matrices, in tiles of ``size``."""
    painting = picture(60, 70, 2).to(dtype)
    goal = goal_for(Term("style", Gram(), layers), net, [painting], [1.0])
    return TiledObjective(net, [goal], Tiles(size))


#: Values per pixel up to which layers are kept: none of the thin network's, the deep ones, all.
LASTINGS = (0, 0.3, 8)


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("room", [0, 30_000, 300_000, 10**9])
@pytest.mark.parametrize("lasting", LASTINGS)
def test_ways_back_change_nothing_however_much_room_they_have(
    pooling: str, room: int, lasting: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "LASTING", lasting)
    net, photo = NETS[pooling], picture(150, 130, 3)
    objective = in_style(net, ("relu1_1", "relu3_1", "relu4_1"), 30)
    whole = slope_of(Objective(net, objective.goals), photo)[1]
    objective.passes = replace(objective.passes, room=room)
    found = slope_of(objective, photo)[1]
    torch.testing.assert_close(found / whole.abs().max(), whole / whole.abs().max())


@pytest.mark.parametrize("lasting", [0, 10**3])
def test_ways_back_of_pictures_partly_out_of_range(
    lasting: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Channels that are silent in one tile speak in another of the same shape."""
    monkeypatch.setattr(tiles, "LASTING", lasting)
    monkeypatch.setattr(choice, "ours", lambda *_: True)
    net = thin_vgg(width=16, pooling="avg", dtype=torch.float32)
    first = next(m for m in net.modules() if isinstance(m, Conv))
    first.bias.data[::3] = -50.0
    photo = picture(96, 96).float()
    photo[..., 40:, :40] = photo[..., 40:, :40] * 400 - 150
    objective = in_style(net, ("relu1_2", "relu2_1"), 32, photo.dtype)
    whole = slope_of(Objective(net, objective.goals), photo)[1]
    found = slope_of(objective, photo)[1]
    torch.testing.assert_close(
        found / whole.abs().max(), whole / whole.abs().max(), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("room", [0, 40_000, 10**9])
@pytest.mark.parametrize("lasting", LASTINGS)
def test_what_is_kept_is_computed_once(
    monkeypatch: pytest.MonkeyPatch, room: int, lasting: float
) -> None:
    calls: dict[int, int] = {}
    forward = Conv.forward

    def counted(self: Conv, *args: object, **options: object) -> Tensor:
        calls[id(self)] = calls.get(id(self), 0) + 1
        return forward(self, *args, **options)

    monkeypatch.setattr(tiles, "LASTING", lasting)
    net = NETS["avg"]
    convs = [m for m in net.modules() if isinstance(m, Conv)]
    objective = in_style(net, ("relu1_1", "relu2_1", "relu3_1"), 32)
    objective.passes = replace(objective.passes, room=room)
    count = len(list(objective.passes.sections[0].tiles(128, 128)))
    image = picture(128, 128)
    monkeypatch.setattr(Conv, "forward", counted)
    slope_of(objective, image)
    # conv1_1, whose output is read, and conv2_2, whose output is not
    first, last = (calls[id(conv)] for conv in (convs[0], convs[3]))
    assert count == 16
    assert first == count if lasting == 8 and room == 10**9 else count < first <= 2 * count
    assert last == count if room == 10**9 else count < last <= 2 * count
    assert (last == 2 * count) == (room == 0)


@pytest.mark.skipif(native.library() is None, reason="there is no compiler here")
def test_ways_back_take_a_bit_for_each_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is read only as much as there is of it, beside its bits."""
    monkeypatch.setattr(choice, "ours", lambda *_: True)
    monkeypatch.setattr(tiles, "LASTING", 4)
    net = thin_vgg(width=8, pooling="avg", dtype=torch.float32)
    (section, _) = sections(net, ("relu1_1", "relu2_1", "relu3_1"), 64)
    assert section.divided() == (["relu1_1"], ["relu2_1", "pool2"])
    walker = Walker(net, in_memory(), 10**9)
    with torch.no_grad():
        x = torch.rand(1, 3, 64, 64)
        tile = Tile.run(section, x, (Span(0, 64, 0, 64), Span(0, 64, 0, 64)), walker)
    way = tile.way
    assert isinstance(way, WayBack)
    sizes = [math.prod(place.shape) * place.dtype.itemsize for place in way.kept]
    wide, narrow = (net.table[n].channels for n in ("conv1_2", "conv2_2"))
    assert wide % 8 == narrow % 8 == 0
    # conv1_2, conv2_1 and conv2_2; means need nothing
    assert sizes == [64 * 64 * wide / 8, 32 * 32 * narrow / 8, 32 * 32 * narrow / 8]
    bits, starts, values = way.values["relu2_1"].places
    assert bits.shape == (32, 32 * narrow / 8)
    assert starts.shape == (32,)
    assert values.shape == (int((tile.parts["relu2_1"] != 0).sum()),)
    assert torch.equal(way.value("relu2_1"), tile.parts["relu2_1"])


def test_a_shelf_keeps_copies_beside_each_other() -> None:
    shelf = Shelf(in_memory())
    first, second = torch.arange(7, dtype=torch.uint8), torch.randn(3, 5)
    large, turned = torch.zeros(BOARD + 1, dtype=torch.uint8), torch.randn(4, 6).T
    gaps, none = torch.randn(1, 6, 5, 4).mT[:, 1:4, :, 1:], torch.zeros(0, 3)
    tensors = [first, second, large, turned, gaps, none, torch.tensor(True)]
    kept = [shelf.put(t) for t in tensors]
    assert kept[1] == Place(0, 64, (3, 5), (5, 1), torch.float32)
    for tensor, place in zip(tensors, kept, strict=True):
        assert torch.equal(shelf.get(place), tensor)
    first += 1
    assert shelf.get(kept[0])[0] == 0
    assert shelf.get(kept[3]).stride() == turned.stride()


def test_a_section_pauses_at_the_last_layer_that_is_run_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = NETS["avg"]
    names = ("relu1_1", "relu2_1", "conv3_1", "conv4_2", "relu4_2", "relu5_1")
    assert [s.pause for s in sections(net, names, 64)] == [None] * 4
    monkeypatch.setattr(tiles, "LASTING", 0)
    first, second, third, last = sections(net, names, 64)
    assert (first.pause, third.pause, last.pause) == ("relu2_1", "relu4_2", "relu5_1")
    assert second.pause is None  # the ReLU behind conv3_1 would overwrite it
    assert first.divided() == (["relu1_1", "relu2_1"], ["pool2"])
    assert second.divided() == ([], ["conv3_1", "pool3"])


@pytest.mark.parametrize("arch", ["resnet18", "googlenet"])
@pytest.mark.parametrize("room", [0, 10**9])
@pytest.mark.parametrize("lasting", LASTINGS)
def test_layers_within_blocks_get_their_gradients(
    arch: str, room: int, lasting: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "LASTING", lasting)
    architecture = ARCHITECTURES.get(arch)
    net = architecture.build(
        arch, architecture.random(0, thin=8, head=False), pooling="max", padding="zeros",
        preprocessing=PREPROCESSING.get("imagenet"),
    ).double()  # fmt: skip
    layers = tuple(n for n, t in net.table.items() if t.reach is not None and t.stride <= 8)
    assert any(net.table[n].inner for n in layers)
    objective = in_style(net, layers, 32)
    objective.passes = replace(objective.passes, room=room)
    photo = picture(100, 90, 3)
    whole = slope_of(Objective(net, objective.goals), photo)[1]
    found = slope_of(objective, photo)[1]
    torch.testing.assert_close(found / whole.abs().max(), whole / whole.abs().max())


def test_layers_by_several_names() -> None:
    net, photo = NETS["avg"], picture(100, 90, 3)
    objective = in_style(net, ("block1_conv1", "relu1_1", "pool2", "block2_pool", "relu3_1"), 32)
    whole = slope_of(Objective(net, objective.goals), photo)[1]
    found = slope_of(objective, photo)[1]
    torch.testing.assert_close(found / whole.abs().max(), whole / whole.abs().max())


def test_sections_lie_between_the_cuts() -> None:
    first, second, third = sections(NETS["avg"], ("relu1_1", IMAGE, "pool3", "relu4_1"), 256)
    assert (first.layers, first.cut, first.halo) == (("relu1_1", IMAGE), "pool2", 8)
    assert (second.after, second.layers, second.cut) == ("pool2", ("pool3",), "pool3")
    assert (third.after, third.layers, third.cut, third.scale) == ("pool3", ("relu4_1",), None, 8)


def test_a_thinner_halo_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above would notice: with a part of the halo the features differ."""
    net, image = NETS["avg"], picture(120, 120)
    whole = net.taps(image, ["relu4_1"])["relu4_1"]
    monkeypatch.setattr(Tiling, "halo", property(lambda self: 2 * (self.after is None)))
    tiled = TiledEyes(net, Tiles(40)).taps(image, ["relu4_1"])["relu4_1"]
    assert (whole - tiled).abs().max() > 1e-6


def test_sizes_of_layers() -> None:
    net = NETS["avg"]
    layers = ["relu1_1", "pool3", "relu5_1", IMAGE]
    whole = {n: tuple(t.shape[-2:]) for n, t in net.taps(picture(99, 71), layers[:-1]).items()}
    assert layer_sizes(net, (99, 71), layers) == whole | {IMAGE: (99, 71)}


def test_what_cannot_be_tiled_says_so() -> None:
    ring = thin_vgg(padding="circular")
    with pytest.raises(UsageError, match="cannot be seen in tiles"):
        sections(ring, ("relu1_1",), 32)


def test_nothing_of_a_way_back_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither behind it nor where it is not taken: a graph holds hooks, which must not hold it."""
    made: list[weakref.ref[object]] = []
    init = Shelf.__init__

    def noted(self: Shelf, pages: Pages) -> None:
        made.append(weakref.ref(self))
        init(self, pages)

    monkeypatch.setattr(Shelf, "__init__", noted)
    objective = in_style(NETS["avg"], ("relu1_1", "relu2_1", "relu3_1"), 32)
    slope_of(objective, picture(128, 128))
    objective(picture(128, 128).requires_grad_(True))
    gc.collect()
    assert len(made) == 2
    assert [shelf() for shelf in made] == [None, None]
