"""ONNX files give the network's picture, at any size, from one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from impasto import networks
from impasto.cli import main
from impasto.errors import UsageError
from impasto.networks import Card, FastNet, Model
from impasto.networks.onnx import export

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


@pytest.mark.parametrize("size", [(8, 8), (52, 120), (256, 16)])
def test_any_size_and_any_mixture(model: Model, file: Path, size: tuple[int, int]) -> None:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(3))
    shares = torch.tensor([[0.3, 0.7]])
    made = session.run(None, {"image": image.numpy(), "shares": shares.numpy()})[0]
    with torch.inference_mode():
        want = model.network(image, shares).numpy()
    assert np.abs(made - want).max() < 1e-4
    other = session.run(None, {"image": image.numpy(), "shares": np.float32([[1, 0]])})[0]
    assert np.abs(made - other).max() > 1e-3


def test_one_file_that_is_not_overwritten(model: Model, file: Path) -> None:
    assert [p.name for p in file.parent.iterdir()] == ["model.onnx"]
    before = file.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        export(model, file)
    assert file.read_bytes() == before


def test_what_cannot_be_exported_is_refused(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must end in \.onnx"):
        export(model, tmp_path / "a.pt")
    decoder = networks.build("decoder", "channels=4,stride=2")
    with pytest.raises(UsageError, match="decoder cannot be exported"):
        export(Model(decoder, "decoder", "", Card()), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_command(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "m.safetensors", tmp_path / "m.onnx"
    networks.save(source, model.network, "fast", SMALL, Card())
    assert main(["export", str(source), "-o", str(target), "--json"]) == 0
    assert onnxruntime.InferenceSession(str(target)).get_inputs()[0].name == "image"
