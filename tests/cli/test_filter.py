"""`impasto filter` from end to end."""

from __future__ import annotations

import io
import json
import subprocess

import numpy as np
import pytest

from impasto import images
from impasto.cli import main
from impasto.filters import apply, parse

from .commands import command, environment


@pytest.fixture
def here(folder, monkeypatch):
    """The folder with the pictures, as the current one."""
    monkeypatch.chdir(folder)
    return folder


def call(capfdbinary, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command in this process."""
    code = main(list(arguments))
    seen = capfdbinary.readouterr()
    return code, seen.out.decode(), seen.err.decode()


def test_a_chain_with_settings_and_again(here, capfdbinary):
    arguments = ("filter", "kuwahara+posterise", "--set", "radius=8", "colours=6", "photo.png")
    assert call(capfdbinary, *arguments, "-o", "out.png", "--quiet") == (0, "out.png\n", "")
    photo = images.to_tensor(images.load(here / "photo.png"))
    expected = images.from_tensor(apply(parse("kuwahara:radius=8+posterise:colours=6"), photo))
    assert np.abs(images.load(here / "out.png").rgb - expected).max() <= 0.5 / 255 + 1e-6
    record = images.read_metadata(here / "out.png")
    assert record["verb"] == "filter"
    assert record["settings"]["filters"][0]["radius"] == 8
    assert record["settings"]["filters"][1]["vividness"] == 1.2  # defaults are recorded, too
    assert set(record["inputs"]) == {"image"}
    code, out, err = call(capfdbinary, "rerun", "out.png")
    assert (code, out) == (0, "out-rerun.png\n")
    assert "changed" not in err
    assert (here / "out-rerun.png").read_bytes() == (here / "out.png").read_bytes()


def test_rerun_finds_the_reference(here, capfdbinary):
    arguments = ("filter", "reinhard", "photo.png", "--reference", "painting.png", "-o", "out.png")
    assert call(capfdbinary, *arguments)[0] == 0
    assert call(capfdbinary, "rerun", "out.png", "--quiet")[0] == 0
    assert (here / "out-rerun.png").read_bytes() == (here / "out.png").read_bytes()
    (here / "painting.png").write_bytes((here / "other.png").read_bytes())
    code, _, err = call(capfdbinary, "rerun", "out.png", "-o", "again.png")
    assert code == 4
    assert "painting.png has changed" in err


def test_json(here, capfdbinary):
    code, out, err = call(
        capfdbinary, "filter", "stipple", "photo.png", "--seed", "3", "-o", "out.jpg", "--json",
        "--quiet",
    )  # fmt: skip
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert (answer["output"], answer["width"], answer["height"]) == ("out.jpg", 100, 80)
    assert answer["complete"] is True
    assert answer["settings"]["name"] == "stipple:seed=3"


def test_from_standard_input_to_standard_output(folder):
    done = subprocess.run(
        command("filter", "sketch", "-", "-o", "-", "--size", "50"),
        input=(folder / "photo.png").read_bytes(),
        cwd=folder,
        env=environment(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert images.load(io.BytesIO(done.stdout)).size == (40, 50)


IO = ("photo.png", "-o", "out.png")
REFUSED = [
    (("kuwahra", *IO), 2, "unknown filter 'kuwahra'", "did you mean kuwahara?"),
    (("kuwahara:radios=2", *IO), 2, "unknown parameter of kuwahara 'radios'", "radius?"),
    (("kuwahara", *IO, "--set", "radius=99"), 2, "radius cannot be 99.0", "allowed: 1 to 30"),
    (("kuwahara", *IO, "--alpha", "2"), 2, "alpha must be at most 1.0, not 2", ""),
    (("kuwahara+quilting", *IO), 2, "quilting needs a second picture", "--reference"),
    (("kuwahara", "gone.png", "-o", "out.png"), 4, "gone.png does not exist", ""),
    (("reinhard", *IO, "--reference", "gone.png"), 4, "gone.png does not exist", ""),
    (("kuwahara", *IO[:-1], "out.gif"), 2, "extension .gif is no picture format", ".png"),
    (("kuwahara", *IO[:-1], "other.png"), 2, "other.png exists already", "--force"),
    (("kuwahara", *IO[:-1], "photo.png", "--force"), 2, "photo.png is an input", "another"),
    (("reinhard", *IO[:-1], "art.png", "--reference", "art.png"), 2, "art.png exists", "--force"),
    (("kuwahara", *IO, "--log", "x.csv"), 2, "unknown option --log", "impasto filter --help"),
    (("kuwahara",), 2, "filter needs IMAGE", "impasto filter --help"),
    (("kuwahara", "photo.png"), 2, "filter needs --output", "--help"),
]


@pytest.mark.parametrize(("arguments", "code", "message", "hint"), REFUSED, ids=str)
def test_refused(here, capfdbinary, arguments, code, message, hint):
    (here / "art.png").write_bytes((here / "other.png").read_bytes())
    before = {p.name: p.read_bytes() for p in here.iterdir()}
    got, out, err = call(capfdbinary, "filter", *arguments)
    assert (got, out) == (code, "")
    first, *rest = err.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert hint in "".join(rest)
    assert {p.name: p.read_bytes() for p in here.iterdir()} == before
