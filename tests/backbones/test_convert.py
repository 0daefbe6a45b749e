"""Files in the layouts of the wild, converted and compared with numpy."""

import json
import os
import pickle
import struct

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.io import savemat

from impasto.backbones import ARCHITECTURES, ENTRIES, PREPROCESSING, load, weights
from impasto.backbones.convert import convert
from impasto.backbones.formats import safe
from impasto.backbones.formats.named import oriented
from impasto.errors import UnknownName, UsageError, WeightsError

from . import numpy_nets, torch_layouts

BLOCKS = {"vgg11": (1, 1, 2, 2, 2), "vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
#: BGR and RGB means of the Caffe models.
B, G, R = 103.939, 116.779, 123.68
LAYERS = ("conv1_1", "relu2_1", "pool3", "relu4_1", "relu5_1", "pool5")


def raw_layers(name, seed=0, *, head=False):
    """``{"conv1_1": (HWIO, bias)}``, float32."""
    rng = np.random.default_rng(seed)
    layers, into = {}, 3
    for b, (count, out) in enumerate(zip(BLOCKS[name], (64, 128, 256, 512, 512), strict=True), 1):
        for i in range(1, count + 1):
            kernel = rng.standard_normal((3, 3, into, out), dtype=np.float32)
            bias = rng.standard_normal(out, dtype=np.float32) * 0.1
            # The first layer brings 0-255 down to the size of the others.
            layers[f"conv{b}_{i}"] = (
                kernel * (2 / 9 / into) ** 0.5 / (60 if into == 3 else 1),
                bias,
            )
            into = out
    if head:
        for fc, shape in {"fc6": (25088, 4096), "fc7": (4096, 4096), "fc8": (4096, 1000)}.items():
            matrix = rng.standard_normal(shape, dtype=np.float32) * (2 / shape[0]) ** 0.5
            layers[fc] = (matrix, rng.standard_normal(shape[1], dtype=np.float32) * 0.1)
    return layers


def picture(height=33, width=36):
    return np.random.default_rng(9).random((height, width, 3))


def seen(image, order, mean):
    """(H, W, 3) in [0, 1] as the weights want it, (3, H, W)."""
    x = image * 255.0
    return (x[..., ::-1] if order == "bgr" else x).transpose(2, 0, 1) - np.reshape(mean, (3, 1, 1))


def reference(name, layers, x):
    """All activations, computed from the raw arrays."""
    oihw = {}
    for layer, (kernel, bias) in layers.items():
        kernel = kernel.astype(np.float64)
        if layer == "fc6":
            kernel = kernel.reshape(7, 7, 512, 4096).transpose(3, 2, 0, 1).reshape(4096, -1)
        elif layer.startswith("fc"):
            kernel = kernel.T
        else:
            kernel = kernel.transpose(3, 2, 0, 1)
        oihw[layer] = (kernel, bias.astype(np.float64))
    return numpy_nets.vgg(x, oihw, BLOCKS[name])


def assert_same_features(net, image, expected, layers=LAYERS):
    x = torch.from_numpy(image).permute(2, 0, 1)[None]
    for layer, found in net.double().taps(x, layers).items():
        error = np.abs(found[0].numpy().squeeze() - expected[layer].squeeze()).max()
        assert error <= 1e-5 * max(1.0, np.abs(expected[layer]).max()), layer


def write_npy(path, layers, *, keys=str, protocol=2):
    content = {keys(k): [w, b] for k, (w, b) in layers.items()}
    array = np.array(content, dtype=object)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        pickle.dump(array, file, protocol=protocol)


def write_mat(path, layers, *, old=False, mean=(R, G, B)):
    cells = []
    for name, (kernel, bias) in layers.items():
        if name == "fc6":
            kernel = kernel.reshape(7, 7, 512, 4096)
        elif name.startswith("fc"):
            kernel = kernel[None, None]
        numbers = {"filters": kernel, "biases": bias[None]}
        if not old:
            cell = np.empty((1, 2), dtype=object)
            cell[0, 0], cell[0, 1] = kernel, bias[:, None]
            numbers = {"weights": cell}
        layer = {"name": name, "type": "conv", "pad": [1, 1, 1, 1], "stride": [1, 1]}
        cells += [layer | numbers, {"name": name.replace("conv", "relu"), "type": "relu"}]
    content = {"layers": np.empty((1, len(cells)), dtype=object)}
    for i, layer in enumerate(cells):
        content["layers"][0, i] = layer
    if old:
        average = np.broadcast_to(np.array(mean), (224, 224, 3))
        content["normalization"] = {"averageImage": average, "keepAspect": 1}
    else:
        average = np.array(mean).reshape(1, 1, 3)
        content["meta"] = {"normalization": {"averageImage": average, "imageSize": [224, 224, 3]}}
    savemat(path, content)


KERAS = {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}


def keras_name(name):
    return KERAS.get(name) or f"block{name[4]}_conv{name[6]}"


def write_keras(path, layers, kind):
    with h5py.File(path, "w") as file:
        if kind == "keras3":
            counts = {}
            for name, (kernel, bias) in layers.items():
                base = "dense" if name.startswith("fc") else "conv2d"
                n = counts[base] = counts.get(base, -1) + 1
                group = file.create_group(f"layers/{base}_{n}/vars" if n else f"layers/{base}/vars")
                group["0"], group["1"] = kernel, bias
            file.create_group("optimizer/vars")["0"] = np.zeros((3, 3, 3, 64), np.float32)
            return
        root = file.create_group("model_weights") if kind == "model" else file
        root.create_group("input_1")
        for name, (kernel, bias) in layers.items():
            keras = keras_name(name)
            if kind == "oldest":
                group = root.create_group(keras)
                group[f"{keras}_W_1:0"], group[f"{keras}_b_1:0"] = kernel, bias
            else:
                group = root.create_group(f"{keras}/{keras}")
                group["kernel:0"], group["bias:0"] = kernel, bias
        if kind == "model":
            moments = file.create_group("optimizer_weights/Adam")
            moments["m"], moments["v"] = np.zeros((3, 3), np.float32), np.zeros(3, np.float32)


@pytest.mark.parametrize(
    ("keys", "protocol"), [(str.encode, 2), (str, 5), (str, 4)], ids=["bytes", "str", "str-4"]
)
def test_tensorflows_npy(weights_folder, tmp_path, keys, protocol):
    name, count = ("vgg16", 13) if protocol == 2 else ("vgg11", 8)
    layers = raw_layers(name)
    write_npy(tmp_path / "net.npy", layers, keys=keys, protocol=protocol)
    made = convert(tmp_path / "net.npy")
    assert made.name == f"{name}.tensorflow" and not made.has_classifier and not made.assumed
    assert made.path == weights_folder / f"{made.name}.safetensors" and made.layers == count
    expected = reference(name, layers, seen(picture(), "bgr", (B, G, R)))
    assert_same_features(load(made.name), picture(), expected)


@pytest.mark.parametrize("old", [False, True], ids=["cells", "fields"])
def test_matconvnets_mat(weights_folder, tmp_path, old):
    name = "vgg11" if old else "vgg19"
    layers = raw_layers(name)
    write_mat(tmp_path / "net.mat", layers, old=old)
    assert convert(tmp_path / "net.mat").name == f"{name}.matconvnet"
    expected = reference(name, layers, seen(picture(), "rgb", (R, G, B)))
    assert_same_features(load(f"{name}.matconvnet"), picture(), expected)


def test_the_mean_in_a_mat_file_counts(weights_folder, tmp_path):
    layers = raw_layers("vgg11")
    write_mat(tmp_path / "net.mat", layers, mean=(120.0, 110.0, 100.0))
    assert convert(tmp_path / "net.mat").preprocessing.mean == (120.0, 110.0, 100.0)
    rounded = convert(
        tmp_path / "net.mat", name="coded", preprocessing="matconvnet-rounded"
    ).preprocessing
    assert rounded.mean == (123, 117, 104) and rounded.channels == "rgb"
    expected = reference("vgg11", layers, seen(picture(), "rgb", (123, 117, 104)))
    assert_same_features(load("vgg11.coded"), picture(), expected)


@pytest.mark.parametrize("kind", ["keras2", "model", "oldest", "keras3"])
def test_keras_h5(weights_folder, tmp_path, kind):
    name = "vgg16" if kind == "keras2" else "vgg11"
    layers = raw_layers(name)
    write_keras(tmp_path / "net.weights.h5", layers, kind)
    assert convert(tmp_path / "net.weights.h5").name == f"{name}.keras"
    expected = reference(name, layers, seen(picture(), "bgr", (B, G, R)))
    assert_same_features(load(f"{name}.keras"), picture(), expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["npy", "mat", "h5", "keras3"])
def test_whole_networks_classify(weights_folder, tmp_path, kind):
    layers = raw_layers("vgg16", head=True)
    path = tmp_path / ("net." + kind.replace("keras3", "h5"))
    if kind == "npy":
        write_npy(path, layers, protocol=4)
    elif kind == "mat":
        write_mat(path, layers)
    else:
        write_keras(path, layers, "keras2" if kind == "h5" else "keras3")
    made = convert(path)
    path.unlink()
    assert made.has_classifier and made.layers == 16
    image = picture(224, 224)
    order, mean = ("rgb", (R, G, B)) if kind == "mat" else ("bgr", (B, G, R))
    expected = reference("vgg16", layers, seen(image, order, mean))
    net = load(made.name)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    found = net.taps(x, ["fc6", "relu7", "fc8"])
    for layer, value in found.items():
        error = np.abs(value.flatten().numpy() - expected[layer]).max()
        assert error <= 1e-4 * np.abs(expected[layer]).max(), layer
    assert net.classify(x).argmax() == expected["prob"].argmax()


def test_fully_connected_layers_read_positions_as_tensorflow_wrote_them():
    """Small, in place of 400 MB: fc6 after flattening (7, 7, C), and as a 7 x 7 convolution."""
    rng = np.random.default_rng(0)
    maps = rng.standard_normal((7, 7, 5))  # H, W, C
    matrix, bias = rng.standard_normal((7 * 7 * 5, 6)), rng.standard_normal(6)
    as_matrix = {"fc6": (torch.from_numpy(matrix), torch.from_numpy(bias))}
    kernel = torch.from_numpy(matrix.reshape(7, 7, 5, 6))
    as_kernel = {"fc6": (kernel, torch.from_numpy(bias)[:, None])}
    expected = maps.reshape(-1) @ matrix + bias
    ours = torch.from_numpy(maps.transpose(2, 0, 1).reshape(-1).copy())
    for layers in (as_matrix, as_kernel, {"fc1": as_matrix["fc6"]}):
        weight, shift = oriented(layers)["fc6"]
        np.testing.assert_allclose((weight @ ours + shift).numpy(), expected, atol=1e-12)
    second = oriented({"fc7": (torch.from_numpy(matrix), torch.from_numpy(bias))})["fc7"]
    np.testing.assert_allclose((second[0] @ torch.ones(245).double()).numpy(), matrix.sum(0))


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_torch_files(weights_folder, tmp_path, suffix, wrapped, legacy):
    module = torch_layouts.fill(torch_layouts.SqueezeNet())
    state = module.state_dict()
    if wrapped:
        state = {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}
    path = tmp_path / f"net{suffix}"
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)
    made = convert(path)
    assert made.name == "squeezenet1_1.converted" and made.assumed and made.has_classifier
    x = torch.rand(1, 3, 70, 80, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = module((x - mean.view(3, 1, 1)) / std.view(3, 1, 1)).softmax(1)
    torch.testing.assert_close(load(made.name).classify(x), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("arch", ["vgg13", "vgg19_bn", "resnet18", "googlenet"])
def test_other_torch_networks_are_recognised(weights_folder, tmp_path, arch):
    make = torch_layouts.MAKE[arch]
    if arch.startswith("vgg"):
        # Without the 500 MB of the classifier.
        module = torch_layouts.Vgg(arch.partition("_")[0], norm="bn" in arch, head=False)
    else:
        module = make()
    torch.save(torch_layouts.fill(module).state_dict(), tmp_path / "x.pth")
    made = convert(tmp_path / "x.pth", name="mine")
    assert made.name == f"{arch}.mine"
    assert made.preprocessing == ENTRIES.get(f"{arch}.tv_in1k").preprocessing
    first, again = load(f"{arch}.mine"), load(str(made.path))
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    layer = first.nearest("relu3_1")
    assert torch.equal(first.taps(x, [layer])[layer], again.taps(x, [layer])[layer])


def test_the_detectors_trunk_is_recognised(weights_folder):
    made = convert(weights.locate(ENTRIES.get("vgg16_bn.craft")).path)
    assert made.name == "vgg16_bn.craft" and made.layers == 12 and not made.assumed
    net, same = load("vgg16_bn.craft"), load(str(made.path))
    x = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(net.taps(x, ["relu5_2"])["relu5_2"], same.taps(x, ["relu5_2"])["relu5_2"])


def test_a_published_file_is_known_by_its_hash(weights_folder, tmp_path, monkeypatch):
    """Caffe's VGG in PyTorch: its name comes from the sha256, and so does its preprocessing."""
    layers = raw_layers("vgg16")
    convs = [
        i for i, m in enumerate(torch_layouts.vgg_features("vgg16", False)) if "Conv" in str(m)
    ]
    state = {}
    for i, (kernel, bias) in zip(convs, layers.values(), strict=True):
        state[f"features.{i}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        state[f"features.{i}.bias"] = torch.from_numpy(bias)
    path = tmp_path / "downloaded.pth"
    torch.save(state, path)
    assert convert(path, name="plain").preprocessing == PREPROCESSING.get("imagenet")
    entry = ENTRIES.get("vgg16.caffe")
    object.__setattr__(entry, "sha256", weights.sha256_of(path)[:8])
    try:
        assert convert(path).name == "vgg16.caffe"
        expected = reference("vgg16", layers, seen(picture(), "bgr", (B, G, R)))
        assert_same_features(load("vgg16.caffe"), picture(), expected)
    finally:
        object.__setattr__(entry, "sha256", "00b39a1b")


@pytest.mark.slow
def test_caffes_fully_connected_layers_sit_at_other_indices(weights_folder, tmp_path):
    module = torch_layouts.fill(torch_layouts.Vgg("vgg11"))
    state = {
        k.replace("classifier.0.", "classifier.1.").replace("classifier.3.", "classifier.4."): v
        for k, v in module.state_dict().items()
    }
    torch.save(state, tmp_path / "x.pth")
    made = convert(tmp_path / "x.pth", preprocessing="caffe")
    assert made.has_classifier
    net = load(made.name)
    net.preprocessing = PREPROCESSING.get("imagenet")
    x = torch.rand(1, 3, 64, 64)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = module((x - mean.view(3, 1, 1)) / std.view(3, 1, 1)).softmax(1)
    torch.testing.assert_close(net.classify(x), expected, rtol=1e-3, atol=1e-5)


def test_a_classifier_of_nan_is_left_out(weights_folder, tmp_path):
    module = torch_layouts.fill(torch_layouts.ResNet((2, 2, 2, 2), deep=False))
    state = module.state_dict()
    state["fc.weight"].fill_(float("nan"))
    torch.save(state, tmp_path / "x.pth")
    made = convert(tmp_path / "x.pth")
    assert not made.has_classifier and not load(made.name).has_classifier
    state["layer2.0.conv1.weight"][0, 0, 0, 0] = float("inf")
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match="layer2_0_conv1 have numbers that are not finite"):
        convert(tmp_path / "x.pth")


class Malice:
    """Unpickled without care, makes a file."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


class Evaluates(Malice):
    def __reduce__(self):
        return eval, (f"__import__('os').mkdir({self.marker!r})",)


@pytest.mark.parametrize("kind", [Malice, Evaluates])
@pytest.mark.parametrize("how", ["header", "nested", "bare", "pth", "legacy", "pt"])
def test_malicious_pickles_run_nothing(weights_folder, tmp_path, kind, how):
    marker = tmp_path / "it-ran"
    payload = {"conv1_1": [np.zeros(3), kind(marker)]} if how == "nested" else kind(marker)
    path = tmp_path / f"x.{how if how in ('pth', 'pt') else 'pth' if how == 'legacy' else 'npy'}"
    if how in ("pth", "pt", "legacy"):
        content = {"features.0.weight": payload}
        torch.save(content, path, _use_new_zipfile_serialization=how != "legacy")
    elif how == "bare":
        path.write_bytes(pickle.dumps(payload))
    else:
        np.save(path, np.array(payload, dtype=object), allow_pickle=True)
    with pytest.raises(WeightsError, match="is refused") as caught:
        convert(path)
    assert not marker.exists() and "\n" not in str(caught.value)
    assert not weights_folder.exists()
    # The payload is real: unpickled without care, it runs.
    pickle.loads(pickle.dumps(kind(marker)))
    assert marker.exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"cnumpy\ndtype\n(S'V8'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cbuiltins\nlist\n(I0\ntS'b'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'b'\ntR.",
        b"Phttp://elsewhere\n.",
        b"cposix\nsystem\n(S'true'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"garbage",
        b"",
        pickle.dumps([1, 2, 3]),
        pickle.dumps({"conv1_1": [1, 2]}),
        pickle.dumps({"conv1_1": 7}),
    ],
)
def test_strange_pickles_are_refused(tmp_path, payload):
    (tmp_path / "x.npy").write_bytes(payload)
    with pytest.raises(WeightsError) as caught:
        convert(tmp_path / "x.npy", output=tmp_path / "out.safetensors")
    assert "\n" not in str(caught.value) and not (tmp_path / "out.safetensors").exists()


def damaged(tmp_path, name, content=b"not what it says"):
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


@pytest.mark.parametrize("suffix", ["npy", "mat", "h5", "pth", "pt", "safetensors"])
@pytest.mark.parametrize("content", [b"", b"not what it says" * 20, b"PK\x03\x04" + bytes(100)])
def test_damaged_files_are_one_line(tmp_path, suffix, content, weights_folder):
    with pytest.raises(WeightsError) as caught:
        convert(damaged(tmp_path, f"x.{suffix}", content))
    assert "\n" not in str(caught.value)


def test_truncated_files_of_every_format(tmp_path, weights_folder):
    layers = raw_layers("vgg11")
    write_npy(tmp_path / "a.npy", layers)
    write_mat(tmp_path / "a.mat", layers)
    write_keras(tmp_path / "a.h5", layers, "keras2")
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "a.pth")
    for path in tmp_path.glob("a.*"):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 2 // 3])
        with pytest.raises(WeightsError):
            convert(path)


def test_networks_that_are_not_ours(tmp_path, weights_folder):
    torch.save({"encoder.weight": torch.zeros(8, 3, 5, 5)}, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"encoder\.weight \(8, 3, 5, 5\)"):
        convert(tmp_path / "x.pth")
    layers = raw_layers("vgg11")
    del layers["conv3_1"]
    write_npy(tmp_path / "x.npy", layers)
    with pytest.raises(WeightsError, match="no network of ours"):
        convert(tmp_path / "x.npy")
    with pytest.raises(UsageError, match=r"known: \.npy, \.mat"):
        convert(damaged(tmp_path, "x.caffemodel"))
    with pytest.raises(WeightsError, match="there is no file"):
        convert(tmp_path / "missing.npy")


def small(tmp_path, name="x.pth", seed=0):
    module = torch_layouts.fill(torch_layouts.SqueezeNet(), seed)
    torch.save(module.state_dict(), tmp_path / name)
    return tmp_path / name


def test_names(tmp_path, weights_folder):
    path = small(tmp_path)
    assert convert(path, name="squeezenet1_1.mine").name == "squeezenet1_1.mine"
    with pytest.raises(UsageError, match="holds a squeezenet1_1, not a vgg19"):
        convert(path, name="vgg19.mine")
    for tag in ("../x", "A", "a b", "x" * 50):
        with pytest.raises(UsageError, match="not usable"):
            convert(path, name=tag)
    with pytest.raises(UnknownName, match="preprocessing"):
        convert(path, preprocessing="none")
    elsewhere = convert(path, output=tmp_path / "mine.safetensors")
    assert load(str(elsewhere.path)).name == "squeezenet1_1.converted"


def test_weights_of_the_same_name_are_not_lost(tmp_path, weights_folder):
    first = convert(small(tmp_path))
    assert convert(small(tmp_path)).path == first.path  # the same file again
    other = small(tmp_path, "y.pth", seed=1)
    with pytest.raises(UsageError, match="--force"):
        convert(other)
    before = weights.sha256_of(first.path)
    convert(other, force=True)
    assert weights.sha256_of(first.path) != before


def test_the_metadata_says_it_all(tmp_path, weights_folder):
    path = small(tmp_path)
    about = safe.read_metadata(convert(path, licence="CC0-1.0").path)
    assert about["arch"] == "squeezenet1_1" and about["tag"] == "converted"
    assert about["licence"] == "CC0-1.0" and about["source"] == "x.pth"
    assert about["source_sha256"] == weights.sha256_of(path)
    assert json.loads(about["preprocessing"])["std"] == [0.229, 0.224, 0.225]
    entry = weights.get_entry("squeezenet1_1.converted")
    assert entry.licence == "CC0-1.0" and entry.kind == "converted"


def test_torchvisions_layout_as_safetensors(tmp_path, weights_folder):
    module = torch_layouts.fill(torch_layouts.SqueezeNet())
    save_file(module.state_dict(), tmp_path / "x.safetensors")
    made = convert(tmp_path / "x.safetensors")
    assert made.name == "squeezenet1_1.converted"
    again = convert(made.path, name="again", licence="MIT")
    a, b = load(made.name), load(again.name)
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    with pytest.raises(WeightsError, match="does not say what network it is for"):
        load(str(tmp_path / "x.safetensors"))


def header(text: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(b"{}", 10**9), "header of 1e\\+09 bytes"),
        (header(b'{"__metadata__": {"arch": "vgg11"}'), "damaged"),
        (header(b"[" * 100_000), "damaged"),
        (header(b"[]"), "damaged"),
        (
            header(json.dumps({f"t{i}": {} for i in range(2001)}).encode()),
            "2001 tensors; at most 2000",
        ),
    ],
)
def test_limits_of_safetensors(tmp_path, content, message):
    with pytest.raises(WeightsError, match=message):
        safe.read_metadata(damaged(tmp_path, "x.safetensors", content))


def test_safetensors_with_nan_or_wrong_shapes_are_refused(tmp_path, weights_folder):
    about = {"arch": "squeezenet1_1", "preprocessing": str(PREPROCESSING.get("imagenet"))}
    arch = ARCHITECTURES.get("squeezenet1_1")
    tensors = {
        f"{n}.{part}": t
        for n, pair in arch.random(0, thin=8).items()
        for part, t in zip(("weight", "bias"), pair, strict=True)
    }
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, about | {"thin": "8"})
    assert load(str(path)).table["fire9"].channels == 64
    save_file(tensors, path, about)
    with pytest.raises(WeightsError, match=r"not a squeezenet1_1: conv1 of shape \(8, 3, 3, 3\)"):
        load(str(path))
    bad = tensors | {"fire4_squeeze.bias": torch.full((4,), float("nan"))}
    save_file(bad, path, about | {"thin": "8"})
    with pytest.raises(WeightsError, match=r"fire4_squeeze\.bias that are not finite"):
        load(str(path))
    del tensors["fire4_squeeze.bias"]
    save_file(tensors, path, about | {"thin": "8"})
    with pytest.raises(WeightsError, match=r"no tensor fire4_squeeze\.bias"):
        load(str(path))
    save_file(tensors, path, about | {"preprocessing": "{}"})
    with pytest.raises(WeightsError, match="cannot be read"):
        load(str(path))


@pytest.mark.parametrize(("module", "suffix"), [("scipy.io", "mat"), ("h5py", "h5")])
def test_missing_readers_say_what_to_install(tmp_path, monkeypatch, module, suffix):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(WeightsError, match=r"pip install impasto\[formats\]"):
        convert(damaged(tmp_path, f"x.{suffix}"))


def test_links_out_of_an_h5_file_are_refused(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["block1_conv1"] = h5py.ExternalLink("/etc/hostname", "/")
    with pytest.raises(WeightsError, match="links to another file"):
        convert(tmp_path / "x.h5")
