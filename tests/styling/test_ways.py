"""Jobs in another precision, and with activation checkpointing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from impasto import images, samples
from impasto.engine import memory
from impasto.engine.recompute import RecomputedObjective
from impasto.errors import ResourceError, UsageError
from impasto.events import Finished, Step
from impasto.images import FloatArray
from impasto.recipes import Schedule
from impasto.specs import DreamSpec, StylizeSpec, TextureSpec, VisualizeSpec
from impasto.styling import fast, tiling
from impasto.styling.exemplar import Exemplar
from impasto.styling.inputs import Inputs
from impasto.styling.plan import resolve, resolve_texture
from impasto.styling.run import Stylization
from impasto.styling.texture import Texture
from impasto.testing import thin_vgg

NET, ROUND = thin_vgg(pooling="avg"), thin_vgg(pooling="avg", padding="circular")
PHOTO = images.load(samples.photo("harbour", (64, 64)))
PAINTING = images.load(samples.painting("nocturne", (64, 64)))
QUICK = Schedule(ratio=2.0, smallest=24, steps={"good": (4, 5)})
CPU = torch.device("cpu")


def job(**options: Any) -> Stylization:
    spec = StylizeSpec.build(content="p", style=("a",), size=48, **options)
    recipe = resolve(spec).model_copy(update={"schedule": QUICK, "quality": "good"})
    return Stylization(spec, recipe, Inputs(PHOTO, (PAINTING,)), backbone=NET)


def run(work: Stylization | Texture) -> tuple[list[float], FloatArray]:
    """Losses, and the picture."""
    found = list(work.events())
    assert isinstance(found[-1], Finished)
    return [e.loss for e in found if isinstance(e, Step)], found[-1].image


def test_a_picture_in_bfloat16_is_like_that_in_float32() -> None:
    (losses, picture), (near, other) = run(job()), run(job(precision="bfloat16"))
    assert losses != near
    np.testing.assert_allclose(near[0], losses[0], rtol=2e-2)
    np.testing.assert_allclose(near[-1], losses[-1], rtol=0.15)
    assert np.abs(picture - other).mean() < 0.02
    assert picture.dtype == other.dtype == np.float32
    assert {p.dtype for p in NET.parameters()} == {torch.float32}


def test_the_record_says_so() -> None:
    assert job(precision="bfloat16").spec.model_dump(exclude_defaults=True)["precision"]
    assert "precision" not in job().spec.model_dump(exclude_defaults=True)


def test_a_picture_with_activation_checkpointing_is_that_without() -> None:
    work = job(tile="recompute")
    assert isinstance(work._passage.begin(0).objective, RecomputedObjective)
    (losses, picture), (same, other) = run(job(tile="off")), run(job(tile="recompute"))
    np.testing.assert_allclose(same[:4], losses[:4], rtol=1e-4)
    assert np.abs(picture - other).mean() < 2e-3


def test_a_seamless_texture_with_activation_checkpointing() -> None:
    """Circular padding cannot be seen in tiles."""
    spec = TextureSpec.build(exemplar="e", size="48", seamless=True, tile="recompute")
    recipe = resolve_texture(spec).model_copy(update={"schedule": QUICK, "quality": "good"})
    losses, picture = run(Texture(spec, recipe, Exemplar(PAINTING, (), None), backbone=ROUND))
    assert losses[-1] < losses[5] and picture.shape == (48, 48, 3)


def test_float16_is_refused_on_cpus() -> None:
    with pytest.raises(UsageError, match="float16 is not for CPUs") as refused:
        job(precision="float16", device="cpu")
    assert refused.value.exit_code == 2
    with pytest.raises(UsageError, match="precision"):
        job(precision="float8")
    for kind in (DreamSpec, VisualizeSpec):
        assert kind.model_fields["precision"].default == "float32"


@pytest.mark.parametrize("options", [{"precision": "bfloat16"}, {"tile": "recompute"}])
@pytest.mark.parametrize("recipe", ["instant", "fast:starry-night"])
def test_one_pass_has_neither(options: dict[str, str], recipe: str) -> None:
    spec = StylizeSpec.build(content="p", style=("a",), recipe=recipe, **options)
    with pytest.raises(UsageError, match=f"takes no {next(iter(options))}"):
        fast.trained(spec)
        fast.resolve(spec)


def test_checkpointing_is_chosen_where_there_are_no_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, layers, size = job().recipe, ["relu1_1", "relu4_2"], (2000, 2700)
    needs = tiling.Needs(recipe, ROUND, layers, size)
    whole, less = needs.whole(), needs.recomputed()
    assert less < whole
    free = (0.5 * whole + 0.5 * less) / memory.SHARE - memory.resident()
    monkeypatch.setattr(memory, "available", lambda device: free)
    assert tiling.choose("auto", recipe, ROUND, layers, size, CPU) == "recompute"
    assert tiling.choose("recompute", recipe, ROUND, layers, size, CPU) == "recompute"
    with pytest.raises(ResourceError, match="memory") as refused:
        tiling.choose("off", recipe, ROUND, layers, size, CPU)
    assert refused.value.hint.startswith("--tile recompute fits; --size")
    monkeypatch.setattr(memory, "available", lambda device: 0.5 * less - memory.resident())
    with pytest.raises(ResourceError, match="memory") as refused:
        tiling.choose("recompute", recipe, ROUND, layers, size, CPU)
    assert refused.value.hint.startswith("--size")
