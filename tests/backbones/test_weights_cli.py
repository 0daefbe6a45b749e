"""``impasto weights`` and ``impasto backbones`` as a person runs them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch_layouts

from impasto.backbones import DEFAULT, ENTRIES
from impasto.cli import app

SRC = Path(__file__).resolve().parents[2] / "src"


@dataclasses.dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(weights_folder, tmp_path, monkeypatch, capfd):
    """Run a command line in this process (torch is loaded already), with own weights."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, **variables):
        capfd.readouterr()
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            code = app.run(arguments, None)  # no signals to wait for
        return Done(code, *capfd.readouterr())

    return call


def test_in_a_process_of_its_own(weights_folder):
    done = subprocess.run(
        [sys.executable, "-m", "impasto", "weights", "fetch", "alexnet", "--offline"],
        env=os.environ | {"PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 3 and done.stdout == ""
    assert f"put it into {weights_folder}" in done.stderr and len(done.stderr.splitlines()) == 2


def test_list_shows_what_is_here_and_how_to_get_the_rest(run):
    done = run("weights", "list")
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(rows) == ENTRIES.names() and done.returncode == 0
    assert "here (package)" in rows[DEFAULT] and "MIT" in rows[DEFAULT]
    assert "impasto weights fetch vgg19.tv_in1k" in rows["vgg19.tv_in1k"]
    assert "weights convert imagenet-vgg-verydeep-19.mat" in rows["vgg19.matconvnet"]
    found = json.loads(run("weights", "list", "vgg19", "--json").stdout)["weights"]
    assert {row["name"].partition(".")[0] for row in found} == {"vgg19"}
    assert all(row["path"] is None and row["remedy"] for row in found)


def test_backbones_are_listed(run):
    rows = json.loads(run("backbones", "--json").stdout)["backbones"]
    assert [row["name"] for row in rows] == ENTRIES.names()
    assert [row["name"] for row in rows if row["default"]] == [DEFAULT]
    assert all(row["summary"] and row["paper"] for row in rows)


def test_fetch_from_a_mirror_then_path_and_verify(run, make_site, weights_folder, monkeypatch):
    site = make_site()
    entry = ENTRIES.get("squeezenet1_1.tv_in1k")
    content = site.files[f"/{entry.file}"] = b"not the published file"
    # Without the publisher's mirrors: a test stays on this machine.
    entry = dataclasses.replace(entry, urls=("http://127.0.0.1:9/nothing",))
    monkeypatch.setitem(ENTRIES._items, entry.name, entry)
    refused = run("weights", "fetch", "squeezenet1_1", IMPASTO_MIRROR=site.url)
    assert refused.returncode == 3 and "wrong file" in refused.stderr
    assert refused.stdout == "" and not (weights_folder / entry.file).exists()
    sha = hashlib.sha256(content).hexdigest()[:8]
    monkeypatch.setitem(ENTRIES._items, entry.name, dataclasses.replace(entry, sha256=sha))
    done = run("weights", "fetch", "squeezenet1_1.tv_in1k", IMPASTO_MIRROR=site.url)
    assert done.returncode == 0 and done.stdout.strip() == str(weights_folder / entry.file)
    assert run("weights", "path", "squeezenet1_1").stdout == done.stdout
    good = json.loads(run("weights", "verify", "--json").stdout)["weights"]
    assert [row["good"] for row in good] == [True] * 3
    (weights_folder / entry.file).write_bytes(b"damaged")
    bad = run("weights", "verify")
    assert bad.returncode == 3 and "is damaged" in bad.stderr
    assert bad.stdout.count("is damaged") == 1 and len(bad.stdout.splitlines()) == 3


def test_fetch_offline(run, weights_folder):
    done = run("weights", "fetch", "alexnet", "--offline")
    assert done.returncode == 3 and done.stdout == ""
    assert f"put it into {weights_folder}" in done.stderr and len(done.stderr.splitlines()) == 2
    assert run("weights", "fetch", "alexnet", IMPASTO_OFFLINE="1").returncode == 3
    here = run("weights", "fetch", DEFAULT, "--offline")
    assert here.returncode == 0 and here.stdout.strip().endswith("craft_mlt_25k.pth")


def test_convert_then_use_by_name(run, tmp_path, weights_folder):
    torch.save(torch_layouts.fill(torch_layouts.SqueezeNet()).state_dict(), tmp_path / "x.pth")
    done = run("weights", "convert", "x.pth", "--name", "mine", "--licence", "CC0-1.0")
    target = weights_folder / "squeezenet1_1.mine.safetensors"
    assert done.returncode == 0 and done.stdout.strip() == f"squeezenet1_1.mine  {target}"
    assert "the usual is assumed" in done.stderr
    assert run("weights", "path", "squeezenet1_1").stdout.strip() == str(target)
    listed = run("weights", "list", "squeezenet1_1").stdout.splitlines()
    assert listed[-1].startswith("squeezenet1_1.mine") and "CC0-1.0" in listed[-1]
    elsewhere = run("weights", "convert", "x.pth", "-o", "y.safetensors", "--json", "--quiet")
    assert json.loads(elsewhere.stdout)["layers"] == 26 and elsewhere.stderr == ""
    assert (tmp_path / "y.safetensors").is_file()


def test_normalize_measures_once(run, tmp_path, weights_folder):
    known = json.loads(run("weights", "normalize", DEFAULT, "--json").stdout)
    assert known == {"name": f"{DEFAULT}+normalized", "pooling": "max", "measured": False}
    refused = run("weights", "normalize", "efficientnet_lite0.in1k")
    assert refused.returncode == 2 and "cannot be normalised" in refused.stderr
    (tmp_path / "empty").mkdir()
    none = run("weights", "normalize", DEFAULT, "empty", "--force")
    assert none.returncode == 4 and "no pictures in empty" in none.stderr
    run("samples", "nocturne", "-o", "a.png", "--size", "96x80")
    done = run("weights", "normalize", DEFAULT, "a.png", "--force", "--pooling", "avg")
    assert done.stdout == f"{DEFAULT}+normalized\n", done.stderr
    assert (weights_folder / "means" / f"{DEFAULT}.avg.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("weights", "fetch"), 2, "needs NAMES"),
        (("weights", "fetch", "vgg91"), 2, "did you mean"),
        (("weights", "fetsh"), 2, "did you mean fetch"),
        (("weights", "convert", "nothing.npy"), 3, "there is no file nothing.npy"),
        (("weights", "path", "vgg19.tv_in1k"), 3, "impasto weights fetch vgg19.tv_in1k"),
        (("weights", "list", "vgg"), 2, "unknown architecture"),
    ],
)
def test_mistakes(run, arguments, code, words):
    done = run(*arguments)
    assert done.returncode == code and done.stdout == ""
    assert words in done.stderr and len(done.stderr.splitlines()) <= 2


def test_the_group_explains_itself(run):
    done = run("weights")
    assert done.returncode == 0
    for command in ("list", "fetch", "convert", "verify", "path", "normalize"):
        assert f"│ {command} " in done.stdout
    assert "nothing in it is run" in run("weights", "convert", "--help").stdout
