"""``impasto visualize`` as a command."""

from __future__ import annotations

import json

from impasto import images

QUICK = ("--size", "48", "--iterations", "2", "--device", "cpu")


def test_an_atlas_and_its_table(run, folder):
    done = run("visualize", "--layer", "relu2_1", "--channels", "0-1,5", "-o", "a.png", *QUICK)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "a.png"
    assert [line.split()[0] for line in lines[2:5]] == ["relu2_1:0", "relu2_1:1", "relu2_1:5"]
    assert images.load(folder / "a.png").width > 2 * 48


def test_json_and_words_with_signs(run):
    done = run(
        "visualize", "-o", "b.png", "--json", *QUICK,
        "--objective", "relu2_1:3 + 0.5 * relu1_1:2", "relu2_1:4@1,2", "--between", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    units = [row["unit"] for row in found["units"]]
    assert units[0] == "relu2_1:3 + 0.5 * relu1_1:2" and units[2] == "relu2_1:4@1,2"
    assert found["settings"]["units"] == units and set(found["losses"]) == {"excitation", "tv"}


def test_classes_by_name(run):
    done = run("visualize", "--class", "goldfish", "great white shark", "-o", "c.png", *QUICK)
    assert done.returncode == 0, done.stderr
    assert "class:great white shark" in done.stdout and "probability" in done.stdout


def test_help(run):
    done = run("visualize", "--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.replace("│", " ").split())
    for flag in ("--layer", "--channels", "--class ", "--objective", "--diversity", "--recipe"):
        assert flag in text
    assert "--save-recipe" not in text and "--class-" not in text


def test_mistakes(run):
    for words, text in (
        (("--layer", "relu3_11", "--channel", "1"), "did you mean"),
        (("--class", "goldfisch"), "did you mean"),
        (("--channel", "1"), "of which layer"),
        (("--layer", "relu2_1", "--channel", "900"), "channels 0 to 127, not 900"),
        ((), "what shall be excited"),
    ):
        done = run("visualize", *words, "-o", "x.png")
        assert done.returncode == 2 and text in done.stderr, done.stderr
