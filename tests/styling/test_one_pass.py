"""``stylize`` in one pass: every method end to end, with the options that it shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import impasto
from impasto import images, jobs, samples
from impasto.cli import main
from impasto.errors import UsageError
from impasto.events import Event, Finished, ScaleStarted, Step
from impasto.recipes import ONE_PASS, parse_recipe, print_recipe
from impasto.specs import OutputSpec, StylizeSpec
from impasto.styling import encodings, fast
from impasto.styling.one_pass import smoothed

PHOTO = samples.photo("harbour", (72, 96))
PAINTING = samples.painting("nocturne", (80, 80))
OTHER = samples.painting("stained_glass", (64, 80))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own for what is kept of paintings."""
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    photo, painting = tmp_path / "photo.png", tmp_path / "painting.png"
    images.save(PHOTO, photo)
    images.save(PAINTING, painting)
    return str(photo), str(painting)


def made(photo: np.ndarray = PHOTO, painting: object = PAINTING, **options: object) -> np.ndarray:
    return impasto.stylize(photo, painting, **{"size": 96, **options}).array


CASES = [(name, quality) for name, method in ONE_PASS for quality in method.passes]


@pytest.mark.parametrize(("name", "quality"), CASES)
def test_every_method(name: str, quality: str) -> None:
    """The colours come nearer to the painting's, the photo's light stays recognisable."""
    picture = made(recipe=name, quality=quality)
    assert picture.shape == PHOTO.shape
    assert picture.min() >= 0
    assert picture.max() <= 1
    mean = [p.reshape(-1, 3).mean(0) for p in (PHOTO, PAINTING, picture)]
    assert np.linalg.norm(mean[2] - mean[1]) < 0.6 * np.linalg.norm(mean[0] - mean[1])
    light = [p.mean(2).ravel() for p in (PHOTO, picture)]
    assert np.corrcoef(*light)[0, 1] > (0.1 if name == "style-swap" else 0.3)


def test_instant_is_the_default_in_one_pass() -> None:
    np.testing.assert_array_equal(made(quality="instant"), made(recipe="instant"))


def test_no_strength_is_the_photo_and_half_is_between() -> None:
    assert np.abs(made(recipe="instant", alpha=0.0) - PHOTO).max() < 1e-3
    full, half = (made(recipe="wct", alpha=a) for a in (1.0, 0.5))
    distance = [float(np.square(p - PHOTO).mean()) for p in (half, full)]
    assert 0 < distance[0] < 0.7 * distance[1]


def test_tiles_and_the_whole_agree() -> None:
    whole, tiled = (made(recipe="wct", tile=t) for t in ("off", "64"))
    assert np.abs(whole - tiled).max() < 1e-3
    with pytest.raises(UsageError, match="cannot be computed in tiles"):
        made(recipe="style-swap", tile="64")


def test_several_paintings() -> None:
    one, two = (made(painting=[PAINTING, OTHER], style_blend=b, recipe="wct")
                for b in ((1, 0), (0, 1)))  # fmt: skip
    np.testing.assert_allclose(one, made(recipe="wct"), atol=1e-4)
    both = made(painting=[PAINTING, OTHER], recipe="wct")
    near = [float(np.square(both - p).mean()) for p in (one, two)]
    assert max(near) < float(np.square(one - two).mean())


def test_masks_divide_the_picture(tmp_path: Path) -> None:
    mask = np.zeros((72, 96, 3), np.float32)
    mask[:, :48] = 1
    options = {"recipe": "wct", "mask_soften": 0}
    divided = made(painting=[PAINTING, OTHER], mask=(mask, 1 - mask), **options)
    means = [p.reshape(-1, 3).mean(0) for p in (PAINTING, OTHER)]
    halves = [h.reshape(-1, 3).mean(0) for h in (divided[:, :40], divided[:, 56:])]
    for i in (0, 1):
        distance = [np.linalg.norm(halves[i] - m) for m in means]
        assert distance[i] < distance[1 - i]


def test_kept_areas_and_the_colours_of_the_photo() -> None:
    keep = np.zeros((72, 96, 3), np.float32)
    keep[:, :40] = 1
    picture = made(recipe="wct", keep=keep)
    np.testing.assert_allclose(picture[:, :40], PHOTO[:, :40], atol=1e-4)
    assert np.abs(picture[:, 60:] - PHOTO[:, 60:]).mean() > 0.02
    chroma = [p - p.mean(2, keepdims=True) for p in (PHOTO, made(recipe="wct", colors="content"))]
    assert np.abs(chroma[0] - chroma[1]).mean() < 0.05


def test_a_texture_from_noise() -> None:
    first, again, other = (made(recipe="wct", init="noise", seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.01
    light = [p.mean(2).ravel() for p in (PHOTO, first)]
    assert abs(np.corrcoef(*light)[0, 1]) < 0.3


def test_what_makes_no_sense_is_refused() -> None:
    for options in ({"style_weight": 3.0}, {"optimizer": "adam"}, {"iterations": 5}):
        with pytest.raises(UsageError, match="it is one pass"):
            made(recipe="wct", **options)
    with pytest.raises(UsageError, match="no quality 'best'"):
        made(recipe="wct", quality="best")
    with pytest.raises(UsageError, match="cannot begin with instant"):
        made(recipe="wct", init="instant")


def spec(files: tuple[str, str], **options: object) -> StylizeSpec:
    return StylizeSpec.build(content=files[0], style=(files[1],), size=96, **options)


def test_events(files: tuple[str, str]) -> None:
    found = list(jobs.run(spec(files, recipe="style-swap")))
    scales = [e for e in found if isinstance(e, ScaleStarted)]
    assert [(s.width, s.steps) for s in scales] == [(48, 3), (96, 2)]
    steps = [e for e in found if isinstance(e, Step)]
    assert [(s.scale, s.index) for s in steps] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]
    assert all(s.loss > 0 for s in steps)


def stopped(events: Iterator[Event], after: int) -> None:
    for count, _ in enumerate(e for e in events if isinstance(e, Step)):
        if count + 1 == after:
            break
    events.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("after", [1, 3, 4])
def test_resumed_is_the_same(files: tuple[str, str], tmp_path: Path, after: int) -> None:
    request = spec(files, recipe="style-swap")
    whole = next(e for e in jobs.run(request) if isinstance(e, Finished)).image
    out = OutputSpec.build(output=str(tmp_path / "out.png"))
    stopped(jobs.run(request, out), after)
    assert (tmp_path / "out.png").exists()
    resumed = jobs.run(request, out.model_copy(update={"resume": True}))
    image = next(e for e in resumed if isinstance(e, Finished)).image
    np.testing.assert_array_equal(image, whole)


def test_the_command_and_rerun(files: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    command = ["stylize", *files, "-o", str(out), "--recipe", "adain", "--size", "64", "--quiet"]
    assert main(command) == 0
    record = images.read_metadata(out)
    assert record is not None
    assert record["settings"]["kind"] == "one-pass"
    assert main(["rerun", str(out), "--quiet"]) == 0
    again = tmp_path / "out-rerun.png"
    np.testing.assert_array_equal(images.load(out).rgb, images.load(again).rgb)


def test_methods_as_files(tmp_path: Path) -> None:
    for _, method in ONE_PASS:
        assert parse_recipe(print_recipe(method)) == method
    path = tmp_path / "own.toml"
    own = ONE_PASS.get("wct").model_copy(update={"name": "own", "size": 64})
    path.write_text(print_recipe(own), encoding="utf-8")
    assert impasto.stylize(PHOTO, PAINTING, recipe=str(path)).array.shape[1] == 64


def test_styles_are_kept_and_their_loss_survived(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(recipe="wct")
    kept = list((home / "styles").glob("*.safetensors"))
    assert len(kept) == 3
    calls: list[str] = []
    measure = encodings.remembered

    def counted(view, where, about, call):  # type: ignore[no-untyped-def]
        return measure(view, where, about, lambda: calls.append(about) or call())

    monkeypatch.setattr("impasto.styling.one_pass.remembered", counted)
    np.testing.assert_array_equal(made(recipe="wct"), first)
    assert not calls
    kept[0].write_bytes(b"damaged")
    np.testing.assert_array_equal(made(recipe="wct"), first)
    assert len(calls) == 1
    made(painting=OTHER, recipe="wct")
    assert len(calls) == 4


def test_an_optimisation_begins_with_it() -> None:
    started, photo = (
        made(quality="draft", iterations=1, init=i, size=64, seed=0) for i in ("instant", "content")
    )
    target = made(recipe="instant", size=64)
    assert np.square(started - target).mean() < np.square(photo - target).mean()


def test_lines_stay_straight() -> None:
    """Behind the guided filter a hard edge has moved nowhere, however noisy the style is."""
    photo = torch.zeros(1, 3, 40, 60)
    photo[..., 30:] = 1
    noisy = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    numbers = ONE_PASS.get("photo").smooth
    assert numbers is not None
    made = smoothed(noisy * 0.5 + photo * 0.5, photo, numbers)
    jumps = (made[..., 1:] - made[..., :-1]).mean(1)[0]
    assert bool((jumps.argmax(1) == 29).all())
    assert float(jumps[:, 31:].abs().max()) < 0.1


def test_the_light_decision_needs_no_torch_module() -> None:
    assert fast.resolve(StylizeSpec.build(content="a", style=("b",))) is None
