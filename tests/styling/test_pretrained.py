"""`stylize --recipe fast:NAME`: the main job with a trained network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import impasto
from impasto import images, networks
from impasto.cli import main
from impasto.errors import UnknownName, UsageError
from impasto.images.colour import keep_colours
from impasto.images.resize import resize
from impasto.networks import Card, FastNet
from impasto.networks.fast import paint

SMALL = "width=6,blocks=1,half=5,full=4,styles=2"
MODEL = "fast:two.safetensors"


@pytest.fixture(scope="module")
def network() -> FastNet:
    draw = torch.Generator().manual_seed(1)
    made = FastNet.of(SMALL).eval()
    for parameter in made.parameters():
        parameter.data = (torch.randn(parameter.shape, generator=draw) * 0.3).half().float()
    return made.requires_grad_(False)


@pytest.fixture
def here(network: FastNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    card = Card(task="style", styles=("night", "day"))
    networks.save(tmp_path / "two.safetensors", network, "fast", SMALL, card)
    images.save(photo(), tmp_path / "photo.png")
    return tmp_path


def photo() -> np.ndarray:
    made = np.random.default_rng(0).random((40, 52, 3), dtype=np.float32)
    return np.round(made * 255) / 255


def tensor() -> torch.Tensor:
    return resize(images.to_tensor(images.load(photo())), (32, 42)).clamp(0, 1)


def painted(network: FastNet, *shares: float) -> torch.Tensor:
    return paint(network, tensor(), torch.tensor([[float(s) for s in shares]]))


def close(result: np.ndarray, want: torch.Tensor) -> bool:
    return bool(np.abs(result - want[0].permute(1, 2, 0).numpy()).max() < 1e-5)


def made(*style: str, **options: object) -> np.ndarray:
    array: np.ndarray = impasto.stylize(photo(), style, recipe=MODEL, size=42, **options).array
    return array


def test_paintings_by_name_number_and_file(here: Path, network: FastNet) -> None:
    assert close(made(), painted(network, 1, 0))
    for name in ("day", "2", "anywhere/day.jpg"):
        assert close(made(name), painted(network, 0, 1))
    mixed = made("night", "day", style_blend=(1, 3))
    assert close(mixed, painted(network, 0.25, 0.75))


def test_alpha_colours_filters_and_what_is_kept(here: Path, network: FastNet) -> None:
    one = painted(network, 1, 0)
    assert close(made(alpha=0.25), tensor().lerp(one, 0.25))
    assert close(made(colors="content"), keep_colours(one, tensor()))
    mask = np.zeros((40, 52, 3), np.float32)
    mask[:, 30:] = 1
    kept = made(keep=mask)
    assert np.allclose(kept[:, 30:], tensor()[0].permute(1, 2, 0).numpy()[:, 30:], atol=1e-5)
    assert np.abs(made(after="posterise") - made()).max() > 0.01


@pytest.mark.parametrize(
    "options",
    [{"style_weight": 3.0}, {"mask": ("photo.png",)}, {"colors": "match"}, {"quality": "best"}],
)
def test_what_a_trained_network_has_not_is_refused(here: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"takes no {next(iter(options)).replace('_', '-')}"):
        made("day", **options)


def test_mistakes(here: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean day"):
        made("dey")
    with pytest.raises(UnknownName, match="unknown model"):
        impasto.stylize(photo(), recipe="fast:nothing")
    with pytest.raises(UsageError, match="style needs at least 1, not 0"):
        impasto.stylize(photo())


def test_command_line_and_rerun(
    here: Path, network: FastNet, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["stylize", "photo.png", "--recipe", MODEL, "--size", "42", "-o", "out.png"]
    assert main(argv) == 0
    assert main(["rerun", "out.png", "-o", "again.png"]) == 0
    first, second = (images.load(n).rgb for n in ("out.png", "again.png"))
    assert np.array_equal(first, second)
    want = painted(network, 1, 0)[0].permute(1, 2, 0).numpy()
    assert np.abs(first - want).max() <= 0.51 / 255
    assert main(["stylize", "photo.png", "-o", "other.png"]) == 2
    capsys.readouterr()
