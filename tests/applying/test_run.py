"""The verb `apply`: one pass of a trained network, whole or by strips, one picture or a folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import impasto
from impasto import images, networks
from impasto.cli import main
from impasto.errors import InputError, UnknownName, UsageError, WeightsError
from impasto.images.colour import keep_colours
from impasto.networks import Card, FastNet
from impasto.networks.fast import paint
from impasto.networks.painter import shares_of

SMALL = "width=6,blocks=1,half=5,full=4,styles=2"


@pytest.fixture(scope="module")
def network() -> FastNet:
    draw = torch.Generator().manual_seed(1)
    made = FastNet.of(SMALL).eval()
    for parameter in made.parameters():
        parameter.data = (torch.randn(parameter.shape, generator=draw) * 0.3).half().float()
    return made.requires_grad_(False)


@pytest.fixture
def here(network: FastNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model and a photo; the model is also known by its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    card = Card(
        task="style", data="9 photos; dusk, dawn", styles=("night", "day"), steps=3, licence="MIT"
    )
    networks.save(tmp_path / "own" / "two.safetensors", network, "fast", SMALL, card)
    images.save(photo(30, 45), tmp_path / "photo.png")
    return tmp_path


def photo(height: int, width: int) -> np.ndarray:
    made = np.random.default_rng(height).random((height, width, 3), dtype=np.float32)
    return np.round(made * 255) / 255


def expected(network: FastNet, image: np.ndarray, shares: list[float]) -> torch.Tensor:
    tensor = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None]
    return paint(network, tensor, torch.tensor([[float(s) for s in shares]]))


def close(result: np.ndarray, want: torch.Tensor) -> bool:
    return bool(np.abs(result - want[0].permute(1, 2, 0).numpy()).max() < 1e-5)


def test_by_name_and_by_file(here: Path, network: FastNet) -> None:
    image = photo(30, 45)
    for model in ("two", here / "own" / "two.safetensors"):
        assert close(impasto.apply(model, image).array, expected(network, image, [1, 0]))


def test_paintings_are_chosen_and_mixed(here: Path, network: FastNet) -> None:
    image = photo(30, 45)
    day = impasto.apply("two", image, style="day").array
    assert close(day, expected(network, image, [0, 1]))
    assert np.array_equal(day, impasto.apply("two", image, style="2").array)
    mixed = impasto.apply("two", image, style=("night", "day"), style_blend=(3, 1))
    assert close(mixed.array, expected(network, image, [0.75, 0.25]))
    assert mixed.settings["styles"] == {"night": 0.75, "day": 0.25}


def test_alpha_colours_and_strips(here: Path, network: FastNet) -> None:
    image = photo(64, 48)
    whole = expected(network, image, [1, 0])
    given = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    half = impasto.apply("two", image, alpha=0.5).array
    assert close(half, (whole + given) / 2)
    kept = impasto.apply("two", image, colors="content").array
    assert close(kept, keep_colours(whole, given))
    strips = impasto.apply("two", image, tile="16").array
    assert np.abs(strips - impasto.apply("two", image, tile="off").array).max() < 1e-5


def test_size_and_transparency(here: Path) -> None:
    image = np.dstack([photo(30, 45), np.linspace(0, 1, 30 * 45).reshape(30, 45)])
    result = impasto.apply("two", image.astype(np.float32), size=90)
    assert result.array.shape == (60, 90, 3)
    assert result.alpha is not None and result.alpha.shape == (60, 90)
    assert result.alpha[0].max() < 0.1 < 0.9 < result.alpha[-1].min()


def test_a_model_that_changes_is_read_again(here: Path, network: FastNet) -> None:
    image = photo(30, 45)
    before = impasto.apply("two", image).array
    path = here / "own" / "two.safetensors"
    networks.save(path, FastNet.of(SMALL), "fast", SMALL, Card())
    import os

    os.utime(path, ns=(1, 1))
    assert not np.array_equal(before, impasto.apply("two", image).array)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"model": "tow"}, UnknownName, "did you mean two"),
        ({"model": "none.safetensors"}, InputError, "there is no model none"),
        ({"style": "dawn"}, UnknownName, "unknown painting of the model 'dawn'"),
        ({"style": "3"}, UnknownName, "'3'"),
        ({"style_blend": (1, 2)}, UsageError, "2 numbers for 1"),
        ({"style_blend": (0.0,)}, UsageError, "more than 0"),
        ({"tile": "8"}, UsageError, "at least 16"),
    ],
)
def test_what_makes_no_sense_is_refused(
    here: Path, options: dict[str, object], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        impasto.apply(**{"model": "two", "image": photo(8, 8), **options})  # type: ignore[arg-type]


def test_files_that_do_not_paint_are_refused(here: Path) -> None:
    (here / "own" / "bad.safetensors").write_bytes(b"no")
    with pytest.raises(WeightsError):
        impasto.apply("bad", photo(8, 8))
    architecture = "channels=4,stride=2"
    made = networks.build("decoder", architecture)
    networks.save(here / "own" / "dec.safetensors", made, "decoder", architecture, Card())
    with pytest.raises(UsageError, match="paints no photos"):
        impasto.apply("dec", photo(8, 8))
    with pytest.raises(UnknownName) as unknown:
        impasto.apply("unlike any", photo(8, 8))
    assert "two" in unknown.value.hint
    assert "dec" not in unknown.value.hint


def test_shares_of_one_painting_named_twice_add() -> None:
    assert shares_of(["a", "b"], ["b", "1", "2"], None) == pytest.approx([1 / 3, 2 / 3])


def run(capfdbinary: pytest.CaptureFixture[bytes], *arguments: str) -> tuple[int, str, str]:
    code = main(list(arguments))
    seen = capfdbinary.readouterr()
    return code, seen.out.decode(), seen.err.decode()


def test_command_line_and_rerun(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    arguments = ("apply", "two", "photo.png", "--style", "night", "day", "-o", "out.png")
    assert run(capfdbinary, *arguments, "--quiet") == (0, "out.png\n", "")
    assert run(capfdbinary, "rerun", "out.png", "--quiet")[:2] == (0, "out-rerun.png\n")
    assert (here / "out.png").read_bytes() == (here / "out-rerun.png").read_bytes()


def test_names_with_hyphens_are_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tmp_path)
    images.save(photo(40, 48), Path("photo.png"))
    named = ("--style", "scream", "starry-night", "--style-blend", "0.6,0.4")
    asked = ("apply", "eight", "photo.png", *named, "-o", "out.png", "--quiet", "--json")
    code, out, err = run(capfdbinary, *asked)
    assert (code, err) == (0, "")
    mixed = json.loads(out)["settings"]["styles"]
    assert mixed == {"scream": pytest.approx(0.6), "starry-night": pytest.approx(0.4)}


def test_folder(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (here / "in").mkdir()
    for i, name in enumerate(("a.jpg", "b.png", "c.gif")):
        from PIL import Image

        Image.fromarray((photo(20 + i, 24) * 255).astype(np.uint8)).save(here / "in" / name)
    (here / "in" / "notes.txt").write_text("no picture")
    code, out, _ = run(capfdbinary, "apply", "two", "in", "-o", "out", "--quiet")
    made = sorted(p.name for p in (here / "out").iterdir())
    assert (code, made) == (0, ["a.jpg", "b.png", "c.png"])
    assert out.splitlines() == [str(Path("out") / n) for n in made]
    code, _, err = run(capfdbinary, "apply", "two", "in", "-o", "out")
    assert (code, "3 of 3 pictures failed" in err) == (4, True)  # nothing is overwritten
    (here / "in" / "b.png").write_bytes(b"broken")
    code, out, err = run(capfdbinary, "apply", "two", "in", "-o", "out2")
    assert code == 4
    assert "1 of 3 pictures failed: b.png" in err
    assert "error: in/b.png is not a picture; impasto reads PNG" in err
    assert len(out.splitlines()) == 2
    code, out, _ = run(capfdbinary, "apply", "two", "in", "-o", "in")
    assert code == 2


def test_folder_as_json(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (here / "in").mkdir()
    (here / "photo.png").rename(here / "in" / "p.png")
    code, out, _ = run(capfdbinary, "filter", "sketch", "in", "-o", "out", "--json")
    assert (code, json.loads(out)) == (0, {"outputs": [str(Path("out") / "p.png")]})


def test_models_are_listed(here: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (here / "own" / "bad.safetensors").write_bytes(b"no")
    code, out, _ = run(capfdbinary, "models", "--json")
    rows = {row["name"]: row for row in json.loads(out)["models"]}
    assert code == 0
    assert rows["two"]["card"]["licence"] == "MIT"
    assert not rows["two"]["shipped"]
    assert rows["bad"]["summary"].startswith("[")
    assert "two" in run(capfdbinary, "models")[1]
