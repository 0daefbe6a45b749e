"""What the command line refuses, and how: one line, a hint, exit code 2 (or 4)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from .commands import command, environment

IO = ("photo.png", "painting.png", "-o", "out.png")

REFUSED = [
    # arguments, part of the message, part of the hint
    (("stylize",), "stylize needs CONTENT", "impasto stylize --help"),
    (("stylize", "photo.png", "-o", "out.png"), "style needs at least 1, not 0", ""),
    (("stylize", "photo.png", "painting.png"), "stylize needs --output", "--help"),
    (("stylize", "photo.png", "painting.png", "-o"), "-o needs a value", "--help"),
    (("stylise", *IO), 'unknown command "stylise"', "did you mean stylize?"),
    (("stylize", *IO, "--style-wieght", "3"), "unknown option --style-wieght", "--style-weight?"),
    (("stylize", *IO, "--size", "31"), "size must be at least 32, not 31", ""),
    (("stylize", *IO, "--size", "3.5"), "size must be a whole number, not 3.5", ""),
    (("stylize", *IO, "--quality", "drft"), "quality must be 'instant', 'draft'", "draft?"),
    (("stylize", *IO, "--style-weight", "nan"), "style-weight must be a finite number", ""),
    (("stylize", *IO, "--tv-weight", "-1"), "tv-weight must be at least 0", ""),
    (("stylize", *IO, "--style-blend", "1,2"), "style-blend has 2 numbers for 1 painting", ""),
    (("stylize", *IO, "--style-blend", "x"), "style-blend must be a number, not x", ""),
    (("stylize", *IO, "--init", "mix:2"), "init 'mix:2'", "mix:0.5"),
    (("stylize", *IO, "--recipe", "impast"), "unknown recipe 'impast'", "did you mean impasto"),
    (("stylize", *IO[:-1], "out.gif"), "extension .gif is no picture format", ".png"),
    (("stylize", *IO[:-1], "no/out.png"), "does not exist", "mkdir -p"),
    (("stylize", *IO[:-1], "photo.png", "--force"), "photo.png is an input", "another name"),
    (("stylize", *IO[:-1], "./link.png", "--force"), "is an input", "another name"),
    (("stylize", *IO[:-1], "other.png"), "other.png exists already", "--force"),
    (("stylize", *IO[:-1], "-", "--resume"), "no checkpoint to resume", "-o"),
    (("stylize", *IO[:-1], "-", "--json"), "both write to standard output", "name a file"),
    (("stylize", *IO, "--size", "64", "--size", "65"), "--size specified multiple times", "--help"),
    (("doctor", "well"), "unexpected argument well", "impasto doctor --help"),
    (("samples", "nocturn", "-o", "x.png"), "unknown sample 'nocturn'", "nocturne?"),
    (("samples", "nocturne"), "samples needs --output", "-o nocturne.png"),
    (("samples", "nocturne", "-o", "x.png", "--size", "9"), "WIDTHxHEIGHT, not 9", "640x512"),
]


@pytest.mark.parametrize(("arguments", "message", "hint"), REFUSED, ids=lambda v: str(v)[:40])
def test_refused(run, folder, arguments, message, hint):
    (folder / "link.png").symlink_to("photo.png")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    done = run(*arguments, "--json") if "--json" in arguments else run(*arguments)
    assert done.returncode == 2
    text = json.loads(done.stdout)["error"] if "--json" in arguments else None
    first, *rest = done.stderr.splitlines() or ["error: " + text["message"], text["hint"]]
    assert first.startswith("error: ")
    assert message in first
    assert len(rest) == bool(hint)
    assert hint in "".join(rest)
    assert "Traceback" not in done.stderr
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("stylize",), 2, "UsageError"),
        (("stylize", *IO, "--siz", "3"), 2, "UsageError"),
        (("stylize", *IO, "--recipe", "x"), 2, "UnknownName"),
        (("stylize", "gone.png", "painting.png", "-o", "out.png"), 4, "InputError"),
        (("stylize", *IO, "--resume"), 4, "InputError"),
        (("rerun", "photo.png"), 4, "InputError"),
    ],
)
def test_errors_in_json_have_one_shape(run, arguments, code, kind):
    done = run(*arguments, "--json")
    assert done.returncode == code
    assert done.stderr == ""
    error = json.loads(done.stdout)
    assert set(error) == {"error"}
    assert set(error["error"]) == {"type", "message", "hint", "exit_code"}
    assert error["error"]["type"] == kind
    assert error["error"]["exit_code"] == code


def test_bad_pictures_exit_with_4_before_torch_is_loaded(run, folder):
    (folder / "text.png").write_text("not a picture")
    for name in ("gone.png", "text.png", "."):
        done = run("stylize", name, "painting.png", "-o", "out.png", "--debug")
        assert done.returncode == 4
        assert "impasto.errors.InputError" in done.stderr  # --debug shows where
        assert "torch" not in done.stderr
    assert not (folder / "out.png").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_read_only_folder(run, folder):
    closed = folder / "closed"
    closed.mkdir(mode=0o500)
    done = run("stylize", "photo.png", "painting.png", "-o", "closed/out.png")
    assert done.returncode == 2
    assert "may not be written to" in done.stderr


def test_names_too_long_or_with_control_characters_stay_on_one_line(run):
    done = run("stylize", "photo.png", "painting.png", "-o", "a" * 300 + ".png")
    assert done.returncode == 2
    assert "File name too long" in done.stderr
    done = run("stylize", "two\nlines.png", "painting.png", "-o", "out.png")
    assert done.returncode == 4
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--help",), ("stylize", "--help"), ()])
def test_help_in_an_ascii_locale(run, arguments):
    done = run(
        *arguments, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "stylize" in done.stdout
    assert done.stderr == ""


def test_help_of_stylize_names_every_field_with_its_range(run):
    from impasto.specs import OutputSpec, StylizeSpec

    text = " ".join(run("stylize", "--help", COLUMNS="200").stdout.split())
    for name in {**StylizeSpec.model_fields, **OutputSpec.model_fields}:
        shown = name.upper() if name in ("content", "style") else "--" + name.replace("_", "-")
        assert shown in text
    for part in ("[32 to 16384]", "[instant | draft | ", "[more than 0]", "(default style)"):
        assert part in text


def test_version(run):
    import impasto

    assert run("--version").stdout == f"impasto {impasto.__version__}\n"


def test_nobody_reads(folder: Path):
    for arguments in (["recipes"], ["--help"]):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            command(*arguments), stdout=write, stderr=subprocess.PIPE, env=environment()
        )
        os.close(write)
        assert done.returncode == 1
        assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_full(folder: Path):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("recipes"), stdout=full, stderr=subprocess.PIPE, env=environment()
        )
    assert done.returncode == 1
    assert done.stderr == b"error: standard output: No space left on device\n"
