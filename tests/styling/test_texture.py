"""Textures on a small network: sizes, seams, guides, colours, stop and resume."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

import impasto
from impasto import images, jobs, samples
from impasto.errors import InputError, UsageError
from impasto.events import Finished, Started, Step
from impasto.images import Picture
from impasto.recipes import RECIPES, Schedule
from impasto.specs import OutputSpec, TextureSpec
from impasto.styling.exemplar import Exemplar
from impasto.styling.plan import resolve_texture
from impasto.styling.quilt import Quilt
from impasto.styling.seams import seam_strength, steps
from impasto.styling.texture import Texture
from impasto.testing import thin_vgg

PLAIN, ROUND = thin_vgg(pooling="avg"), thin_vgg(pooling="avg", padding="circular")
PAINTING = images.load(samples.painting("wheat", (80, 100)))
QUICK = Schedule(ratio=2.0, smallest=32, steps={"good": (4, 5)})


def job(
    picture: Picture = PAINTING,
    labels: tuple[Picture, ...] = (),
    schedule: Schedule | None = QUICK,
    start: Picture | None = None,
    **options: Any,
) -> Texture:
    guide = {"guide": ("g1", "g2")} if labels else {"size": "64"}
    spec = TextureSpec.build(exemplar="e", **guide | options)
    recipe = resolve_texture(spec)
    if schedule is not None:
        recipe = recipe.model_copy(update={"schedule": schedule, "quality": "good"})
    backbone = ROUND if spec.seamless else PLAIN
    return Texture(spec, recipe, Exemplar(picture, labels, start), backbone=backbone)


def finish(run: Any) -> Finished:
    *_, last = run.events()
    assert isinstance(last, Finished)
    return last


def losses(run: Texture) -> list[float]:
    return [event.loss for event in run.events() if isinstance(event, Step)]


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1)[None].copy())


@pytest.mark.parametrize("seamless", [False, True])
@pytest.mark.parametrize("size", ["48x64", "150x40", "33", "112x100"])
def test_any_size(size: str, seamless: bool) -> None:
    done = finish(job(size=size, seamless=seamless))
    width, _, height = size.partition("x")
    assert done.image.shape == (int(height or width), int(width), 3)
    assert 0 <= done.image.min() < done.image.max() <= 1
    assert (done.report == {}) is not seamless


def test_as_large_as_the_exemplar_unless_told_otherwise() -> None:
    assert finish(job(size=None)).image.shape == (80, 100, 3)
    assert finish(job(size=None, exemplar_size=50)).image.shape == (40, 50, 3)
    wide = images.load(np.zeros((300, 1200, 3), np.float32))
    assert job(picture=wide, size=None).size == (128, 512)


def test_the_loss_falls_within_each_scale_and_events_come_in_order() -> None:
    run = job()
    started = next(iter(job().events()))
    assert isinstance(started, Started)
    assert (started.verb, started.scales) == ("texture", ((32, 32, 5), (64, 64, 4)))
    found = losses(run)
    assert found[4] < found[0]
    assert found[-1] < found[5]


def test_there_is_no_content() -> None:
    terms = [e.terms for e in job().events() if isinstance(e, Step)]
    assert set(terms[-1]) == {"style", "shapes", "palette"}
    other = job(recipe="impasto")  # a recipe for stylize
    assert set(next(e for e in other.events() if isinstance(e, Step)).terms) == {
        *("style", "palette", "tv")
    }


def test_the_exemplar_keeps_its_scale_whatever_the_size() -> None:
    """A larger result does not enlarge what is in it: the targets are those of the exemplar."""
    small, large = job(size="64"), job(size="128")
    for run in (small, large):
        run._passage.begin(len(run.scales) - 1)
    goals = [run._passage.run.objective.goals[0].targets["relu1_1"] for run in (small, large)]
    for one, other in zip(*goals, strict=True):
        torch.testing.assert_close(one, other)
    half = job(size="64", exemplar_size=50)
    half._passage.begin(len(half.scales) - 1)
    other = half._passage.run.objective.goals[0].targets["relu1_1"]
    assert not torch.allclose(goals[0][0], other[0])


def test_no_scale_on_which_the_exemplar_is_too_small() -> None:
    run = job(size="256")
    assert [max(s.height, s.width) for s in run.scales] == [128, 256]
    tiny = images.load(samples.painting("wheat", (80, 100))[:20, :30])
    assert len(job(picture=tiny, size="256").scales) == 1
    assert finish(job(picture=tiny, size="64")).image.shape == (64, 64, 3)


def test_seeds() -> None:
    one, two, other = (finish(job(seed=s)).image for s in (3, 3, 4))
    assert one.tobytes() == two.tobytes() != other.tobytes()


def test_it_starts_from_pixels_of_the_exemplar() -> None:
    run = job(init="pixels")
    run._passage.begin(0)
    known = {tuple(p) for p in run._at((32, 32))[0].flatten(1).T.tolist()}
    start = run._passage.run.image()[0].flatten(1).T.tolist()
    assert {tuple(p) for p in start} <= known
    assert len({tuple(p) for p in start}) > 100


def test_it_starts_from_a_quilt_of_the_exemplar() -> None:
    """Seamless where the result shall be."""
    found = {}
    for seamless in (True, False):
        run = job(size="64", seamless=seamless)
        run._passage.begin(0)
        found[seamless] = seam_strength(run.image())
        distance = torch.cdist(run.image()[0].flatten(1).T, run._at((32, 32))[0].flatten(1).T)
        assert (distance.amin(1) < 1e-3).float().mean() > 0.6
    assert found[True] < found[False]


def test_it_starts_from_a_given_picture() -> None:
    given = images.load(samples.painting("lilies", (64, 64)))
    run = job(start=given, init="sketch.png", schedule=Schedule(ratio=1.0, steps={"good": (2,)}))
    run._passage.begin(0)
    torch.testing.assert_close(run.image(), tensor(given.rgb), atol=1e-5, rtol=0)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("seamless", [False, True])
@pytest.mark.parametrize("stop", [2, 5, 7])
def test_resume_equals_the_uninterrupted_run(optimizer: str, seamless: bool, stop: int) -> None:
    options = {"optimizer": optimizer, "seamless": seamless}
    whole = finish(job(**options)).image
    half, again = job(**options), job(**options)
    events = half.events()
    for _ in range(stop):
        while not isinstance(next(events), Step):
            pass
    events.close()
    file = io.BytesIO()
    torch.save(half.state(), file)
    file.seek(0)
    again.load(torch.load(file, weights_only=True))
    assert finish(again).image.tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", RECIPES.names())
def test_every_recipe_makes_textures(name: str) -> None:
    for seamless in (False, True):
        spec = TextureSpec.build(exemplar="e", size="48", recipe=name, seamless=seamless)
        recipe = resolve_texture(spec)
        schedule = Schedule(ratio=1.0, smallest=16, steps={recipe.quality: (2,)})
        recipe = recipe.model_copy(update={"schedule": schedule})
        net = ROUND if seamless else PLAIN
        run = Texture(spec, recipe, Exemplar(PAINTING), backbone=net)
        found = losses(run)
        assert len(found) == 2
        assert np.isfinite(found).all()
        assert finish(run).image.shape == (48, 48, 3)


# Seams


def test_what_seams_are() -> None:
    ramp = torch.linspace(0, 1, 11).expand(1, 3, 8, 11)
    assert seam_strength(ramp) == pytest.approx(10)
    assert seam_strength(ramp.mT) == pytest.approx(10)
    assert seam_strength(torch.rand(1, 3, 200, 200)) == pytest.approx(1, abs=0.1)
    assert seam_strength(torch.zeros(1, 3, 4, 4)) == 0


def tiled_steps(image: np.ndarray, axis: int) -> tuple[float, np.ndarray]:
    """Steps across the inner seam of 2 x 2 copies, and those inside, from the picture itself."""
    plane = np.tile(image.astype(np.float64), (2, 2, 1))
    size = image.shape[axis]
    step = np.abs(np.diff(plane, axis=axis)).mean(axis=(1 - axis, 2))
    return float(step[size - 1]), np.delete(step, size - 1)


@pytest.mark.parametrize("size", ["96", "90x100"])
def test_seams_of_2_x_2_tiles_are_no_stronger_than_the_interior(size: str) -> None:
    """The exemplar's edges do not meet; those of the tile do, also at sizes off the grid."""
    schedule = Schedule(ratio=2.0, smallest=32, steps={"good": (25, 40)})
    hatching = images.load(samples.painting("hatching", (128, 128))[16:112, 16:112])
    options: dict[str, Any] = {"picture": hatching, "schedule": schedule, "size": size}
    done = finish(job(seamless=True, **options))
    for axis in (0, 1):
        seam, inside = tiled_steps(done.image, axis)
        assert seam <= np.quantile(inside, 0.99)
        assert seam <= 1.25 * inside.mean()
    assert done.report["seam"] <= 1.25
    assert max(tiled_steps(finish(job(**options)).image, axis)[0] for axis in (0, 1)) > 1.5 * (
        inside.mean()
    )


def test_the_objective_knows_no_edge() -> None:
    """Rolling the picture by the coarsest stride changes no term: there is no phase at the seam."""
    for recipe in ("impasto-texture", "impasto-texture-rows", "mrf-texture"):
        run = job(seamless=True, recipe=recipe, tv_weight=5.0)
        run._passage.begin(0)
        objective, image = run._passage.run.objective, run._passage.run.image()
        for shift in ((16, 0), (0, 16), (16, 16)):
            for name, value in objective(image).items():
                rolled = objective(image.roll(shift, (2, 3)))[name]
                torch.testing.assert_close(rolled, value, rtol=1e-4, atol=1e-6)


def test_scales_of_a_seamless_picture_lie_on_the_grid_and_begin_at_other_places() -> None:
    run = job(seamless=True, size="90x100")
    assert all(s.height % 8 == s.width % 8 == 0 for s in run.scales)
    assert run.recipe.padding == "circular" and run.recipe.margin == 0
    canvas = torch.rand(1, 3, run.scales[0].height, run.scales[0].width)
    moved = run._resampled(canvas, 1)
    plain = run._frame.resized(canvas, run._size(1))
    assert not torch.allclose(moved, plain)
    torch.testing.assert_close(moved.sort(dim=-1).values.mean(), plain.mean())
    assert torch.equal(moved, run._resampled(canvas, 1))


# Colours


def test_histograms_are_the_exemplars() -> None:
    done, free = (finish(job(init="noise", colors=c)).image for c in ("exemplar", "free"))
    goal = job()._exemplar
    levels = np.linspace(0.02, 0.98, 25)
    for channel in range(3):
        wanted = np.quantile(goal[0, channel].numpy(), levels)
        found = np.quantile(done[..., channel], levels)
        np.testing.assert_allclose(found, wanted, atol=5e-3)
        assert np.abs(np.quantile(free[..., channel], levels) - wanted).max() > 0.02


def test_only_opaque_parts_of_the_exemplar_count() -> None:
    rgb = PAINTING.rgb.copy()
    rgb[:, 50:] = (1, 0, 1)
    alpha = np.ones((80, 100), np.float32)
    alpha[:, 50:] = 0
    cut = Picture(rgb, alpha, PAINTING.source)
    done = finish(job(picture=cut)).image
    green_less = done[..., 1] < 0.1
    assert (green_less & (done[..., 0] > 0.9)).mean() < 0.01
    levels = np.linspace(0.05, 0.95, 9)
    np.testing.assert_allclose(
        np.quantile(done[..., 1], levels), np.quantile(rgb[:, :48, 1], levels), atol=0.03
    )


# Texture by numbers


def halves(first: Any, second: Any, size: tuple[int, int], axis: int) -> Picture:
    plane = np.empty((*size, 3), np.float32)
    plane[:] = first
    middle = size[axis] // 2
    plane[np.s_[:, middle:] if axis else np.s_[middle:]] = second
    return images.load(plane)


RED, BLUE = (1, 0, 0), (0, 0, 1)


def test_parts_go_where_the_guide_says() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, (80, 80, 1)).astype(np.float32)
    two = np.clip(halves((0.9, 0.6, 0.1), (0.1, 0.4, 0.8), (80, 80), 1).rgb + noise, 0, 1)
    exemplar = images.load(two.astype(np.float32))
    labels = halves(RED, BLUE, (80, 80), 1), halves(BLUE, RED, (64, 96), 0)
    schedule = Schedule(ratio=2.0, smallest=32, steps={"good": (12, 12)})
    for colors in ("exemplar", "free"):
        done = finish(job(picture=exemplar, labels=labels, schedule=schedule, colors=colors)).image
        assert done.shape == (64, 96, 3)
        top, bottom = done[:26].mean((0, 1)), done[38:].mean((0, 1))
        assert top[2] > top[0] + 0.3
        assert bottom[0] > bottom[2] + 0.3


def test_guides_that_do_not_fit() -> None:
    good = halves(RED, BLUE, (80, 100), 1)
    with pytest.raises(InputError, match="other proportions"):
        job(labels=(halves(RED, BLUE, (80, 80), 1), good))
    with pytest.raises(InputError, match="other proportions than 64 x 64"):
        job(labels=(good, good), size="64")
    assert job(labels=(good, good), size="50x40").size == (40, 50)
    with pytest.raises(UsageError, match="no region coloured #00ff00"):
        job(labels=(good, halves(RED, (0, 1, 0), (80, 100), 1)))


# Requests


@pytest.mark.parametrize(
    ("given", "extent"),
    [("640x480", (480, 640)), ("64", (64, 64)), (96, (96, 96)), ((70, 50), (50, 70)), (None, None)],
)
def test_sizes(given: Any, extent: Any) -> None:
    assert TextureSpec.build(exemplar="e", size=given).extent() == extent


@pytest.mark.parametrize(
    "size", ["12x", "x9", "20", "99999", "-40", "a", "40x40x40", "", 7, (1, 2)]
)
def test_bad_sizes(size: Any) -> None:
    with pytest.raises(UsageError, match="size must be like 640x480 or 512"):
        TextureSpec.build(exemplar="e", size=size)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="guide needs two pictures"):
        TextureSpec.build(exemplar="e", guide=("a",))
    with pytest.raises(UsageError, match="tile must be auto, off"):
        job(tile="3")
    with pytest.raises(UsageError, match="cannot be seen in tiles"):
        job(tile="64", seamless=True)
    with pytest.raises(UsageError, match="did you mean impasto-texture"):
        job(recipe="impasto-textur")


def test_tiles_change_nothing() -> None:
    options: dict[str, Any] = {"size": "160", "schedule": Schedule(ratio=1.0, steps={"good": (4,)})}
    whole, tiled = job(**options), job(tile="64", **options)
    assert tiled._tile is not None and tiled._tile.size == 64
    np.testing.assert_allclose(losses(tiled), losses(whole), rtol=1e-3)


def test_stop_record_and_resume_as_a_job(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    images.save(PAINTING.rgb, tmp_path / "e.png")
    spec = TextureSpec.build(exemplar="e.png", size="48x32", quality="draft", seamless=True,
                             exemplar_size=48, iterations=3, device="cpu")  # fmt: skip
    *_, whole = jobs.run(spec, OutputSpec.build(output="whole.png", log="log.csv", save_every=2))
    assert whole.report["seam"] > 0
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 4
    assert (tmp_path / "whole-1-00002.png").exists()
    events = jobs.run(spec, OutputSpec.build(output="out.png"))
    while not isinstance(next(events), Step):
        pass
    events.close()
    assert images.read_metadata(tmp_path / "out.png")["complete"] is False
    *_, last = jobs.run(spec, OutputSpec.build(output="out.png", resume=True))
    assert last.image.tobytes() == whole.image.tobytes()
    record = images.read_metadata(tmp_path / "out.png")
    assert record["verb"] == "texture"
    assert record["settings"]["padding"] == "circular"
    assert record["inputs"]["exemplar"]["size"] == [100, 80]


def test_the_function(tmp_path) -> None:
    made = impasto.texture(PAINTING.rgb, size=(40, 36), quality="draft", iterations=2)
    assert made.array.shape == (36, 40, 3)
    assert made.metadata["spec"]["size"] == "40x36"
    quilt = impasto.texture(PAINTING.rgb, size=60, recipe="quilting", block=24)
    assert quilt.array.shape == (60, 60, 3)
    assert quilt.losses == ()


# Quilting


def quilt(picture: Picture = PAINTING, **options: Any) -> Quilt:
    spec = TextureSpec.build(exemplar="e", recipe="quilting", **{"size": "150x120"} | options)
    return Quilt(spec, Exemplar(picture))


def test_quilts_are_made_of_the_exemplars_pixels() -> None:
    eight = images.load((PAINTING.rgb * 255).astype(np.uint8))
    done = finish(quilt(eight)).image
    assert done.shape == (120, 150, 3)
    known = {tuple(p) for p in eight.rgb.reshape(-1, 3).tolist()}
    found = [tuple(p) in known for p in done.reshape(-1, 3).tolist()]
    assert np.mean(found) > 0.85  # all but the feathered seams
    assert finish(quilt(eight)).image.tobytes() == done.tobytes()
    assert finish(quilt(eight, seed=1)).image.tobytes() != done.tobytes()


def test_quilts_join_without_steps() -> None:
    """At the seams of blocks the picture is hardly rougher than the exemplar."""
    smooth = images.load(samples.photo("harbour", (120, 120)))
    done = tensor(finish(quilt(smooth, block=36)).image)
    rough = tensor(smooth.rgb)
    for axis in (-2, -1):
        assert float(steps(done, axis)[1:].mean()) < 2.0 * float(steps(rough, axis)[1:].mean())


def test_seamless_quilts() -> None:
    smooth = images.load(samples.photo("harbour", (120, 120)))
    for size in ("150x120", "97x83"):
        found = [
            seam_strength(tensor(finish(quilt(smooth, size=size, seamless=s)).image))
            for s in (True, False)
        ]
        assert found[0] < 2 < found[1]
    assert finish(quilt(smooth, size="32", block=100, seamless=True)).image.shape == (32, 32, 3)


def test_quilting_refuses_what_it_does_not_know() -> None:
    for options in ({"tv_weight": 2.0}, {"quality": "best"}, {"guide": ("a", "b")}):
        name = next(iter(options)).replace("_", "-")
        with pytest.raises(UsageError, match=f"quilting takes no {name}"):
            quilt(**options)
    with pytest.raises(InputError, match="smaller than a patch"):
        quilt(images.load(np.zeros((8, 90, 3), np.float32)))
    spec = TextureSpec.build(exemplar="e", recipe="quilting")
    with pytest.raises(UsageError, match="texture takes no log"):
        next(jobs.run(spec, OutputSpec.build(log="x.csv")))
