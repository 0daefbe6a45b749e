"""The main job on a small network, and once on the real one."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from impasto import images, samples
from impasto.engine import memory
from impasto.engine.checkpoint import load_checkpoint, save_checkpoint
from impasto.errors import InputError, ResourceError, UsageError
from impasto.events import Finished, Started, Step
from impasto.images.colour import rgb_to_lab
from impasto.images.resize import resize
from impasto.images.tensors import to_tensor
from impasto.recipes import RECIPES, Schedule
from impasto.specs import StylizeSpec
from impasto.styling import tiling
from impasto.styling.inputs import Inputs
from impasto.styling.job import scales_of
from impasto.styling.plan import resolve
from impasto.styling.run import Stylization
from impasto.testing import thin_vgg

SMALL = thin_vgg(pooling="avg")
PHOTO = images.load(samples.photo("harbour", (96, 128)))
ARTS = tuple(images.load(samples.painting(n, (80, 100))) for n in ("nocturne", "wheat"))
QUICK = Schedule(ratio=2.0, smallest=24, steps={"good": (4, 5)})


def job(photo: images.Picture = PHOTO, arts: int = 1, **options: Any) -> Stylization:
    options = {"size": 48} | options
    spec = StylizeSpec.build(content="p", style=("a", "b")[:arts], **options)
    chosen = resolve(spec).model_copy(update={"schedule": QUICK, "quality": "good"})
    return Stylization(spec, chosen, Inputs(photo, ARTS[:arts]), backbone=SMALL)


def finish(run: Stylization) -> Finished:
    *_, last = run.events()
    assert isinstance(last, Finished)
    return last


def losses(run: Stylization) -> list[float]:
    return [event.loss for event in run.events() if isinstance(event, Step)]


def test_events_in_order() -> None:
    run = job()
    kinds = [type(e).__name__ for e in run.events()]
    assert kinds == ["Started", "ScaleStarted", *["Step"] * 5, "ScaleStarted", *["Step"] * 4,
                     "Finished"]  # fmt: skip
    started = next(iter(job().events()))
    assert isinstance(started, Started)
    assert started.scales == ((18, 24, 5), (36, 48, 4))


def test_result_is_a_picture_of_the_size_and_unlike_the_inputs() -> None:
    done = finish(job())
    assert done.image.shape == (36, 48, 3)
    assert done.image.dtype == np.float32
    assert 0 <= done.image.min() < done.image.max() <= 1
    from impasto.images.resize import resize
    from impasto.images.tensors import from_tensor, to_tensor

    for other in (PHOTO, ARTS[0]):
        same = from_tensor(resize(to_tensor(other), (36, 48)))
        assert np.abs(same - done.image).mean() > 0.01


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_loss_falls_within_each_scale(optimizer: str) -> None:
    found = losses(job(optimizer=optimizer, learning_rate=0.02 if optimizer == "adam" else None))
    assert found[4] < found[0]
    assert found[-1] < found[5]


def test_equal_seeds_give_equal_pictures_and_others_do_not() -> None:
    one, two, other = (finish(job(init="noise", seed=s)).image for s in (3, 3, 4))
    assert one.tobytes() == two.tobytes()
    assert one.tobytes() != other.tobytes()


def test_start_pictures() -> None:
    def first(init: str) -> np.ndarray:
        run = job(init=init)
        run._passage.begin(0)
        return run.image().numpy()

    content, noise, half = first("content"), first("noise"), first("mix:0.25")
    np.testing.assert_allclose(half, 0.75 * content + 0.25 * noise, atol=1e-6)
    assert np.abs(noise.mean() - 0.5) < 0.05
    assert noise.std() > 0.25


@pytest.mark.parametrize("margin", [0, 3])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_finer_scale_has_the_detail_of_the_start(share: float, margin: int) -> None:
    """What the coarse scale could not hold of the photo, on top of what was made there."""

    def begun(run: Stylization) -> Stylization:
        changes = {"schedule": QUICK.model_copy(update={"detail": share}), "margin": margin}
        run = Stylization(
            run.spec, run.recipe.model_copy(update=changes), run.inputs, backbone=SMALL
        )
        for _ in run._passage.begin(0).steps():
            pass
        return run

    small, size = (18, 24), (36, 48)
    made = {init: begun(job(init=init)) for init in ("content", "instant", "noise")}
    spec = StylizeSpec.build(content="p", style=("a",), size=48, init="sketch.png")
    given = Stylization(spec, resolve(spec), Inputs(PHOTO, ARTS[:1], ARTS[1]), backbone=SMALL)
    made["given"] = begun(given)
    photo, sketch = to_tensor(PHOTO), to_tensor(ARTS[1])
    first = {"content": photo, "instant": photo, "given": sketch}
    for name, run in made.items():
        expected = resize(run.image().clone(), size)
        if name in first:
            whole, reduced = (resize(first[name], n).clamp(0, 1) for n in (size, small))
            expected = expected + share * (whole - resize(reduced, size))
        run._passage.begin(1)
        torch.testing.assert_close(run.image(), expected.clamp(0, 1), atol=1e-6, rtol=0)


def test_start_from_a_given_picture() -> None:
    spec = StylizeSpec.build(content="p", style=("a",), size=48, init="sketch.png")
    run = Stylization(spec, resolve(spec), Inputs(PHOTO, ARTS[:1], ARTS[1]), backbone=SMALL)
    run._passage.begin(0)
    expected = resize(to_tensor(ARTS[1]), (run.scales[0].height, run.scales[0].width))
    torch.testing.assert_close(run.image(), expected.clamp(0, 1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("stop", [2, 5, 7])
def test_resume_equals_the_uninterrupted_run(optimizer: str, stop: int) -> None:
    whole = finish(job(optimizer=optimizer)).image
    half = job(optimizer=optimizer)
    events = half.events()
    for _ in range(stop):
        while not isinstance(next(events), Step):
            pass
    events.close()
    file = io.BytesIO()
    torch.save(half.state(), file)
    file.seek(0)
    again = job(optimizer=optimizer)
    again.load(torch.load(file, weights_only=True))
    assert finish(again).image.tobytes() == whole.tobytes()


def test_blend_of_one_and_nothing_is_the_first_painting_alone() -> None:
    both = finish(job(arts=2, style_blend=(1.0, 0.0))).image
    alone = finish(job(arts=1)).image
    even = finish(job(arts=2)).image
    np.testing.assert_allclose(both, alone, atol=2e-3)
    assert np.abs(even - alone).mean() > 5e-3


def test_content_colours_are_the_photos() -> None:
    def chroma(picture: torch.Tensor) -> torch.Tensor:
        return rgb_to_lab(picture.double())[:, 1:]

    run = job(colors="content")
    finish(run)
    from impasto.images.resize import resize

    photo = resize(run._photo, (36, 48)).clamp(0, 1)
    kept = (chroma(run.image()) - chroma(photo)).abs().mean()
    plain = job()
    finish(plain)
    assert kept < 0.5 * (chroma(plain.image()) - chroma(photo)).abs().mean()
    assert kept < 4


def test_matched_painting_has_the_photos_mean_colour() -> None:
    run = job(colors="match")
    goal, found = run._photo.mean((0, 2, 3)), run._paintings.images[0].mean((0, 2, 3))
    torch.testing.assert_close(found, goal, atol=0.02, rtol=0)


def test_alpha_is_put_back() -> None:
    alpha = np.zeros((96, 128), np.float32)
    alpha[:, 64:] = 1
    clear = images.Picture(PHOTO.rgb, alpha, PHOTO.source)
    found = finish(job(photo=clear)).alpha
    assert found is not None
    assert found.shape == (36, 48)
    assert found[:, :20].max() == 0
    assert found[:, 28:].min() == 1


def test_style_scale_changes_the_result() -> None:
    one, two = finish(job()).image, finish(job(style_scale=2.0)).image
    assert np.abs(one - two).max() > 0.01


def test_weight_zero_leaves_the_other_reconstruction() -> None:
    content_only = job(style_weight=0.0, tv_weight=0.0, init="noise")
    terms = [e.terms for e in content_only.events() if isinstance(e, Step)]
    assert set(terms[-1]) == {"content"}
    style_only = job(content_weight=0.0, tv_weight=0.0)
    terms = [e.terms for e in style_only.events() if isinstance(e, Step)]
    assert set(terms[-1]) == {"style", "palette"}


def test_reconstructions_of_one_layer_see_that_layer_alone() -> None:
    """As in the papers' figures: the other picture has no influence, and deep layers keep less."""
    options: dict[str, Any] = {"recipe": "gatys2016", "init": "noise", "tv_weight": 0.0}
    one, other = (
        finish(job(content_layers=("relu2_1",), style_weight=0.0, arts=n, **options)).image
        for n in (1, 2)
    )
    assert one.tobytes() == other.tobytes()
    style = {"style_layers": ("relu1_1", "relu2_1"), "content_weight": 0.0}
    same = job(**style, **options)
    turned = images.Picture(PHOTO.rgb[:, ::-1].copy(), None, PHOTO.source)
    assert finish(same).image.tobytes() == finish(job(turned, **style, **options)).image.tobytes()
    assert [t.layers for t in same.recipe.terms if t.weight] == [("relu1_1", "relu2_1")]


def test_nothing_to_resemble_is_refused() -> None:
    with pytest.raises(UsageError, match="both 0"):
        job(content_weight=0.0, style_weight=0.0)


def test_too_small_is_refused_with_the_layers_name() -> None:
    thin = images.load(np.zeros((4, 400, 3), np.float32))
    with pytest.raises(InputError, match="too small for relu5_1"):
        job(photo=thin, size=400)


def test_tiles_change_nothing() -> None:
    whole, tiled = job(size=160), job(size=160, tile="64")
    assert tiled._tile is not None and tiled._tile.size == 64
    np.testing.assert_allclose(losses(tiled), losses(whole), rtol=1e-4)
    # Rounding grows from step to step, most where the picture matters least.
    difference = np.abs(finish(tiled).image - finish(whole).image)
    assert difference.mean() < 1e-3
    assert difference.max() < 0.1


def test_tiles_with_all_in_files_stop_and_resume_exactly(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tiling, "LARGE", 1)
    monkeypatch.setattr("impasto.engine.checkpoint.LARGE", 64)
    whole, stopped, resumed = (job(size=160, tile="64") for _ in range(3))
    assert whole._tile is not None and whole._tile.store.least == 1
    path, events = tmp_path / "x.checkpoint", iter(stopped.events())
    for event in events:
        if isinstance(event, Step) and event.scale == len(stopped.scales) - 1 and event.index == 2:
            save_checkpoint(path, stopped.state())
            break
    resumed.load(load_checkpoint(path))
    assert np.array_equal(finish(resumed).image, finish(whole).image)


@pytest.mark.parametrize("recipe", ["strotss2019", "swd", "risser2017"])
def test_any_recipe_runs_in_tiles(recipe: str) -> None:
    whole, tiled = (job(size=128, recipe=recipe, tile=tile) for tile in ("off", "64"))
    assert tiled._tile is not None
    np.testing.assert_allclose(losses(tiled)[:2], losses(whole)[:2], rtol=1e-3)


def test_tiles_are_chosen_where_the_whole_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert job(size=160)._tile is None
    size = (2000, 2700)
    optimiser = job()._optimiser_at(0)
    layers = ["relu1_1", "relu4_2", "relu5_1"]
    recipe = job().recipe
    need = memory.estimate(SMALL, layers, optimiser, size[0] * size[1])
    large, tiled = (
        memory.estimate_tiled(SMALL, layers, optimiser, size, tile).memory for tile in (512, 256)
    )
    assert tiled < large < need
    cpu = torch.device("cpu")
    for least, most, edge in ((large, need, 512), (tiled, large, 256)):
        free = (0.9 * least + 0.1 * most) / 0.9 - memory.resident()
        monkeypatch.setattr(memory, "available", lambda device, free=free: free)
        tiles = tiling.choose("auto", recipe, SMALL, layers, size, cpu)
        assert isinstance(tiles, tiling.Tiles)
        assert (tiles.size, tiles.thrifty) == (edge, edge < 512)
    with pytest.raises(ResourceError, match="memory") as refused:
        tiling.choose("off", recipe, SMALL, layers, size, cpu)
    assert re.fullmatch(r"--tile auto fits; --size \d+ fits", refused.value.hint)


def test_what_is_too_large_for_tiles_is_refused_with_what_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe, layers, cpu = job().recipe, ["relu1_1", "relu4_2"], torch.device("cpu")
    monkeypatch.setattr(memory, "available", lambda device: 1.5e9 - memory.resident())
    with pytest.raises(ResourceError, match="memory") as refused:
        tiling.choose("auto", recipe, SMALL, layers, (40_000, 30_000), cpu)
    fits = int(refused.value.hint.split()[1])
    assert tiling.choose("auto", recipe, SMALL, layers, (fits, fits * 3 // 4), cpu)
    with pytest.raises(ResourceError):
        tiling.choose("auto", recipe, SMALL, layers, (fits + 160, (fits + 160) * 3 // 4), cpu)


def test_a_disk_too_small_is_noticed_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e6))
    with pytest.raises(ResourceError, match="scratch files"):
        job(size=1200, tile="256")


def test_what_tile_may_be() -> None:
    for value in ("many", "-3", "16"):
        with pytest.raises(UsageError, match="tile must be auto, off, recompute or a number"):
            job(tile=value)


def test_too_large_is_refused_with_a_size_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 3e9)
    with pytest.raises(ResourceError, match=r"--size \d+ fits"):
        job(size=16000)


def test_unknown_names_are_refused() -> None:
    for options, word in (
        ({"recipe": "impast"}, "impasto"),
        ({"style_layers": ("relu9_1",)}, "relu"),
        ({"device": "gpu"}, "cuda"),
    ):
        with pytest.raises(UsageError, match=word):
            job(**options)


def test_inputs_stay_as_they_were() -> None:
    before = PHOTO.rgb.copy(), ARTS[0].rgb.copy()
    finish(job())
    assert np.array_equal(PHOTO.rgb, before[0])
    assert np.array_equal(ARTS[0].rgb, before[1])


@pytest.mark.parametrize("name", RECIPES.names())
def test_every_recipe_takes_three_steps(name: str) -> None:
    spec = StylizeSpec.build(content="p", style=("a",), recipe=name, size=64)
    recipe = resolve(spec)
    schedule = Schedule(ratio=1.0, smallest=16, steps={recipe.quality: (3,)})
    recipe = recipe.model_copy(update={"schedule": schedule, "margin": 0})
    run = Stylization(spec, recipe, Inputs(PHOTO, ARTS[:1]), backbone=SMALL)
    found = losses(run)
    assert len(found) == 3
    assert np.isfinite(found).all()
    assert np.isfinite(run.image().numpy()).all()


def test_real_weights_paint() -> None:
    """The embedded network, end to end, at a size that takes seconds."""
    spec = StylizeSpec.build(content="p", style=("a",), size=96)
    run = Stylization(spec, resolve(spec), Inputs(PHOTO, ARTS[:1]))
    found = losses(run)
    assert found[-1] < 0.3 * found[0]
    blue = run.image()[0, 2].mean() - run.image()[0, 0].mean()
    assert blue > 0.1  # the nocturne is blue, the harbour is not


@pytest.mark.parametrize(
    ("asked", "steps"),
    [
        ({}, [40, 14, 4]),
        ({"scales": 2}, [14, 4]),
        ({"scales": 1}, [40]),  # all large shapes are still to be made
        ({"scales": 1, "init": "small.png"}, [4]),
        ({"scales": 1, "init": "small.png", "iterations": 9}, [9]),
        ({"scales": 9, "init": "small.png"}, [40, 14, 4]),
    ],
)
def test_fewer_scales_are_the_largest(asked: dict[str, Any], steps: list[int]) -> None:
    spec = StylizeSpec.build(content="p", style=("a",), size=480, quality="draft", **asked)
    plan = resolve(spec)
    found = scales_of(plan, (360, 480), SMALL)
    assert [s.steps for s in found] == steps
    assert (found[-1].height, found[-1].width) == (360, 480)
