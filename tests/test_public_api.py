"""The names that people may rely on, and the functions behind them."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import impasto
from impasto import events, images
from impasto.errors import InputError, UnknownName, UsageError
from impasto.specs import FilterSpec, OutputSpec, StylizeSpec

FAST = {"size": 64, "quality": "draft", "iterations": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    y, x = np.mgrid[0:64, 0:80] / 80
    return np.stack([x, y, (x + y) / 2], axis=2).astype(np.float32)


@pytest.fixture(scope="module")
def painting() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.kron(rng.random((8, 8, 3)), np.ones((9, 9, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def result(photo, painting) -> impasto.Result:
    return impasto.stylize(photo, painting, **FAST)


def test_inventory():
    assert impasto.__all__ == [
        *("ImpastoError", "Result", "__version__", "apply", "dream", "dream_steps", "enhance"),
        *("filter", "inspect", "layers", "stylize", "stylize_steps", "texture", "train"),
        "visualize",
        "visualize_steps",
    ]
    assert set(impasto.__all__) <= set(dir(impasto))
    for name in impasto.__all__:
        assert getattr(impasto, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        _ = impasto.paint


def test_inventory_of_rooms():
    assert importlib.import_module("impasto.events").__all__ == [
        *("Event", "Finished", "Saved", "ScaleStarted", "Started", "Step", "Table")
    ]
    assert importlib.import_module("impasto.specs").__all__ == [
        *(
            "ApplySpec",
            "DreamSpec",
            "EnhanceSpec",
            "FilterSpec",
            "InspectSpec",
            "OutputSpec",
            "Spec",
            "StylizeSpec",
            "TextureSpec",
            "TrainSpec",
            "VisualizeSpec",
        )
    ]


def test_no_public_name_is_a_submodule():
    """Importing a submodule binds its name in the package and would hide the function."""
    for name in set(impasto.__all__) - {"__version__"}:
        assert importlib.util.find_spec(f"impasto.{name}") is None, name


def test_stylize_is_the_function_whatever_was_imported():
    code = """
import impasto
assert impasto.stylize.__module__ == "impasto.api"
del impasto.stylize
import impasto.styling.run
from impasto.styling.run import Stylization
assert impasto.stylize.__module__ == "impasto.api"
assert impasto.styling.run.Stylization is Stylization
"""
    path = str(Path(impasto.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, check=True)


def test_signature_shows_the_options():
    parameters = inspect.signature(impasto.stylize).parameters
    assert list(parameters)[:2] == ["content", "style"]
    assert set(parameters) == {*StylizeSpec.model_fields, *OutputSpec.model_fields}
    assert parameters["colors"].default == "style"


def test_result(result, photo):
    assert result.array.shape == (51, 64, 3)
    assert result.array.dtype == np.float32
    assert 0 <= result.array.min() < result.array.max() <= 1
    assert result.alpha is None
    assert len(result.losses) == 2
    terms = [term["name"] for term in result.settings["terms"] if term["weight"]]
    assert {"content", "style"} <= set(terms)
    for i, row in enumerate(result.losses, 1):
        assert set(row) == {"scale", "step", *terms, "loss"}
        assert (row["scale"], row["step"]) == (0, i)
        assert row["loss"] == pytest.approx(sum(row[term] for term in terms))
    assert result.settings["size"] == 64
    assert result.seconds > 0
    assert result.metadata["spec"]["content"] == "<content>"
    assert result.metadata["spec"]["style"] == ["<style>"]
    assert repr(result).startswith("<Result 64 x 51 px, 2 steps, ")


def test_result_is_a_picture(result, tmp_path):
    assert result.image.size == (64, 51)
    shown = np.asarray(result.image) / 255
    np.testing.assert_allclose(shown, result.array, atol=0.5 / 255 + 1e-6)
    assert Image.open(io.BytesIO(result._repr_png_())).size == (64, 51)
    assert result._repr_html_().startswith('<img src="data:image/png;base64,')
    path = result.save(tmp_path / "out.png")
    assert images.read_metadata(path) == result.metadata
    with pytest.raises(UsageError, match="exists already"):
        result.save(path)
    result.save(path, force=True)


def test_every_form_of_a_picture_gives_the_same(photo, painting, tmp_path, monkeypatch):
    eight = (photo * 255).astype(np.uint8)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(eight).save("photo.png")
    data = Path("photo.png").read_bytes()
    forms = [eight, Image.fromarray(eight), data, io.BytesIO(data), "photo.png", Path("photo.png")]
    results = [impasto.stylize(form, [painting], **FAST, init=form).array for form in forms[:3]]
    results += [impasto.stylize(form, [painting], **FAST).array for form in forms[3:]]
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_inputs_are_not_changed(photo, painting):
    before = photo.copy(), painting.copy()
    impasto.stylize(photo, painting, **FAST)
    np.testing.assert_array_equal(photo, before[0])
    np.testing.assert_array_equal(painting, before[1])


def test_alpha_is_kept(photo, painting):
    alpha = np.linspace(0, 1, 80, dtype=np.float32) * np.ones((64, 1), np.float32)
    made = impasto.stylize(np.dstack([photo, alpha]), painting, **FAST)
    assert made.alpha.shape == (51, 64)
    assert made.image.mode == "RGBA"


def test_steps_can_be_left(photo, painting, tmp_path):
    seen = []
    run = impasto.stylize_steps(photo, painting, **FAST | {"iterations": 50})
    for event in run:
        seen.append(type(event))
        if isinstance(event, events.Step):
            assert event.image().shape == (1, 3, 51, 64)
            assert event.loss > 0
            break
    run.close()
    assert seen == [events.Started, events.ScaleStarted, events.Step]


def test_output_options_write_a_file(photo, painting, tmp_path):
    path = tmp_path / "out.png"
    made = impasto.stylize(photo, painting, **FAST, output=path)
    assert images.read_metadata(path) == made.metadata
    np.testing.assert_allclose(images.load(path).rgb, made.array, atol=0.5 / 255 + 1e-6)


def test_mistakes(photo, painting):
    with pytest.raises(UnknownName, match="did you mean style_weight"):
        impasto.stylize(photo, painting, style_wight=3)
    with pytest.raises(UsageError, match="size must be at least 32, not 3"):
        impasto.stylize(photo, painting, size=3)
    with pytest.raises(UsageError, match="style needs at least 1, not 0"):
        impasto.stylize(photo, [], size=64)
    with pytest.raises(UsageError, match="content input should be a valid string, not None"):
        impasto.stylize(None, painting)
    with pytest.raises(InputError, match=r"gone\.png does not exist"):
        impasto.stylize("gone.png", painting)
    with pytest.raises(InputError):
        impasto.stylize(b"no picture", painting)


def test_numbers_of_numpy_are_numbers(photo, painting):
    made = impasto.stylize(
        photo,
        painting,
        **FAST,
        style_weight=np.float32(2),
        seed=np.int64(3),
        tv_weight=np.float64(1),
    )
    assert made.metadata["spec"]["style_weight"] == 2.0
    assert made.metadata["spec"]["seed"] == 3


def test_filter(photo, painting, tmp_path):
    made = impasto.filter(photo, "kuwahara+posterise", set={"radius": 4, "colours": 3})
    assert made.array.shape == photo.shape
    assert len(np.unique(made.array.reshape(-1, 3), axis=0)) <= 3
    assert made.metadata["spec"]["set"] == ["radius=4", "colours=3"]
    assert made.losses == ()
    same = impasto.filter(image=photo, name="kuwahara:radius=4+posterise:colours=3")
    np.testing.assert_array_equal(same.array, made.array)
    path = made.save(tmp_path / "out.png")
    assert images.read_metadata(path)["verb"] == "filter"
    coloured = impasto.filter(photo, "reinhard", painting)
    assert coloured.metadata["inputs"]["reference"]["name"] == "<reference>"


def test_filter_signature_and_mistakes(photo):
    parameters = list(inspect.signature(impasto.filter).parameters)
    assert parameters[:3] == ["image", "name", "reference"]
    outputs = {"output", "force", "max_pixels", "keep_metadata"}
    assert set(parameters) == {*FilterSpec.model_fields, *outputs}
    with pytest.raises(UnknownName, match="did you mean kuwahara"):
        impasto.filter(photo, "kuwahra")
    with pytest.raises(UsageError, match="allowed: 1 to 30"):
        impasto.filter(photo, "kuwahara:radius=50")
    with pytest.raises(UsageError, match="needs a second picture"):
        impasto.filter(photo, "reinhard")
    with pytest.raises(UsageError, match="filter takes no log"):
        impasto.filter(photo, "kuwahara", log="x.csv")
