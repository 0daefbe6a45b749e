"""``impasto texture`` as a command."""

from __future__ import annotations

import json

from impasto import images


def test_a_seamless_tile(run, folder):
    done = run(
        "texture", "photo.png", "-o", "tile.png", "--size", "40x36", "--seamless", "--quality",
        "draft", "--iterations", "2", "--log", "log.csv", "--device", "cpu", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["width"], found["height"]) == (40, 36)
    assert found["seam"] > 0
    assert found["settings"]["name"] == "impasto-texture"
    assert (folder / "log.csv").exists()
    again = run("rerun", "tile.png", "-o", "again.png")
    assert again.returncode == 0, again.stderr
    tile, same = (images.load(folder / name).rgb for name in ("tile.png", "again.png"))
    assert tile.tobytes() == same.tobytes()


def test_quilting_and_mistakes(run, folder):
    done = run("texture", "photo.png", "-o", "quilt.png", "--size", "90", "--recipe", "quilting")
    assert done.returncode == 0, done.stderr
    assert images.load(folder / "quilt.png").size == (90, 90)
    done = run("texture", "photo.png", "-o", "x.png", "--size", "12")
    assert done.returncode == 2 and "640x480" in done.stderr
    done = run("texture", "photo.png", "-o", "x.png", "--recipe", "quilting", "--log", "x.csv")
    assert done.returncode == 2 and "texture takes no log" in done.stderr
