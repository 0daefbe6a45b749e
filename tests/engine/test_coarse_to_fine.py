"""From one scale to the next: the picture, Adam's moments, what is saved."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.engine.coarse_to_fine import CoarseToFine
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import Frame, PlainPixels
from impasto.engine.scales import Scale
from impasto.errors import UsageError
from impasto.events import ScaleStarted, Step
from impasto.images.resize import resize, resize_periodic

SCALES = [Scale(4, 6, 3), Scale(8, 12, 2)]


def passage(optimiser: Optimiser | None = None) -> CoarseToFine:
    """Pictures that are drawn towards 0.3."""

    def make(index: int, picture: Tensor | None) -> Optimisation:
        scale = SCALES[index]
        start = torch.full((1, 3, scale.height, scale.width), 0.9)
        start = start if picture is None else picture
        how = optimiser or Optimiser("adam", lr=0.05)
        far = lambda image: {"far": (image - 0.3).square().mean()}  # noqa: E731
        return Optimisation(PlainPixels(start), far, how, scale.steps)

    def resample(canvas: Tensor, index: int) -> Tensor:
        return resize(canvas, (SCALES[index].height, SCALES[index].width))

    return CoarseToFine(SCALES, make, resample)


def run(of: CoarseToFine, steps: int = 99) -> list[Any]:
    taken: list[Any] = []
    events = of.events(lambda: of.run.image())
    for event in events:
        taken.append(event)
        if sum(isinstance(e, Step) for e in taken) == steps:
            events.close()
    return taken


def test_events() -> None:
    found = run(passage())
    kinds = [type(e) for e in found]
    assert kinds == [ScaleStarted, Step, Step, Step, ScaleStarted, Step, Step]
    assert (found[4].index, found[4].count, found[4].height, found[4].steps) == (1, 2, 8, 2)
    assert [e.scale for e in found if isinstance(e, Step)] == [0, 0, 0, 1, 1]


def test_a_scale_begins_with_the_picture_of_the_one_before() -> None:
    one = passage()
    run(one, 3)
    before = one.run.image()
    torch.testing.assert_close(one.begin(1).image(), resize(before, (8, 12)))


def test_adams_moments_go_along() -> None:
    one = passage()
    run(one, 3)
    old = one.run.state()["optimiser"]["state"][0]
    new = one.begin(1).state()["optimiser"]["state"][0]
    assert float(new["step"]) == 3
    ratio = 24 / 96  # the gradient of a mean falls with the number of pixels
    torch.testing.assert_close(new["exp_avg"], ratio * resize(old["exp_avg"], (8, 12)))
    assert float(new["exp_avg_sq"].mean()) == pytest.approx(
        ratio**2 * float(old["exp_avg_sq"].mean()), rel=1e-3
    )


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_resumed_runs_end_alike(name: Any, stop: int) -> None:
    how = Optimiser(name, lr=0.05 if name == "adam" else 1.0)
    whole, half, again = (passage(how) for _ in range(3))
    run(whole)
    run(half, stop)
    file = io.BytesIO()
    torch.save(half.state(), file)
    file.seek(0)
    again.load(torch.load(file, weights_only=True))
    assert len([e for e in run(again) if isinstance(e, Step)]) == 5 - stop
    assert torch.equal(again.run.image(), whole.run.image())


def test_nothing_before_the_beginning() -> None:
    assert passage().begun is False
    with pytest.raises(UsageError, match="has not begun"):
        _ = passage().run


@pytest.mark.parametrize("size", [(10, 12), (7, 5), (23, 40)])
def test_periodic_resampling_is_that_of_an_endless_plane(
    size: tuple[int, int], generator: torch.Generator
) -> None:
    tile = torch.rand(1, 3, 10, 12, generator=generator)
    plane = resize(tile.repeat(1, 1, 5, 5), (5 * size[0], 5 * size[1]))
    middle = plane[..., 2 * size[0] : 3 * size[0], 2 * size[1] : 3 * size[1]]
    torch.testing.assert_close(resize_periodic(tile, size), middle, atol=1e-5, rtol=0)


def test_periodic_frames(generator: torch.Generator) -> None:
    tile = torch.rand(1, 3, 5, 7, generator=generator)
    frame = Frame(2, periodic=True)
    canvas = frame.pad(tile)
    assert torch.equal(canvas, tile.repeat(1, 1, 3, 3)[..., 3:12, 5:16])
    assert torch.equal(frame.crop(canvas), tile)
    again = frame.resized(canvas, (10, 14))
    torch.testing.assert_close(frame.crop(again), resize_periodic(tile, (10, 14)))
    mirrored = Frame(2).resized(Frame(2).pad(tile), (10, 14))
    torch.testing.assert_close(Frame(2).crop(mirrored), resize(tile, (10, 14)))
