"""ONNX files give the network's picture, at any size, from one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import impasto
from impasto import networks, samples
from impasto.cli import main
from impasto.errors import UsageError
from impasto.networks import (
    Card,
    Decoder,
    Enhancer,
    FastNet,
    JohnsonNet,
    MarkovianNet,
    Model,
    TextureNet,
    UlyanovNet,
)
from impasto.networks.enhance import enlarge
from impasto.networks.fast import noise_like, paint
from impasto.networks.onnx import export
from impasto.networks.shelf import locate

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
SMALL = "width=6,blocks=1,half=5,full=4,styles=2"


@pytest.fixture(scope="module")
def model() -> Model:
    draw = torch.Generator().manual_seed(1)
    made = FastNet.of(SMALL).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.3
    return Model(made.requires_grad_(False), "fast", SMALL, Card())


@pytest.fixture(scope="module")
def file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert export(model, path) < 1e-5
    return path


def session_of(path: Path) -> Any:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def test_a_network_with_sight_takes_its_eyes_along(tmp_path: Path) -> None:
    lean = SMALL + ",sight=1"
    made = FastNet.of(lean).eval()
    draw = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.2
    seeing = Model(made.requires_grad_(False), "fast", lean, Card())
    path = tmp_path / "seeing.onnx"
    assert export(seeing, path) < 1e-5
    assert made.sight is not None
    assert made.sight.eyes is None  # the network is as it was
    image = torch.rand(1, 3, 51, 70, generator=draw)
    shares = torch.tensor([[0.3, 0.7]])
    found = session_of(path).run(None, {"image": image.numpy(), "shares": shares.numpy()})[0]
    assert np.abs(found - paint(made, image, shares).numpy()).max() < 1e-4


@pytest.mark.parametrize("size", [(2, 3), (51, 121), (256, 16)])
def test_any_size_and_any_mixture(model: Model, file: Path, size: tuple[int, int]) -> None:
    """The picture of `impasto apply`, with its margin."""
    session = session_of(file)
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(3))
    shares = torch.tensor([[0.3, 0.7]])
    made = session.run(None, {"image": image.numpy(), "shares": shares.numpy()})[0]
    assert isinstance(model.network, FastNet)
    want = paint(model.network, image, shares).numpy()
    assert np.abs(made - want).max() < 1e-4
    other = session.run(None, {"image": image.numpy(), "shares": np.float32([[1, 0]])})[0]
    assert np.abs(made - other).max() > 1e-3


def test_one_file_that_is_not_overwritten(model: Model, file: Path) -> None:
    assert [p.name for p in file.parent.iterdir()] == ["model.onnx"]
    before = file.read_bytes()
    assert b"impasto/networks" not in before  # no paths of the machine that made it
    with pytest.raises(UsageError, match="exists"):
        export(model, file)
    assert file.read_bytes() == before


def test_what_cannot_be_exported_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.onnx"):
        export(model, tmp_path / "a.pt")
    decoder = networks.build("decoder", "channels=4,stride=2")
    with pytest.raises(UsageError, match="decoder cannot be exported: it is more than one pass"):
        export(Model(decoder, "decoder", "", Card()), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_command(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "m.safetensors", tmp_path / "m.onnx"
    networks.save(source, model.network, "fast", SMALL, Card())
    assert main(["export", str(source), "-o", str(target), "--json"]) == 0
    assert onnxruntime.InferenceSession(str(target)).get_inputs()[0].name == "image"


def other(kind: str, architecture: str) -> Model:
    draw = torch.Generator().manual_seed(2)
    made = networks.build(kind, architecture).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.1
    return Model(made.requires_grad_(False), kind, architecture, Card())


def drawn(*shape: int) -> Tensor:
    return torch.rand(1, *shape, generator=torch.Generator().manual_seed(sum(shape)))


def expected(network: nn.Module, given: dict[str, Tensor]) -> Tensor:
    """What the verbs make of the inputs."""
    if isinstance(network, Enhancer):
        return enlarge(network, given["image"])
    if isinstance(network, Decoder):
        return network.first(given["features"])
    if isinstance(network, TextureNet):
        return network(list(given.values()))
    assert isinstance(network, JohnsonNet | MarkovianNet | UlyanovNet)
    if not network.noisy:
        return paint(network, given["image"], given["shares"])
    assert torch.equal(given["noise"], noise_like(given["image"], 9))
    return paint(network, given["image"], given["shares"], seed=9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "architecture"),
    [
        ("johnson", "c5s1-4,d6,R6,u4,c3s1-3,styles=2"),
        ("mgan", "encoder=2,one=1,two=1,three=1,average=1,width=8,styles=2"),
        ("ulyanov", "scales=3,width=4,styles=2"),
        ("texture", "scales=3,width=4,seamless=1"),
        ("texture", "scales=2,width=4"),
        ("enhance", "scale=2,width=6,blocks=1,up=4,fine=1"),
        ("enhance", "scale=4,width=6,blocks=1,up=4"),
        ("decoder", "channels=4,stride=4,rounds=0,smooth=1,width=8,last=4"),
    ],
)
def test_whatever_is_one_pass(kind: str, architecture: str, tmp_path: Path) -> None:
    model, path = other(kind, architecture), tmp_path / "a.onnx"
    assert export(model, path) < 1e-4
    session = session_of(path)
    names = [i.name for i in session.get_inputs()]
    for height, width in ((9, 26), (40, 33)):
        image = drawn(3, height, width)
        scales = range(len(names)) if kind == "texture" else ()
        tall, wide = 4 * height, 4 * width
        every = {
            "image": image,
            "shares": torch.tensor([[0.4, 0.6]]),
            "noise": noise_like(image, 9),
            "features": drawn(4, height, width),
            **{f"noise_{i}": drawn(3, tall >> i, wide >> i) for i in scales},
        }
        given = {name: every[name] for name in names}
        made = session.run(None, {n: x.numpy() for n, x in given.items()})[0]
        with torch.no_grad():
            want = expected(model.network, given).numpy()
        assert made.shape == want.shape
        assert np.abs(made - want).max() < 1e-4
        assert want.std() > 1e-3


@pytest.mark.slow
def test_a_shipped_model_is_the_picture_of_apply(tmp_path: Path) -> None:
    export(networks.load(locate("starry-night")), tmp_path / "a.onnx")
    photo = samples.photo("harbour", (97, 131))
    made = impasto.apply("starry-night", photo).array
    image = np.ascontiguousarray(photo.transpose(2, 0, 1)[None], dtype=np.float32)
    found = session_of(tmp_path / "a.onnx").run(
        None, {"image": image, "shares": np.ones((1, 1), np.float32)}
    )[0]
    assert np.abs(found[0].transpose(1, 2, 0) - made).max() < 1e-3
