"""Filters before and after a stylization."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from impasto import images, jobs
from impasto.errors import UnknownName, UsageError
from impasto.events import Step
from impasto.filters import apply, parse
from impasto.images.resize import resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.recipes import Schedule
from impasto.specs import StylizeSpec
from impasto.styling.run import Stylization

from .control_cases import ARTS, PHOTO, finish
from .control_cases import job as control_job

SIZE = (36, 48)
SHORT = Schedule(ratio=2.0, smallest=24, steps={"good": (1, 2)})


def job(*args: Any, **options: Any) -> Stylization:
    return control_job(*args, schedule=SHORT, **options)


def test_after_finishes_the_last_picture_only() -> None:
    plain, run = finish(job()), job(after="posterise:colours=3")
    *events, last = run.events()
    steps = [event for event in events if isinstance(event, Step)]
    expected = apply(parse("posterise:colours=3"), torch.tensor(plain.image).permute(2, 0, 1)[None])
    np.testing.assert_array_equal(last.image, from_tensor(expected))
    assert len(np.unique(last.image.reshape(-1, 3), axis=0)) <= 3
    np.testing.assert_array_equal(from_tensor(steps[-1].image()), plain.image)


def test_a_picture_so_far_is_finished_too() -> None:
    run = job(after="posterise:colours=3")
    events = run.events()
    next(event for event in events if isinstance(event, Step))
    partial = run.finished(0.0, complete=False)
    assert len(np.unique(partial.image.reshape(-1, 3), axis=0)) <= 3


def test_before_makes_the_photo_at_the_size_of_the_result() -> None:
    run = job(before="kuwahara:radius=20+posterise")
    small = resize(to_tensor(PHOTO), SIZE).clamp(0, 1)
    prepared = apply(parse("kuwahara:radius=20+posterise"), small)
    assert torch.equal(run._photo, prepared)
    by_hand = finish(job(photo=images.load(from_tensor(prepared))))
    np.testing.assert_array_equal(finish(run).image, by_hand.image)
    strengthless = finish(job(before="kuwahara:radius=20+posterise", alpha=0))
    np.testing.assert_allclose(strengthless.image, from_tensor(prepared), atol=1e-6)


def test_the_reference_is_the_first_painting() -> None:
    run = job(ARTS, before="reinhard", after="histogram")
    small = resize(to_tensor(PHOTO), SIZE).clamp(0, 1)
    assert torch.equal(run._photo, apply(parse("reinhard"), small, to_tensor(ARTS[0])))
    plain = finish(job(ARTS, before="reinhard")).image
    tensor = torch.tensor(plain).permute(2, 0, 1)[None]
    expected = apply(parse("histogram"), tensor, to_tensor(ARTS[0]))
    np.testing.assert_array_equal(finish(run).image, from_tensor(expected))


def test_the_record_has_every_number_and_the_fingerprint_differs() -> None:
    plain, run = job(), job(before="kuwahara", after="sketch:seed=2")
    assert "before" not in plain.settings()
    assert "after" not in plain.settings()
    settings = json.loads(json.dumps(run.settings()))
    assert settings["before"][0]["radius"] == 7
    assert settings["after"][0]["filter"] == "sketch"
    assert settings["after"][0]["seed"] == 2
    record = jobs.metadata(run, run.spec)
    assert record["spec"]["before"] == "kuwahara"
    others = [plain, run, job(before="kuwahara", after="sketch"), job(after="sketch:seed=2")]
    assert len({jobs._fingerprint(other, other.spec) for other in others}) == 4


@pytest.mark.parametrize("field", ["before", "after"])
def test_mistakes(field: str) -> None:
    with pytest.raises(UnknownName, match="did you mean kuwahara"):
        job(**{field: "kuwahra"})
    with pytest.raises(UsageError, match="allowed: 1 to 30"):
        job(**{field: "kuwahara:radius=99"})
    assert StylizeSpec.build(content="p", style=("a",)).before is None
