"""The job behind `impasto filter`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from impasto import images, jobs, samples
from impasto.engine import memory
from impasto.errors import InputError, ResourceError, UsageError
from impasto.events import Finished, Started
from impasto.filtering.run import Filtering, chain_of
from impasto.filters import apply, parse, unparse
from impasto.images.resize import resize
from impasto.specs import FilterSpec, OutputSpec

PIXELS = samples.photo("harbour", (96, 128))[::2, ::2]
PHOTO, ART = images.load(PIXELS), images.load(samples.painting("wheat", (80, 100)))
TENSOR = images.to_tensor(PHOTO)


def job(
    name: str, photo: images.Picture = PHOTO, art: images.Picture | None = None, **options: Any
) -> Filtering:
    return Filtering(FilterSpec.build(name=name, image="p", **options), photo, art)


def finish(run: Filtering) -> Finished:
    *_, last = run.events()
    assert isinstance(last, Finished)
    return last


@pytest.mark.parametrize("name", ["kuwahara", "quilting", "reinhard+sketch"])
def test_the_chain_is_applied(name: str) -> None:
    done = finish(job(name, art=ART))
    expected = images.from_tensor(apply(parse(name), TENSOR, images.to_tensor(ART)))
    np.testing.assert_array_equal(done.image, expected)
    assert done.complete


def test_alpha_is_a_blend() -> None:
    whole = finish(job("sketch")).image
    half = finish(job("sketch", alpha=0.25)).image
    np.testing.assert_allclose(half, 0.75 * PHOTO.rgb + 0.25 * whole, atol=1e-6)
    np.testing.assert_array_equal(finish(job("sketch", alpha=0)).image, PHOTO.rgb)


def test_size_comes_before_the_filters() -> None:
    done = finish(job("posterise", size=32))
    assert done.image.shape == (24, 32, 3)
    small = resize(TENSOR, (24, 32)).clamp(0, 1)
    expected = images.from_tensor(apply(parse("posterise"), small))
    np.testing.assert_array_equal(done.image, expected)
    assert finish(job("posterise", size=80)).image.shape == (60, 80, 3)


def test_transparency_is_kept() -> None:
    alpha = np.linspace(0, 1, 64, dtype=np.float32) * np.ones((48, 1), np.float32)
    clear = images.load(np.dstack([PIXELS, alpha]))
    assert clear.alpha is not None
    done = finish(job("kuwahara", clear))
    assert done.alpha is not None
    np.testing.assert_array_equal(done.alpha, clear.alpha)
    assert not np.shares_memory(done.alpha, clear.alpha)
    small = finish(job("kuwahara", clear, size=32)).alpha
    assert small is not None
    np.testing.assert_allclose(small, alpha[:24, :].reshape(24, 32, 2).mean(2), atol=1e-6)
    assert finish(job("kuwahara")).alpha is None


def test_the_chain_of_a_request() -> None:
    spec = FilterSpec.build(name="stipple + kuwahara:radius=3", image="p", set="radius=4", seed=9)
    assert unparse(chain_of(spec)) == "stipple:seed=9+kuwahara:radius=4.0"
    assert FilterSpec.build(name="a", image="p", set={"b": 1, "c": "on"}).set == ("b=1", "c=on")


def test_what_is_not_looked_at_is_told() -> None:
    def notes(run: Filtering) -> tuple[str, ...]:
        started = next(run.events())
        assert isinstance(started, Started)
        return started.notes

    assert notes(job("kuwahara")) == notes(job("reinhard+stipple", art=ART, seed=1)) == ()
    first, second = notes(job("kuwahara", art=ART, seed=1))
    assert "does not look at the reference" in first
    assert "the seed changes nothing" in second


def test_missing_reference() -> None:
    with pytest.raises(UsageError, match=r"reinhard needs a second picture .*--reference"):
        job("kuwahara+reinhard")


def test_too_large_is_refused_with_a_size_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 1e9)
    with pytest.raises(ResourceError, match=r"GB of memory.*--size \d+ fits"):
        job("kuwahara", size=16384)
    job("kuwahara", size=512)


def test_nothing_is_there_before_the_end() -> None:
    run = job("posterise")
    events = run.events()
    next(events)
    assert not run.begun
    with pytest.raises(UsageError, match="not begun"):
        run.finished(0.0)
    next(events)
    assert run.begun


def test_a_stop_saves_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = FilterSpec.build(name="posterise", image="<p>")
    run = jobs.run(spec, OutputSpec.build(output="out.png"), {"<p>": PIXELS})
    next(run)
    run.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options", [{"log": "x.csv"}, {"plot": "x.png"}, {"save_every": 2}, {"save_recipe": "x.toml"}]
)
def test_outputs_of_steps_are_refused(tmp_path, monkeypatch, options) -> None:
    monkeypatch.chdir(tmp_path)
    spec = FilterSpec.build(name="posterise", image="<p>")
    (name,) = options
    with pytest.raises(UsageError, match=f"filter takes no {name.replace('_', '-')}"):
        jobs.prepare(spec, OutputSpec.build(output="out.png", **options), {"<p>": PIXELS})
    assert list(tmp_path.iterdir()) == []


def test_a_bad_picture_comes_first() -> None:
    spec = FilterSpec.build(name="kuwahra", image="gone.png")
    with pytest.raises(InputError, match=r"gone\.png does not exist"):
        jobs.prepare(spec, OutputSpec.build())


def test_inputs_stay_as_they_were() -> None:
    before = PHOTO.rgb.copy()
    finish(job("cartoon"))
    np.testing.assert_array_equal(PHOTO.rgb, before)
    assert torch.equal(images.to_tensor(PHOTO), TENSOR)


def test_the_filter_comes_before_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    images.save(PIXELS, "photo.png")
    with pytest.raises(UsageError, match=r"photo\.png is a file, not a filter") as raised:
        list(
            jobs.run(
                FilterSpec.build(name="photo.png", image="kuwahara"),
                OutputSpec.build(output="o.png"),
            )
        )
    assert "impasto filter kuwahara photo.png" in str(raised.value.hint)
