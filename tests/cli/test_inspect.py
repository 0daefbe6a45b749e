"""``impasto inspect`` as a command."""

from __future__ import annotations

import json

from impasto import images

QUICK = ("--size", "64", "--layers", "relu1_1", "relu2_1", "--maps", "2", "--device", "cpu")


def test_tables_then_the_path(run, folder):
    done = run("inspect", "photo.png", "-o", "sheet.png", *QUICK)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "sheet.png"
    row = next(line.split() for line in lines if line.startswith("relu1_1"))
    assert row[:6] == ["relu1_1", "64", "x", "51", "x", "64"]
    assert "classes, by efficientnet_lite0.in1k" in lines
    assert not any(line != line.rstrip() for line in lines)
    assert images.load(folder / "sheet.png").width == 1600


def test_json_and_inversion(run, folder):
    done = run(
        "inspect", "photo.png", "-o", "sheet.png", *QUICK, "--classifier", "none", "--json",
        "--gram", "--invert", "relu1_1", "--iterations", "2", "--invert-size", "48",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["output"] == "sheet.png" and found["width"] == 1600
    assert [row["name"] for row in found["layers"]] == ["relu1_1", "relu2_1"]
    assert found["layers"][1]["gram"]["shape"] == [128, 128]
    assert found["inversion"]["layer"] == "relu1_1"
    assert found["others"] == {"invert": "sheet-invert.png"}
    assert images.load(folder / "sheet-invert.png").width == 48


def test_the_sheet_on_standard_output_is_alone_there(folder):
    import subprocess

    from .commands import command, environment

    done = subprocess.run(
        command("inspect", "photo.png", "-o", "-", *QUICK, "--classifier", "none"),
        cwd=folder, env=environment(), capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert images.load(done.stdout).width == 1600
    assert b"relu2_1" in done.stderr


def test_mistakes(run):
    done = run("inspect", "photo.png", "-o", "x.png", "--layers", "relu3_11")
    assert done.returncode == 2 and "did you mean" in done.stderr
    done = run("inspect", "photo.png", "-o", "x.png", "--backbone", "vgg61")
    assert done.returncode == 2 and "vgg16" in done.stderr
    done = run("inspect", "missing.png", "-o", "x.png")
    assert done.returncode == 4
