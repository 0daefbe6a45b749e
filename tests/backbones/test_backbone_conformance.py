"""Every backbone keeps the promises of its table; parametrised over the registry."""

import numpy as np
import pytest
import torch

from impasto.backbones import ARCHITECTURES, ENTRIES, Preprocessing, vgg
from impasto.backbones.layouts import from_state
from impasto.errors import InputError, UnknownName, UsageError

from . import numpy_nets, torch_layouts

ARCHS = ARCHITECTURES.names()
THIN = 8


def build(name, *, pooling="max", padding="zeros", thin=THIN, preprocessing=None, head=True):
    arch = ARCHITECTURES.get(name)
    return arch.build(
        name,
        arch.random(1, thin=thin, head=head),
        preprocessing=preprocessing or Preprocessing(),
        pooling=pooling,
        padding=padding,
    )


def picture(height, width=None, *, seed=0, dtype=torch.float32, batch=1):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, 3, height, width or height)
    return torch.rand(shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("arch", ARCHS)
def test_declared_channels_and_strides_are_true(arch):
    net = build(arch)
    small, large = picture(65, 97), picture(65 + 32, 97 + 64)
    every = list(net.table)
    a, b = net.taps(small, every), net.taps(large, every)
    for name, tap in net.table.items():
        assert a[name].shape[1] == b[name].shape[1] == tap.channels, name
        if tap.stride == 0:
            assert a[name].shape[2:] == b[name].shape[2:] == (1, 1), name
        else:
            grown = [p - q for p, q in zip(b[name].shape[2:], a[name].shape[2:], strict=True)]
            assert grown == [32 // tap.stride, 64 // tap.stride], name


@pytest.mark.parametrize("arch", ARCHS)
def test_full_size_networks_have_the_published_channels(arch):
    table = ARCHITECTURES.get(arch).outline().table
    last = {"alexnet": ("relu5", 256), "squeezenet1_1": ("fire9", 512), "resnet18": ("pool", 512)}
    last |= {"resnet50": ("pool", 2048), "googlenet": ("inception5b", 1024)}
    last |= {"efficientnet_lite0": ("head", 1280)}
    name, channels = last.get(arch, ("pool5", 512))
    assert table[name].channels == channels
    assert table["prob"].channels == 1000


@pytest.mark.parametrize("padding", ["zeros", "replicate", "circular"])
@pytest.mark.parametrize("arch", ARCHS)
def test_declared_smallest_inputs_are_true(arch, padding):
    net = build(arch, padding=padding)
    sizes = sorted({tap.min_size for tap in net.table.values()})
    for size in sizes:
        x = net.preprocessing(picture(size))
        exist = set()
        try:
            for name, activation in net.walk(x, frozenset()):
                if activation.numel() == 0:
                    break
                exist.add(name)
        except RuntimeError:
            pass
        declared = {n for n, tap in net.table.items() if tap.min_size <= size}
        assert exist == declared, size
        if size > 1:
            deepest = next(n for n, t in net.table.items() if t.min_size == size)
            with pytest.raises(InputError, match=f"too small for {deepest}"):
                net.taps(picture(size - 1, 80), [deepest])


@pytest.mark.parametrize("arch", ARCHS)
def test_an_early_stop_equals_the_full_pass(arch):
    net = build(arch)
    x = picture(65, 70)
    before = x.clone()
    every = net.taps(x, list(net.table))
    for name in net.table:
        torch.testing.assert_close(net.taps(x, [name])[name], every[name], rtol=1e-5, atol=1e-6)
    assert torch.equal(x, before)
    walked = [name for name, _ in net.walk(net.preprocessing(x), frozenset(net.table))]
    assert walked == list(net.table)


@pytest.mark.parametrize("arch", ARCHS)
def test_it_stops_after_the_deepest_layer(arch):
    net = build(arch)
    first = next(iter(net.table))
    seen = []
    walk = net.walk

    def spy(x, keep, after=None):
        for name, value in walk(x, keep, after):
            seen.append(name)
            yield name, value

    net.walk = spy
    net.taps(picture(65), [first])
    assert seen == [first]


@pytest.mark.parametrize("arch", ARCHS)
def test_gradients_reach_the_picture_and_no_weights(arch):
    net = build(arch)
    x = picture(64).requires_grad_()
    sum(t.square().mean() for t in net.taps(x, list(net.table)).values()).backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in net.parameters()) and not net.training


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("padding", ["replicate", "circular"])
def test_a_flat_picture_has_flat_features_without_zero_padding(arch, padding):
    net = build(arch, padding=padding, pooling="avg").double()
    flat = torch.full((1, 3, 128, 128), 0.7, dtype=torch.float64)
    for name, found in net.taps(flat, list(net.table)).items():
        spread = (found - found[..., :1, :1]).abs().max()
        assert spread <= 1e-9 * found.abs().max().clamp_min(1), name


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("arch", ARCHS)
def test_circular_padding_sees_a_torus(arch, pooling):
    net = build(arch, padding="circular", pooling=pooling).double()
    x = picture(64, 128, dtype=torch.float64)
    layers = [n for n, tap in net.table.items() if tap.stride]
    stride = max(net.table[n].stride for n in layers)
    rolled = net.taps(x.roll((stride, stride), (2, 3)), layers)
    for name, found in net.taps(x, layers).items():
        step = stride // net.table[name].stride
        assert found.shape[2:] == (64 // net.table[name].stride, 128 // net.table[name].stride)
        torch.testing.assert_close(rolled[name], found.roll((step, step), (2, 3)))


@pytest.mark.parametrize("arch", [a for a in ARCHS if not a.startswith("efficientnet")])
def test_average_pooling_is_another_network_with_the_same_table(arch):
    plain, average = build(arch), build(arch, pooling="avg")
    assert plain.table == average.table
    name = next(n for n, t in plain.table.items() if t.stride and "pool" in n)
    before = list(plain.table)[list(plain.table).index(name) - 1]
    x = picture(64)
    a, b = plain.taps(x, [before, name]), average.taps(x, [before, name])
    torch.testing.assert_close(a[before], b[before])
    assert (a[name] >= b[name] - 1e-6).all() and a[name].mean() > 1.2 * b[name].mean()


def test_average_pooling_does_not_count_padding():
    net = build("resnet18", pooling="avg")
    found = net.taps(picture(33), ["relu1", "pool1"])
    corner = found["relu1"][..., :2, :2].mean(dim=(2, 3))
    torch.testing.assert_close(found["pool1"][..., 0, 0], corner)


@pytest.mark.parametrize("arch", ["vgg11", "resnet50"])
def test_unknown_variants_are_refused(arch):
    with pytest.raises(UsageError, match="use max or avg"):
        build(arch, pooling="median")
    with pytest.raises(UsageError, match="zeros, replicate, circular"):
        build(arch, padding="reflect")


@pytest.mark.parametrize("arch", ARCHS)
def test_batches_and_classes(arch):
    net = build(arch).double()
    x = picture(65, 80, batch=2, dtype=torch.float64)
    both = net.classify(x)
    assert both.shape == (2, net.table["prob"].channels) and (both >= 0).all()
    torch.testing.assert_close(both.sum(dim=1), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(net.classify(x[1:]), both[1:])
    headless = build(arch, head=False)
    assert not headless.has_classifier
    with pytest.raises(UsageError, match="no classifier"):
        headless.classify(x.float())


def numbers(weights):
    return {n: tuple(t.double().numpy() for t in pair) for n, pair in weights.items()}


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("padding", ["zeros", "replicate", "circular"])
@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19"])
def test_vgg_agrees_with_numpy(name, padding, pooling):
    weights = ARCHITECTURES.get(name).random(3, thin=THIN)
    net = build(name, pooling=pooling, padding=padding)
    blocks = vgg.CONFIGS[name]
    net = vgg.VGG(
        name, weights, blocks=blocks, preprocessing=Preprocessing(), pooling=pooling,
        padding=padding,
    ).double()  # fmt: skip
    x = picture(37, 46, dtype=torch.float64)
    mode = {"zeros": "constant", "replicate": "edge", "circular": "wrap"}[padding]
    seen = (x[0].numpy() - np.array([[[0.485]], [[0.456]], [[0.406]]])) / np.array(
        [[[0.229]], [[0.224]], [[0.225]]]
    )
    expected = numpy_nets.vgg(seen, numbers(weights), blocks, pooling, mode)
    assert list(expected) == list(net.table)
    for layer, found in net.taps(x, list(net.table)).items():
        error = np.abs(found[0].numpy().squeeze() - expected[layer].squeeze()).max()
        assert error <= 1e-5 * max(1.0, np.abs(expected[layer]).max()), layer


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("padding", ["zeros", "replicate"])
def test_alexnet_agrees_with_numpy(padding, pooling):
    weights = ARCHITECTURES.get("alexnet").random(3, thin=THIN)
    net = ARCHITECTURES.get("alexnet").build(
        "a", weights, preprocessing=Preprocessing((0, 0, 0), (1, 1, 1)), pooling=pooling,
        padding=padding,
    ).double()  # fmt: skip
    x = picture(70, 101, dtype=torch.float64)
    mode = {"zeros": "constant", "replicate": "edge"}[padding]
    expected = numpy_nets.alexnet(x[0].numpy(), numbers(weights), pooling, mode)
    assert list(expected) == list(net.table)
    for layer, found in net.taps(x, list(net.table)).items():
        error = np.abs(found[0].numpy().squeeze() - expected[layer].squeeze()).max()
        assert error <= 1e-5 * max(1.0, np.abs(expected[layer]).max()), layer


#: Ours, and the module of the reference whose output it is.
PLACES = {
    "alexnet": {"relu3": "features.7", "pool5": "features.12"},
    "squeezenet1_1": {"pool3": "features.5", "fire9": "features.12", "fire4": "features.6"},
    "resnet18": {"layer1.1": "layer1.1", "layer3_0": "layer3.0", "layer4": "layer4"},
    "resnet50": {"layer1.2": "layer1", "layer2_1": "layer2.1", "layer4_0": "layer4.0"},
    "googlenet": {
        "relu3": "conv3", "inception3b": "inception3b", "inception4d_5x5": "inception4d.branch3",
        "inception4d_3x3_reduce": "inception4d.branch2.0", "inception5b": "inception5b",
        "inception4d_pool_proj": "inception4d.branch4",
    },
    "efficientnet_lite0": {"block3": "_blocks.3", "block10": "_blocks.10", "block15": "_blocks.15"},
}  # fmt: skip


@pytest.mark.parametrize("arch", [a for a in ARCHS if not a.startswith("vgg")])
def test_agrees_with_the_published_layout(arch):
    reference = torch_layouts.fill(torch_layouts.MAKE[arch]())
    found, weights = from_state(reference.state_dict())
    assert found.name == arch
    plain = Preprocessing((0, 0, 0), (1, 1, 1))
    net = found.build(arch, weights, preprocessing=plain, pooling="max", padding="zeros")
    if arch == "googlenet":
        # The reference rescales ImageNet-normalised input; here both see the same numbers.
        net.preprocessing = Preprocessing(
            tuple((0.5 - m) / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225),
                                                 strict=True)),
            tuple(0.5 / s for s in (0.229, 0.224, 0.225)),
        )  # fmt: skip
    reference, net = reference.double(), net.double()
    seen = {}
    for ours, theirs in PLACES[arch].items():
        module = reference.get_submodule(theirs)
        module.register_forward_hook(lambda m, i, o, ours=ours: seen.update({ours: o.clone()}))
    x = picture(75, 98, dtype=torch.float64)
    with torch.no_grad():
        expected = reference(x)
        taps = net.taps(x, [*PLACES[arch], "logits"])
    torch.testing.assert_close(taps["logits"].flatten(1), expected, rtol=1e-4, atol=1e-5)
    for ours, value in seen.items():
        assert (taps[ours] - value).abs().max() <= 1e-5 * value.abs().max().clamp_min(1), ours


@pytest.mark.parametrize("arch", [a for a in ARCHS if a.startswith("vgg")])
def test_vgg_agrees_with_the_published_layout(arch):
    norm = arch.endswith("_bn")
    reference = torch_layouts.fill(
        torch_layouts.Vgg(arch.removesuffix("_bn"), norm=norm, head=False)
    )
    found, weights = from_state(reference.state_dict())
    assert found.name == arch
    plain = Preprocessing((0, 0, 0), (1, 1, 1))
    net = found.build(arch, weights, preprocessing=plain, pooling="max", padding="zeros")
    x = picture(33, 48)
    with torch.no_grad():
        index = 0
        value = x
        layers = [f"features.{i}" for i in range(len(reference.features))]
        taps = net.taps(x, layers)
        for index, module in enumerate(reference.features):
            value = module(value)
            followed = norm and isinstance(module, torch.nn.Conv2d)
            if not followed:  # norms are folded: a convolution alone has no counterpart
                error = (taps[f"features.{index}"] - value).abs().max()
                assert error <= 1e-4 * value.abs().max(), index


@pytest.mark.slow
def test_vggs_classifier_agrees_with_the_published_layout():
    reference = torch_layouts.fill(torch_layouts.Vgg("vgg11", norm=True))
    arch, weights = from_state(reference.state_dict())
    plain = Preprocessing((0, 0, 0), (1, 1, 1))
    net = arch.build("x", weights, preprocessing=plain, pooling="max", padding="zeros")
    x = picture(33, 48)
    with torch.no_grad():
        expected = reference(x).softmax(1)
    torch.testing.assert_close(net.classify(x), expected, rtol=1e-3, atol=1e-5)


def test_names_that_do_not_exist_suggest_others():
    net = build("resnet18")
    with pytest.raises(UnknownName, match="did you mean layer2_1"):
        net.taps(picture(64), ["layer2_11"])
    with pytest.raises(UnknownName, match=r"layer of alexnet .*plays its part here is relu4"):
        build("alexnet").resolve("relu4_2")
    with pytest.raises(UnknownName, match="plays its part here is relu4_3"):
        build("vgg16").resolve("relu4_4")
    with pytest.raises(UnknownName) as caught:
        build("efficientnet_lite0").resolve("xyz")
    assert "block7," in str(caught.value) and "block7_expand" not in str(caught.value)


def test_aliases_point_to_existing_layers():
    for _, arch in ARCHITECTURES:
        net = arch.outline()
        assert set(net.aliases.values()) <= set(net.table)
        assert net.resolve("logits") in net.table
    assert ARCHITECTURES.get("vgg19").outline().resolve("features.21") == "conv4_2"
    assert ARCHITECTURES.get("vgg19").outline().resolve("features.25") == "conv4_4"
    assert ARCHITECTURES.get("vgg19_bn").outline().resolve("features.30") == "conv4_2"
    assert ARCHITECTURES.get("vgg16").outline().resolve("block5_conv2") == "conv5_2"


#: A reddish pixel (1, 0.5, 0.25), as the weights want it.
SEEN = {
    "imagenet": [(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.25 - 0.406) / 0.225],
    "caffe": [63.75 - 103.939, 127.5 - 116.779, 255 - 123.68],
    "matconvnet": [255 - 123.68, 127.5 - 116.779, 63.75 - 103.939],
    "ssd": [255 * (1 - 0.48235), 255 * (0.5 - 0.45882), 255 * (0.25 - 0.40784)],
    "inception": [1.0, 0.0, -0.5],
    "lite": [(255 - 127) / 128, (127.5 - 127) / 128, (63.75 - 127) / 128],
}
EXPECTED = {
    **dict.fromkeys(["vgg16_bn.craft"], "imagenet"),
    **{f"{a}.tv_in1k": "imagenet" for a in ARCHS if a not in ("googlenet", "efficientnet_lite0")},
    "googlenet.tv_in1k": "inception",
    "vgg16.tv_features": "ssd",
    "vgg19.caffe": "caffe", "vgg16.caffe": "caffe",
    "vgg19.matconvnet": "matconvnet", "vgg16.matconvnet": "matconvnet",
    "vgg19.tensorflow": "caffe", "vgg16.tensorflow": "caffe",
    "vgg19.keras": "caffe", "vgg16.keras": "caffe",
    "efficientnet_lite0.in1k": "lite",
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES.names())
def test_preprocessing_of_every_entry(name):
    pixel = torch.tensor([1, 0.5, 0.25], dtype=torch.float64).view(1, 3, 1, 1)
    entry = ENTRIES.get(name)
    found = entry.preprocessing(pixel).flatten()
    expected = torch.tensor(SEEN[EXPECTED[name]], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert Preprocessing.parse(str(entry.preprocessing)) == entry.preprocessing


@pytest.mark.parametrize("name", ENTRIES.names())
def test_every_entry_says_what_and_whose_it_is(name):
    entry = ENTRIES.get(name)
    assert entry.name == name and entry.arch in ARCHS
    assert entry.licence and entry.origin and ARCHITECTURES.get(entry.arch).paper
    assert sum(map(bool, (entry.package, entry.urls, entry.convert))) == 1
    if entry.kind == "online":
        assert len(entry.urls) >= 2 and len(entry.sha256) in (8, 64)
        assert all(u.startswith("https://") and u.endswith(entry.file) for u in entry.urls)
        assert f"-{entry.sha256[:8]}." in entry.file
    if entry.kind == "embedded":
        assert len(entry.sha256) == 64


class TestNearest:
    STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

    def nearest(self, arch, *layers):
        net = ARCHITECTURES.get(arch).outline()
        return [net.nearest(layer) for layer in layers]

    @pytest.mark.parametrize(
        ("arch", "expected"),
        [
            ("vgg11", list(STYLE)),
            ("alexnet", ["relu1", "relu2", "relu3", "relu4", "relu5"]),
            ("squeezenet1_1", ["relu1", "fire2", "fire4", "fire6", "fire8"]),
            ("resnet50", ["relu1", "layer1_0", "layer2_0", "layer3_0", "layer4_0"]),
            ("googlenet", ["relu1", "relu2", "inception3a", "inception4a", "inception5a"]),
            ("efficientnet_lite0", ["stem", "block1", "block3", "block5", "block11"]),
        ],
    )
    def test_style_layers(self, arch, expected):
        assert self.nearest(arch, *self.STYLE) == expected

    def test_depth_within_a_level(self):
        assert self.nearest("resnet50", "relu4_1", "relu4_2", "relu4_4") == [
            "layer3_0", "layer3_2", "layer3_5",
        ]  # fmt: skip
        assert self.nearest("vgg16", "relu5_4", "conv5_4") == ["relu5_3", "conv5_3"]
        assert self.nearest("alexnet", "conv1_1", "pool4") == ["conv1", "relu4"]

    def test_what_exists_is_itself_and_aliases_resolve(self):
        assert self.nearest("alexnet", "pool5", "features.0") == ["pool5", "conv1"]
        assert self.nearest("resnet18", "block4_conv2", "block3_pool") == ["layer3_0", "layer2_1"]

    def test_a_short_network_gives_its_deepest_level(self):
        weights = {n: w for n, w in ARCHITECTURES.get("vgg11").random(0, thin=8).items()
                   if n < "conv4"}  # fmt: skip
        net = vgg.VGG("short", weights, blocks=(1, 1, 2, 2, 2), preprocessing=Preprocessing())
        assert net.nearest("relu5_1") == "relu3_1"

    def test_other_names_are_unknown(self):
        with pytest.raises(UnknownName):
            self.nearest("alexnet", "layer3_0")
        with pytest.raises(UnknownName):
            self.nearest("resnet18", "relu7_9")
