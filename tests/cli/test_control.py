"""Masks, logs and plots from the command line and from Python, on the real network."""

from __future__ import annotations

import json

import numpy as np
import pytest

import impasto
from impasto import images, jobs
from impasto.errors import InputError
from impasto.specs import OutputSpec, StylizeSpec

from .commands import SMALL


@pytest.fixture
def masks(folder):
    """A mask of the left half and one of the right, for the photo."""
    height, width = images.load(folder / "photo.png").size
    left = np.zeros((height, width), np.float32)
    left[:, : width // 2] = 1
    images.save(np.repeat(left[..., None], 3, axis=2), folder / "left.png")
    images.save(np.repeat(1 - left[..., None], 3, axis=2), folder / "right.png")
    return folder


def test_a_masked_run_with_records_can_be_run_again(run, masks):
    done = run(
        *("stylize", "photo.png", "painting.png", "other.png", "--mask", "left.png", "right.png"),
        *("--keep", "left.png", "--style-scale", "0.8,1.2", "--style-rotations", "2"),
        *("--log", "out.jsonl", "--plot", "curves.png", "-o", "out.png", *SMALL, "--json"),
        *("--iterations", "3"),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seconds"] > 0
    assert " in all" in done.stderr
    rows = [json.loads(line) for line in (masks / "out.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert images.load(masks / "curves.png").size == (540, 960)
    record = images.read_metadata(masks / "out.png")
    assert record["spec"]["mask"] == ["left.png", "right.png"]
    for role, name in (("mask1", "left.png"), ("mask2", "right.png"), ("keep", "left.png")):
        assert record["inputs"][role]["sha256"] == images.load(masks / name).source.sha256
    again = run("rerun", "out.png", "-o", "again.png")
    assert again.returncode == 0, again.stderr
    assert np.array_equal(images.load(masks / "again.png").rgb, images.load(masks / "out.png").rgb)


def test_other_masks_are_another_job(run, masks):
    stop = ("stylize", "photo.png", "painting.png", "-o", "out.png", *SMALL, "--iterations", "3")
    spec = StylizeSpec.build(
        **{"content": "photo.png", "style": ("painting.png",), "size": 64, "quality": "draft"},
        **{"iterations": 3, "mask": ("left.png",)},
    )
    sources = {n: masks / n for n in ("photo.png", "painting.png", "left.png")}
    output = OutputSpec.build(output=str(masks / "out.png"))
    events = jobs.run(spec, output, sources)
    while type(next(events)).__name__ != "Step":
        pass
    events.close()
    (masks / "left.png").write_bytes((masks / "right.png").read_bytes())
    done = run(*stop, "--mask", "left.png", "--resume")
    assert done.returncode == 2
    assert "belongs to other settings or pictures" in done.stderr


def test_wrong_masks_end_with_their_codes(run, masks):
    images.save(np.zeros((80, 100, 3), np.float32), masks / "black.png")
    for words, code, text in (
        (("--mask", "left.png", "right.png"), 2, "mask has 2 pictures for 1 paintings"),
        (("--mask", "black.png"), 4, "black.png is black everywhere"),
        (("--mask", "nowhere.png"), 4, "nowhere.png does not exist"),
        (("--log", "out.txt"), 2, "log must end in .csv or .jsonl"),
    ):
        done = run("stylize", "photo.png", "painting.png", *words, "-o", "out.png")
        assert (done.returncode, text in done.stderr) == (code, True), done.stderr


def test_masks_as_arrays():
    photo, art = np.random.default_rng(0).random((2, 48, 64, 3), np.float32)
    mask = np.zeros((48, 64), np.float32)
    mask[:24] = 1
    options = {"size": 64, "quality": "draft", "iterations": 2, "mask_soften": 0}
    done = impasto.stylize(photo, art, mask=mask, **options)
    assert np.array_equal(done.array[24:], photo[24:])
    assert not np.array_equal(done.array[:24], photo[:24])
    assert done.metadata["inputs"]["mask"]["name"] == "<mask>"
    listed = impasto.stylize(photo, art, mask=[mask], keep=1 - mask, **options)
    assert np.array_equal(listed.array[24:], photo[24:])
    with pytest.raises(InputError, match="black everywhere"):
        impasto.stylize(photo, art, mask=[np.zeros_like(mask)], **options)
