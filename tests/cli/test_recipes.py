"""Recipes on the command line: listed, run, saved, misspelt."""

from __future__ import annotations

import json
import tomllib

from impasto.recipes import ONE_PASS, RECIPES

from .commands import SMALL


def test_they_are_listed(run):
    rows = json.loads(run("recipes", "--json").stdout)["recipes"]
    assert [row["name"] for row in rows] == [*RECIPES.names(), *ONE_PASS.names()]
    assert all(len(row["summary"]) < 90 for row in rows)


def test_run_saved_and_run_again(run, folder):
    base = ("stylize", "photo.png", "painting.png", *SMALL, "--iterations", "2")
    first = run(
        *(*base, "-o", "a.png", "--recipe", "lbfgs-hooks-meant", "--style-weight", "12"),
        *("--save-recipe", "mine.toml"),
    )
    assert first.returncode == 0, first.stderr
    assert "vgg19.tv_in1k is not here" in first.stderr
    saved = tomllib.loads((folder / "mine.toml").read_text(encoding="utf-8"))
    assert saved["backbone"] == "vgg16_bn.craft"
    assert {t["name"]: t["weight"] for t in saved["terms"]}["style"] == 12
    assert saved["sources"]["terms.style.weight"] == "the request"
    second = run(*base, "-o", "b.png", "--recipe", "mine.toml")
    assert second.returncode == 0, second.stderr
    from impasto import images

    one, two = (images.load(folder / name).rgb for name in ("a.png", "b.png"))
    assert one.tobytes() == two.tobytes()
    again = run(*base, "-o", "c.png", "--save-recipe", "mine.toml")
    assert again.returncode == 2
    assert "mine.toml exists" in again.stderr
    assert not (folder / "c.png").exists()


def test_mistakes_are_one_line(run, folder):
    base = ("stylize", "photo.png", "painting.png", "-o", "out.png", *SMALL, "--recipe")
    done = run(*base, "neural-stile")
    assert done.returncode == 2
    assert "did you mean neural-style" in done.stderr
    (folder / "bad.toml").write_text("size = 3\n")
    done = run(*base, "bad.toml")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bad.toml" in done.stderr
    done = run("inspect", "photo.png", "-o", "x.png", "--save-recipe", "r.toml")
    assert done.returncode == 2
    assert "inspect has no recipe" in done.stderr
