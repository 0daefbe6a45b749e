"""Trained networks on disk."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from impasto.errors import UnknownName, UsageError, WeightsError
from impasto.networks import NETWORKS, Card, build, load, read_card, save

SMALL = "channels=4,stride=2,width=8,last=4,blocks=1"
CARD = Card("decoder", "3 photos", 7, {"psnr": 31.5}, "CC0", "1.2", 3, {"lr": 0.1})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "small.safetensors"


@pytest.fixture
def saved(path: Path) -> Path:
    torch.manual_seed(0)
    save(path, build("decoder", SMALL), "decoder", SMALL, CARD)
    return path


def rewritten(path: Path, **changes: str | None) -> Path:
    """The file with other metadata."""
    from impasto.backbones.formats import safe

    tensors, about = safe.read(path)
    about = {k: v for k, v in {**about, **changes}.items() if v is not None}
    save_file(tensors, path, about)
    return path


@pytest.mark.parametrize("half", [True, False])
def test_what_was_saved_is_loaded(path: Path, half: bool) -> None:
    torch.manual_seed(0)
    network = build("decoder", SMALL)
    save(path, network, "decoder", SMALL, CARD, half=half)
    model = load(path, "decoder")
    assert (model.kind, model.architecture, model.card) == ("decoder", SMALL, CARD)
    assert read_card(path) == ("decoder", SMALL, CARD)
    for name, value in model.network.state_dict().items():
        assert value.dtype == torch.float32
        assert not value.requires_grad
        own = network.state_dict()[name]
        torch.testing.assert_close(value, own.half().float() if half else own, rtol=0, atol=0)
    assert not model.network.training
    x = torch.rand(1, 4, 6, 5)
    encode = lambda y: torch.nn.functional.avg_pool2d(y, 2).repeat(1, 2, 1, 1)[:, :4]  # noqa: E731
    made, expected = model.network(x, encode), network(x, encode)
    torch.testing.assert_close(made, expected, rtol=2e-3, atol=2e-3)


def test_half_is_half_as_large(path: Path, tmp_path: Path) -> None:
    wide = "channels=64,stride=2,width=64,last=32"
    network = build("decoder", wide)
    save(path, network, "decoder", wide, CARD, half=False)
    save(tmp_path / "half.safetensors", network, "decoder", wide, CARD)
    ratio = (tmp_path / "half.safetensors").stat().st_size / path.stat().st_size
    assert 0.5 <= ratio < 0.51


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": SMALL.replace("width=8", "width=16")}, "does not fit"),
        ({"architecture": SMALL.replace("blocks=1", "blocks=2")}, "does not fit"),
        ({"architecture": "channels=4096,width=4096,last=4096,blocks=9"}, "does not fit"),
        ({"architecture": "depth=3"}, "cannot be built"),
        ({"architecture": "width=5," * 40}, "cannot be built"),
        ({"kind": "painter"}, "cannot be built"),
        ({"kind": None}, "not a model"),
        ({"card": "[" * 100_000}, "card"),
        ({"card": '"text"'}, "card"),
    ],
)
def test_what_does_not_fit_is_refused(
    saved: Path, changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        load(rewritten(saved, **changes))


def test_another_kind_is_refused(saved: Path) -> None:
    with pytest.raises(WeightsError, match="kind 'decoder', not 'painter'"):
        load(saved, "painter")


def test_damage_is_refused(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for name, data in {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "header": struct.pack("<Q", 2**31) + whole[8:],
    }.items():
        broken = tmp_path / f"{name}.safetensors"
        broken.write_bytes(data)
        with pytest.raises(WeightsError):
            load(broken)
    with pytest.raises(WeightsError, match="no model"):
        load(tmp_path / "none.safetensors")


def test_numbers_that_are_not_finite(path: Path) -> None:
    network = build("decoder", SMALL)
    with torch.no_grad():
        next(network.parameters())[0] = 1e6  # more than half precision holds
    with pytest.raises(WeightsError, match="not finite"):
        save(path, network, "decoder", SMALL, CARD)
    assert not path.exists()
    tensors = {k: v.clone() for k, v in network.state_dict().items()}
    tensors["rest.last.bias"][0] = float("nan")
    about = {"kind": "decoder", "architecture": SMALL, "card": json.dumps({})}
    save_file(tensors, path, about)
    with pytest.raises(WeightsError, match=r"rest\.last\.bias"):
        load(path)


def test_architectures_are_checked() -> None:
    assert "decoder" in NETWORKS
    with pytest.raises(UnknownName):
        build("decoda", "")
    for text in ("width=0", "width=x", "width=5000", "colour=3", "9"):
        with pytest.raises(UsageError):
            build("decoder", text)


def test_a_card_in_one_line() -> None:
    assert Card("style", "9 photos; night").summary == "style: 9 photos; night"
    assert Card("decoder", "9 photos").summary == "decoder: 9 photos"
    assert Card("distil", "9 photos", ("a", "b")).summary == "distil: 9 photos; a, b"
    many = ", ".join(map(str, range(63)))
    assert Card("decoder", f"9 photos; {many}").summary == "decoder: 9 photos; 63 paintings"
