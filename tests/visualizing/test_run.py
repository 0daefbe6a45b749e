"""The job: events, recipes, sheets, stop and resume, refusals."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch

import impasto
from impasto import images, jobs, outputs, samples
from impasto.backbones import load
from impasto.engine.wishes import Channel, Class, Direction, Energy, Neuron
from impasto.errors import InputError, ResourceError, UnknownName, UsageError
from impasto.events import Finished, ScaleStarted, Started, Step
from impasto.specs import OutputSpec, VisualizeSpec
from impasto.testing import thin_vgg
from impasto.visualizing.looks import LOOKS, resolved
from impasto.visualizing.report import spatial
from impasto.visualizing.run import Visualization
from impasto.visualizing.units import class_index, parsed, titles

SMALL = thin_vgg()
REAL = load("vgg16_bn.craft")
PHOTO = images.load(samples.photo("harbour", (72, 96)))
UNIT = {"layer": "relu3_1", "channel": 2}


def job(start=None, example=None, **options) -> Visualization:
    values = {"size": 48, "iterations": 4, "device": "cpu"} | options
    return Visualization(VisualizeSpec.build(**values), start, example, SMALL)


def finish(run: Visualization) -> Finished:
    *_, last = run.events()
    assert isinstance(last, Finished)
    return last


def test_events():
    events = list(job(**UNIT).events())
    started, scale, *steps, finished = events
    assert isinstance(started, Started) and started.scales == ((48, 48, 4),)
    assert isinstance(scale, ScaleStarted) and (scale.index, scale.count) == (0, 1)
    assert [s.index for s in steps] == [1, 2, 3, 4]
    assert all(set(s.terms) == {"excitation", "tv"} for s in steps)
    assert steps[0].image().shape == (1, 3, 48, 48)
    assert finished.image.shape == (48, 48, 3) and finished.complete
    assert json.dumps(finished.report) and json.dumps(finished.settings)
    assert finished.tables[0].rows[0][0] == "relu3_1:2"


@pytest.mark.parametrize(
    ("name", "count"), [*((name, 1) for name in LOOKS.names()), ("yosinski", 2), ("cppn", 2)]
)
def test_every_recipe_excites(name, count):
    """On a trained network: what a random one wants most is noise, which they all forbid."""
    values = {"layer": "relu2_1", "channel": 3, "size": 48, "iterations": 20, "device": "cpu"}
    spec = VisualizeSpec.build(**values, recipe=name, diversity=count)
    steps = [e for e in Visualization(spec, network=REAL).events() if isinstance(e, Step)]
    assert float(steps[-1].terms["excitation"]) < float(steps[0].terms["excitation"])
    assert np.isfinite(steps[-1].image().numpy()).all()


@pytest.mark.parametrize("pixels", ["fourier", "plain", "laplacian", "cppn"])
@pytest.mark.parametrize("recipe", ["impasto", "yosinski"])
def test_every_kind_of_pixels(pixels, recipe):
    run = job(**UNIT, pixels=pixels, recipe=recipe)
    assert finish(run).settings["pixels"] == pixels
    assert (run.look.regulariser is not None) == (recipe == "yosinski" and pixels == "plain")


def test_stages_share_the_steps():
    run = job(**UNIT, recipe="classes", size=64, iterations=20)
    assert [(s.height, s.width, s.steps) for s in run.stages] == [(28, 28, 13), (64, 64, 7)]
    assert finish(run).image.shape == (64, 64, 3)


def test_stages_too_small_for_the_layer_are_left_out():
    run = job(layer="relu5_1", channel=0, recipe="classes", size=48, iterations=20)
    need = SMALL.min_size(["relu5_1"])
    assert all(min(s.height, s.width) >= need for s in run.stages)
    assert sum(s.steps for s in run.stages) == 20


def test_an_atlas():
    run = job(layer="relu2_1", channels=["0-2", "5"])
    last = finish(run)
    units = [row["unit"] for row in last.report["units"]]
    assert units == ["relu2_1:0", "relu2_1:1", "relu2_1:2", "relu2_1:5"]
    single = finish(job(layer="relu2_1", channel=0)).image
    np.testing.assert_allclose(last.image[:48, :48], single, atol=0.5 / 255 + 1e-6)
    assert titles(run.units) == ["0", "1", "2", "5"]
    everything = job(layer="relu2_1", channels="all")
    assert len(everything.units) == SMALL.table["relu2_1"].channels


def test_diversity():
    last = finish(job(**UNIT, diversity=3, iterations=6))
    assert last.image.shape[1] >= 3 * 48
    left, middle = last.image[:48, :48], last.image[:48, 54:102]
    assert np.abs(left - middle).max() > 0.05
    assert len(last.report["units"]) == 1


def test_between():
    run = job(objective=["relu3_1:1", "relu3_1:2"], between=2)
    assert len(run.units) == 4
    assert str(run.units[1]).startswith("0.666667 * relu3_1:1 + 0.333333 * relu3_1:2")


def test_from_a_picture():
    run = job(PHOTO, init="photo", iterations=1, jitter=0, learning_rate=1e-4, **UNIT)
    last = finish(run)
    assert last.image.shape == (36, 48, 3)
    from impasto.images.resize import resize
    from impasto.images.tensors import from_tensor, to_tensor

    photo = from_tensor(resize(to_tensor(PHOTO), (36, 48)).clamp(0, 1))
    assert np.abs(last.image - photo).mean() < 0.01
    assert run.described()["init"]["size"] == [96, 72]


def test_direction_of_a_picture():
    run = job(None, PHOTO, layer="relu3_1", direction="photo")
    (unit,) = run.units
    assert isinstance(unit, Direction) and len(unit.vector) == 16
    last = finish(run)
    assert last.report["units"][0]["unit"] == "relu3_1:picture"


def test_direction_of_weights():
    (unit,) = job(layer="relu3_1", direction="3:1,5:-0.5").units
    assert unit.vector[3] == 1 and unit.vector[5] == -0.5 and sum(map(bool, unit.vector)) == 2
    with pytest.raises(UsageError, match="not 16"):
        job(layer="relu3_1", direction="16:1")
    with pytest.raises(UsageError, match="no length"):
        job(layer="relu3_1", direction="1:0")


def test_kinds_of_units():
    assert job(layer="relu3_1").units == [Energy("relu3_1")]
    assert job(layer="relu3_1", neuron="3").units == [Neuron("relu3_1", 3)]
    assert job(layer="relu3_1", neuron=(3, 1, 2)).units == [Neuron("relu3_1", 3, 1, 2)]
    assert job(layer="block3_conv1", channel=1).units == [Channel("conv3_1", 1)]


def test_parsed():
    wish = parsed("0.5 * relu3_1:1 + relu3_1:2@ - 2 * relu2_1:0@1,3 + conv1_1", SMALL)
    assert [w for w, _ in wish.terms()] == [0.5, 1, -2, 1]
    kinds = [unit for _, unit in wish.terms()]
    assert kinds[2] == Neuron("relu2_1", 0, 1, 3) and kinds[3] == Energy("conv1_1")
    assert parsed(" relu3_1:1 ", SMALL) == Channel("relu3_1", 1)
    for bad in ("relu3_1:", "relu3_1:1 +", "x * relu3_1:1", "1.2.3 * relu3_1:1", "", "relu3_1:1:2"):
        with pytest.raises((UsageError, UnknownName)):
            parsed(bad, SMALL)


def test_class_index():
    assert class_index("goldfish") == class_index("1") == class_index("n01443537") == 1
    assert class_index("Great  White Shark") == 2
    with pytest.raises(UnknownName, match="goldfisch"):
        class_index("goldfisch")
    with pytest.raises(UnknownName, match="crane"):
        class_index("crane")


def test_classes_on_the_embedded_network():
    result = impasto.visualize(class_=["goldfish", "1"], size=64, iterations=4, device="cpu")
    rows = result.report["units"]
    assert [row["unit"] for row in rows] == ["class:goldfish"] * 2
    assert 0 <= rows[0]["probability"] <= 1 and isinstance(rows[0]["likeliest"], str)
    assert result.settings["backbone"] == "efficientnet_lite0.in1k"
    assert result.settings["name"] == "classes"


def test_classes_differ_at_the_last_layer_with_positions():
    net = load("efficientnet_lite0.in1k")
    assert spatial(net, ["logits"]) == "head"
    assert Class("logits", 3).layers() == ("logits",)


@pytest.mark.parametrize("options", [{}, {"recipe": "yosinski"}, {"pixels": "cppn"}])
def test_equal_seeds_equal_pictures(options):
    one, two = (finish(job(**UNIT, **options)).image for _ in range(2))
    assert one.tobytes() == two.tobytes()
    assert finish(job(**UNIT, **options, seed=1)).image.tobytes() != one.tobytes()


@pytest.mark.parametrize("stop", [1, 3, 4, 7])
@pytest.mark.parametrize(
    "options",
    [
        {"recipe": "classes", "size": 64},
        {"recipe": "yosinski"},
        {"pixels": "cppn"},
        {"pixels": "laplacian", "diversity": 2},
    ],
)
def test_resume_equals_the_uninterrupted_run(stop, options):
    """Stopped in a stage, at its end, in the next unit: the rest is the same to the bit."""
    values = {"layer": "relu3_1", "channels": ["1", "2"]} | options
    whole = finish(job(**values))
    half = job(**values)
    events = half.events()
    for _ in range(stop):
        while not isinstance(next(events), Step):
            pass
    events.close()
    file = io.BytesIO()
    torch.save(half.state(), file)
    file.seek(0)
    again = job(**values)
    again.load(torch.load(file, weights_only=True))
    last = finish(again)
    assert last.image.tobytes() == whole.image.tobytes()
    assert last.report == whole.report


def test_a_stopped_atlas_shows_what_is_there():
    run = job(layer="relu3_1", channels=["1", "2", "3"])
    events = run.events()
    for _ in range(6):
        while not isinstance(next(events), Step):
            pass
    events.close()
    last = run.finished(1.0, complete=False)
    assert [row["unit"] for row in last.report["units"]] == ["relu3_1:1", "relu3_1:2"]
    assert last.complete is False


def test_stop_and_resume_through_files(tmp_path):
    """By jobs.run, with a log and a plot, as the command line does."""
    path = str(tmp_path / "atlas.png")
    spec = VisualizeSpec.build(
        layer="relu2_1", channels=["0", "1"], size=32, iterations=3, pad=0, device="cpu"
    )
    events = jobs.run(spec, OutputSpec.build(output=path))
    for event in events:
        if isinstance(event, Step) and event.scale == 1:
            break
    events.close()
    assert outputs.checkpoint_path(path).exists()
    out = OutputSpec.build(
        output=path, resume=True, log=str(tmp_path / "l.csv"), plot=str(tmp_path / "p.png")
    )
    *_, last = jobs.run(spec, out)
    assert isinstance(last, Finished)
    *_, whole = jobs.run(spec)
    assert last.image.tobytes() == whole.image.tobytes()
    assert not outputs.checkpoint_path(path).exists()
    assert images.read_metadata(path)["verb"] == "visualize"
    assert (tmp_path / "l.csv").read_text().startswith("scale,step,")
    assert (tmp_path / "p.png").exists()


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"layer": "relu9_1", "channel": 0}, UnknownName, "relu9_1"),
        ({"layer": "relu3_1", "channel": 16}, UsageError, "channels 0 to 15"),
        ({"layer": "relu3_1", "channels": ["3", "40"]}, UsageError, "not 40"),
        ({"layer": "relu3_1", "neuron": "1,99,0"}, UsageError, "positions"),
        ({"class_": "goldfish"}, UsageError, "no classifier"),
        ({"layer": "relu3_1", "between": 2}, UsageError, "two units"),
        ({"layer": "relu3_1", "recipe": "nothing"}, UnknownName, "recipe"),
        ({"layer": "relu3_1", "device": "abacus"}, UsageError, "abacus"),
    ],
)
def test_refusals(options, error, text):
    with pytest.raises(error, match=text):
        job(**options)


def test_too_small():
    with pytest.raises(InputError, match="too small"):
        job(PHOTO, init="p", layer="pool5", channel=0, size=32, pad=0)


def test_too_large(monkeypatch):
    monkeypatch.setattr("impasto.engine.memory.available", lambda device: 7e8)
    with pytest.raises(ResourceError):
        job(layer="relu5_1", channel=0, size=4096)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "what shall be excited"),
        ({"channel": 3}, "of which layer"),
        ({"layer": "a", "channel": 3, "neuron": "1"}, "exclude each other"),
        ({"layer": "a", "class_": "x"}, "layer and class exclude"),
        ({"layer": "a", "channels": "x"}, "channels must be all, numbers or ranges"),
        ({"layer": "a", "channels": ["all", "1"]}, "either all or numbers"),
        ({"layer": "a", "channels": "5-3"}, "ends before it begins"),
        ({"layer": "a", "neuron": "1,2"}, "neuron must be C"),
        ({"layer": "a", "init": "p", "pixels": "cppn"}, "cannot start from a picture"),
        ({"layer": "a", "size": 8}, "size must be at least 32"),
    ],
)
def test_spec_refusals(values, text):
    with pytest.raises(UsageError, match=text):
        VisualizeSpec.build(**values)


def test_numbers():
    spec = VisualizeSpec.build(layer="a", channels=["3", "0-2", "2"])
    assert spec.numbers(9) == (3, 0, 1, 2)
    assert VisualizeSpec.build(layer="a", channels="all").numbers(3) == (0, 1, 2)
    assert VisualizeSpec.build(layer="a", channels=range(2)).numbers(9) == (0, 1)


def test_overrides_reach_the_recipe():
    look = resolved(
        VisualizeSpec.build(
            layer="a", pad=1, jitter=2, rescale=0.3, rotate=4, views=5, tv_weight=6,
            learning_rate=0.7, iterations=8, rivals=0.9, seed=10,
        )
    )  # fmt: skip
    views = look.manner.views
    assert (views.pad, views.jitter, views.scale, views.rotate) == (1, 2, 0.3, 4)
    assert (views.count, views.seed, look.manner.tv) == (5, 10, 6)
    assert (look.optimiser.lr, look.steps, look.rivals) == (0.7, 8, 0.9)
