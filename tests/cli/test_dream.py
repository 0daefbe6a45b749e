"""``impasto dream`` as a command."""

from __future__ import annotations

import json

from PIL import Image

from impasto import images

QUICK = ("--size", "64", "--iterations", "2", "--octaves", "2", "--device", "cpu")


def test_a_dream(run, folder):
    done = run("dream", "photo.png", "-o", "d.png", *QUICK, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["width"] == 64 and found["settings"]["layers"] == ["block10"]
    assert found["settings"]["backbone"] == "efficientnet_lite0.in1k"
    assert images.read_metadata(folder / "d.png")["verb"] == "dream"


def test_guided_with_two_layers(run, folder):
    done = run(
        "dream", "photo.png", "-o", "g.png", *QUICK, "--layer", "block2", "block4",
        "--guide", "painting.png",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(images.read_metadata(folder / "g.png")["inputs"]) == {"image", "guide"}


def test_a_journey(run, folder):
    done = run("dream", "photo.png", "-o", "z.gif", *QUICK, "--layer", "block2", "--zoom", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "z.gif"
    with Image.open(folder / "z.gif") as animation:
        assert animation.n_frames == 2


def test_help_and_mistakes(run):
    text = run("dream", "--help").stdout
    for flag in ("--layer", "--channel", "--guide", "--octaves", "--zoom", "--tile"):
        assert flag in text
    done = run("dream", "photo.png", "-o", "x.png", "--layer", "blok3")
    assert done.returncode == 2 and "did you mean" in done.stderr
    assert run("dream", "missing.png", "-o", "x.png").returncode == 4
