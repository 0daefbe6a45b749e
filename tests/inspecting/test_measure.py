"""The numbers of the table, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto import images
from impasto.backbones import ARCHITECTURES, CLASSIFIER, PREPROCESSING, load
from impasto.errors import InputError, UnknownName
from impasto.images.resize import fit_size, resize
from impasto.inspecting.layers import chosen_layers
from impasto.inspecting.measure import BINS, KEPT, classify, look, select, view_of
from impasto.testing import gradient_picture, thin_vgg

NET = thin_vgg()
PICTURE = gradient_picture(48, 64).square() + 0.3 * torch.rand(
    1, 3, 48, 64, generator=torch.Generator().manual_seed(1)
)
LAYERS = ["conv1_1", "relu1_1", "pool2", "relu3_1", "conv4_2"]


def random_net(arch: str, thin: int = 8):
    found = ARCHITECTURES.get(arch)
    return found.build(
        f"{arch}.random", found.random(0, thin=thin), preprocessing=PREPROCESSING.get("imagenet"),
        pooling="max", padding="zeros",
    )  # fmt: skip


@pytest.fixture(scope="module")
def views():
    return {v.name: v for v in look(NET, PICTURE, LAYERS, 6)}


@pytest.fixture(scope="module")
def taps():
    found = NET.taps(PICTURE, LAYERS)
    return {n: t[0].numpy().astype(np.float64) for n, t in found.items()}


@pytest.mark.parametrize("layer", LAYERS)
def test_statistics_are_those_of_the_taps(views, taps, layer):
    view, features = views[layer], taps[layer]
    channels, height, width = features.shape
    assert (view.channels, view.height, view.width) == (channels, height, width)
    assert view.bytes == features.size * 4
    stats = view.stats
    found = (stats.min, stats.max, stats.mean, stats.std)
    expected = (features.min(), features.max(), features.mean(), features.std())
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert view.zeros == pytest.approx((features == 0).mean())
    assert view.dead == pytest.approx((features == 0).all(axis=(1, 2)).mean())


@pytest.mark.parametrize("layer", LAYERS)
def test_gram_is_the_mean_of_products(views, taps, layer):
    features = taps[layer].reshape(len(taps[layer]), -1)
    expected = features @ features.T / features.shape[1]
    np.testing.assert_allclose(views[layer].gram, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_histogram_counts_what_is_not_zero(views, taps, layer):
    values = taps[layer].ravel()
    assert views[layer].counts.shape == (BINS,)
    assert views[layer].counts.sum() == (values != 0).sum()
    low, high = values.min(), values.max()
    upper = (values >= low + 0.5 * (high - low)) & (values != 0)
    assert abs(int(views[layer].counts[BINS // 2 :].sum()) - int(upper.sum())) <= 2


@pytest.mark.parametrize("layer", LAYERS)
def test_maps_are_channels(views, taps, layer):
    for plane in views[layer].maps:
        np.testing.assert_array_equal(plane.values, taps[layer][plane.channel].astype(np.float32))
        assert plane.max == pytest.approx(taps[layer][plane.channel].max())
        assert plane.min == pytest.approx(taps[layer][plane.channel].min())


def test_large_maps_are_kept_as_area_means():
    plane = torch.rand(1, KEPT * 2, KEPT, generator=torch.Generator().manual_seed(0))
    kept = view_of("x", plane, 1, 1).maps[0].values
    expected = plane[0].reshape(KEPT, 2, KEPT // 2, 2).mean(dim=(1, 3)).numpy()
    np.testing.assert_allclose(kept, expected, atol=1e-5)


def test_layers_come_in_the_order_of_the_network_and_by_alias():
    views = look(NET, PICTURE, ["relu2_1", "block1_conv1"], 1)
    assert [v.name for v in views] == ["conv1_1", "relu2_1"]


def test_a_copy_is_not_chosen_before_what_is_new():
    """The strongest two channels are copies; the weak third tells more than the second."""
    rng = np.random.default_rng(0)
    strong, weak = rng.standard_normal((2, 1000))
    features = np.stack([3 * strong, 2.9 * strong, 0.5 * weak, np.full(1000, 7.0)])
    gram = torch.from_numpy(features @ features.T / 1000)
    chosen = select(gram, torch.from_numpy(features.mean(1)), 4)
    assert chosen[:2] == [0, 2]
    assert 3 not in chosen, "a channel that does not vary explains nothing"


def test_choice_is_greedy_on_what_is_left():
    rng = np.random.default_rng(1)
    features = rng.standard_normal((8, 3)) @ rng.standard_normal((3, 500))
    features += 0.01 * rng.standard_normal((8, 500))
    centred = features - features.mean(1, keepdims=True)
    expected: list[int] = []
    left = centred.copy()
    for _ in range(3):
        best = int((left**2).sum(1).argmax())
        expected.append(best)
        unit = left[best] / np.linalg.norm(left[best])
        left = left - np.outer(left @ unit, unit)
    gram = torch.from_numpy(features @ features.T / 500)
    assert select(gram, torch.from_numpy(features.mean(1)), 3) == expected


def test_channels_that_fire_at_the_border_only_come_last():
    features = torch.zeros(2, 32, 32)
    features[0, 0], features[0, :, -1] = 100.0, 100.0
    features[1] = torch.rand(32, 32, generator=torch.Generator().manual_seed(0))
    assert view_of("x", features, 1, 2).maps[0].channel == 1


@pytest.mark.parametrize("value", [0.0, 2.5])
def test_a_layer_without_variation_still_has_numbers(value):
    view = view_of("x", torch.full((3, 5, 4), value), 2, 4)
    assert len(view.maps) == 1
    assert view.stats.std == 0
    assert view.dead == (1.0 if value == 0 else 0.0)
    assert view.counts.sum() == 0


def test_one_position():
    view = view_of("x", torch.tensor([1.0, -2.0]).view(2, 1, 1), 32, 4)
    assert view.stats.min == -2 and len(view.maps) == 1
    np.testing.assert_allclose(view.gram, [[1, -2], [-2, 4]])


def test_layers_of_the_whole_picture_are_a_row_without_a_gram():
    (view,) = look(random_net("resnet18"), PICTURE, ["prob"], 4)
    assert view.gram is None and view.stride == 0
    assert view.maps[0].values.shape == (1, 125)
    assert view.maps[0].values.sum() == pytest.approx(1, abs=1e-5)


def test_bad_names_and_sizes():
    with pytest.raises(UnknownName, match="did you mean"):
        look(NET, PICTURE, ["relu4_9"], 1)
    with pytest.raises(InputError, match="too small for pool5"):
        look(NET, PICTURE[..., :20], ["pool5"], 1)


def test_chosen_layers():
    assert chosen_layers(NET, None) == tuple(f"relu{i}_1" for i in range(1, 6))
    assert chosen_layers(NET, ("all",)) == tuple(NET.table)
    assert chosen_layers(NET, ("relu4_2", "block1_conv1", "conv1_1")) == ("conv1_1", "relu4_2")
    small = random_net("resnet18")
    assert len(chosen_layers(small, None)) == 5


@pytest.mark.parametrize("height", [416, 424, 431])
def test_shapes_of_the_tensorflow_tutorial(height):
    """The layer statistics that the tutorial prints, on VGG-19's layout and real widths."""
    arch = ARCHITECTURES.get("vgg19")
    net = arch.outline().to("meta")
    seen = {n: tuple(t.shape[1:]) for n, t in net.taps(
        torch.empty(1, 3, 336, 512, device="meta"), [f"block{b}_conv1" for b in range(1, 6)]
    ).items()}  # fmt: skip
    as_printed = [(h, w, c) for c, h, w in seen.values()]
    assert as_printed == [
        (336, 512, 64), (168, 256, 128), (84, 128, 256), (42, 64, 512), (21, 32, 512)
    ]  # fmt: skip
    content = net.taps(torch.empty(1, 3, height, 512, device="meta"), ["block5_conv2"])
    assert content["block5_conv2"].shape == (1, 512, 26, 32)


def test_shapes_in_the_table_for_a_picture_of_the_tutorials_size():
    """As above through the table, an eighth of the channels: Grams are C x C, sizes the same."""
    net = random_net("vgg19")
    picture = gradient_picture(336, 512)
    assert fit_size(336, 512, 512) == (336, 512)
    views = look(net, picture, [f"block{b}_conv1" for b in range(1, 6)], 2)
    assert [v.name for v in views] == [f"conv{b}_1" for b in range(1, 6)]
    assert [(v.height, v.width, v.channels * 8) for v in views] == [
        (336, 512, 64), (168, 256, 128), (84, 128, 256), (42, 64, 512), (21, 32, 512)
    ]  # fmt: skip
    assert [len(v.gram) * 8 for v in views] == [64, 128, 256, 512, 512]


def test_classes_are_the_networks_own_probabilities():
    net = random_net("vgg16")
    guesses = classify(net, PICTURE, 5)
    from impasto.backbones import classifier_view

    expected = net.classify(classifier_view(PICTURE))[0].sort(descending=True).values[:5]
    np.testing.assert_allclose([g.probability for g in guesses], expected, rtol=1e-6)


@pytest.mark.data
def test_the_bridge_is_a_suspension_bridge(shared):
    picture = images.load(shared / "photos" / "golden_gate.jpg")
    photo = resize(images.to_tensor(picture), fit_size(*picture.size, 512)).clamp(0, 1)
    names = [g.name for g in classify(load(CLASSIFIER), photo)]
    assert "suspension bridge" in names
    assert len(names) == 5
