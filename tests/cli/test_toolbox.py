"""``impasto inspect --explain`` and ``--photos`` as commands."""

from __future__ import annotations

import json

import numpy as np

from impasto import images

LAYERS = ("--layers", "relu1_1,relu2_1", "--units", "0-2", "--size", "64", "--device", "cpu")


def test_a_class_by_name(run, folder):
    done = run("inspect", "photo.png", "-o", "why.png", "--explain", "class:seashore", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["class"]["name"] == "seashore" and found["cam_layer"] == "head"
    assert found["backbone"] == "efficientnet_lite0.in1k"
    assert images.load(folder / "why.png").size == images.load(folder / "photo.png").size


def test_a_unit_in_a_table(run):
    done = run("inspect", "photo.png", "-o", "u.png", "--explain", "relu2_1:3", "--size", "64",
               "--method", "guided")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "u.png"
    assert any(line.split() == ["unit", "relu2_1:3"] for line in done.stdout.splitlines())


def test_pages_for_a_folder(run, folder):
    photos = folder / "my photos"
    photos.mkdir()
    for i in range(3):
        rgb = np.random.default_rng(i).random((40, 50, 3)).astype(np.float32)
        images.save(rgb, photos / f"p{i}.png")
    (photos / "bad.jpg").write_bytes(b"no")
    home = {"IMPASTO_HOME": str(folder / "home")}
    done = run("inspect", "photo.png", "--photos", "my photos", "-o", "r.html", *LAYERS,
               "--json", **home)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["pages"] == ["r.html", "r-relu1_1.html"]
    assert found["photos"]["computed"] == 3 and len(found["photos"]["skipped"]) == 1
    deep, shallow = ((folder / name).read_text() for name in found["pages"])
    assert "<h1>relu2_1</h1>" in deep and 'href="r-relu1_1.html"' in deep
    assert "<h1>relu1_1</h1>" in shallow and 'href="r.html"' in shallow

    again = run("inspect", "photo.png", "--photos", "my photos", "-o", "r.png", *LAYERS, **home)
    assert again.returncode == 0, again.stderr
    rows = [line.split() for line in again.stdout.splitlines()]
    assert ["4", "3", "0", "0", "1"] in rows
    assert images.load(folder / "r.png").width > 1000

    late = run("inspect", "photo.png", "--photos", "my photos", "-o", "r.html", *LAYERS, **home)
    assert late.returncode == 2 and "--force" in late.stderr
    (folder / "s-relu1_1.html").write_text("mine")
    late = run("inspect", "photo.png", "--photos", "my photos", "-o", "s.html", *LAYERS, **home)
    assert late.returncode == 2 and "s-relu1_1.html exists already" in late.stderr
    assert (folder / "s-relu1_1.html").read_text() == "mine"
    assert not (folder / "s.html").exists()


def test_mistakes(run):
    done = run("inspect", "photo.png", "-o", "x.html")
    assert done.returncode == 2 and "no picture format" in done.stderr
    done = run("inspect", "photo.png", "-o", "x.html", "--photos", "nowhere")
    assert done.returncode == 4 and "nowhere does not exist" in done.stderr
    done = run("inspect", "photo.png", "-o", "x.png", "--explain", "class:goldfihs")
    assert done.returncode == 2 and "did you mean goldfish" in done.stderr
    done = run("inspect", "photo.png", "-o", "x.png", "--explain", "relu2_1:3", "--log", "l.csv")
    assert done.returncode == 2 and "takes no log" in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2
