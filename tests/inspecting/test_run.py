"""The job: events, stop and resume, refusals."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
import torch

import impasto
from impasto import images, jobs, samples
from impasto.backbones import ARCHITECTURES, PREPROCESSING
from impasto.backbones.formats import safe
from impasto.backbones.layouts import to_ours
from impasto.engine import memory
from impasto.errors import ImpastoError, InputError, ResourceError, UnknownName, UsageError
from impasto.events import Finished, ScaleStarted, Started, Step
from impasto.inspecting.invert import Inverter, Plan, tv_weight
from impasto.inspecting.run import Inspection
from impasto.inspecting.sheet import shown_name
from impasto.specs import InspectSpec, OutputSpec
from impasto.testing import thin_vgg

SMALL = thin_vgg()
PHOTO = images.load(samples.photo("harbour", (96, 128)))
FAMILIES = ["vgg19", "vgg16_bn", "alexnet", "squeezenet1_1", "resnet18", "resnet50", "googlenet",
            "efficientnet_lite0"]  # fmt: skip


def job(backbone: Any = SMALL, **options: Any) -> Inspection:
    values = {"size": 64, "classifier": "none", "maps": 4, "invert_size": 80, "device": "cpu"}
    return Inspection(InspectSpec.build(image="p", **values | options), PHOTO, backbone=backbone)


def finish(run: Inspection) -> Finished:
    *_, last = run.events()
    assert isinstance(last, Finished)
    return last


@pytest.fixture
def weights(tmp_path, request) -> str:
    """A file of random weights, an eighth as wide as the real ones, with a classifier."""
    arch = ARCHITECTURES.get(request.param)
    about = {"arch": arch.name, "tag": "random", "thin": "8"}
    about["preprocessing"] = str(PREPROCESSING.get("imagenet"))
    safe.write(tmp_path / "net.safetensors", to_ours(arch.random(0, thin=8)), about)
    return str(tmp_path / "net.safetensors")


def test_without_an_inversion_there_are_no_steps():
    kinds = [type(e).__name__ for e in job().events()]
    assert kinds == ["Started", "Finished"]
    assert job().begun is False


def test_events_of_an_inversion():
    events = list(job(invert="relu3_1", iterations=4).events())
    started = events[0]
    assert isinstance(started, Started)
    assert [e.steps for e in events if isinstance(e, ScaleStarted)] == [
        s[2] for s in started.scales
    ]
    assert sum(isinstance(e, Step) for e in events) == sum(s[2] for s in started.scales)
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.others["-invert"].shape == (60, 80, 3)
    assert last.report["inversion"]["layer"] == "relu3_1"
    assert last.tables[-1].title == "inversion"


def test_the_report_is_json_and_holds_everything():
    report = finish(job(layers=("relu1_1", "relu3_1"), gram=True)).report
    again = json.loads(json.dumps(report))
    assert set(again) == {"backbone", "seen", "layers", "classifier", "classes", "inversion"}
    assert again["seen"] == {"width": 64, "height": 48}
    first = again["layers"][0]
    assert set(first) == {
        "name", "shape", "stride", "receptive_field", "min", "max", "mean", "std", "zeros", "dead",
        "bytes", "maps", "gram",
    }  # fmt: skip
    assert first["name"] == "relu1_1" and first["shape"] == [4, 48, 64]
    assert first["receptive_field"] == 3 and again["layers"][1]["receptive_field"] == 24
    assert first["gram"]["shape"] == [4, 4]
    assert again["classes"] == [] and again["inversion"] is None


def test_tables_have_a_row_per_layer():
    layers, grams = finish(job(layers=("all",))).tables
    assert len(layers.rows) == len(SMALL.table) == len(grams.rows)
    assert all(len(row) == len(layers.columns) for row in layers.rows)
    assert layers.rows[0][:3] == ("conv1_1", "4 x 48 x 64", "3 px")


@pytest.mark.parametrize("weights", FAMILIES, indirect=True)
def test_every_family(weights):
    result = impasto.inspect(
        samples.photo("harbour", (96, 128)), backbone=weights, size=96, maps=3, gram=True
    )
    assert 3 <= len(result.table) <= 5
    assert len(result.report["classes"]) == 5, "the network's own classifier"
    assert result.report["classifier"] == result.report["backbone"]
    assert result.array.shape[1] == 1600
    fields = [row["receptive_field"] for row in result.table]
    assert fields == sorted(fields)


@pytest.mark.parametrize("weights", ["resnet18"], indirect=True)
def test_all_layers_of_a_network_with_blocks_and_a_head(weights):
    result = impasto.inspect(
        samples.photo("harbour", (72, 96)), backbone=weights, size=96, maps=2, layers=("all",),
        classifier="none", gram=True,
    )  # fmt: skip
    rows = {row["name"]: row for row in result.table}
    assert rows["prob"]["shape"] == [125, 1, 1] and rows["prob"]["gram"] is None
    assert rows["prob"]["receptive_field"] is None
    assert any("layer1_0" in name and name != "layer1_0" for name in rows), "inner layers too"


def test_equal_requests_give_equal_sheets():
    one, two = (finish(job(invert="relu2_1", iterations=2)) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    other = finish(job(invert="relu2_1", iterations=2, seed=1))
    assert one.others["-invert"].tobytes() != other.others["-invert"].tobytes()


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_resume_equals_the_uninterrupted_run(stop):
    whole = finish(job(invert="relu3_1", iterations=4)).image
    half = job(invert="relu3_1", iterations=4)
    events = half.events()
    for _ in range(stop):
        while not isinstance(next(events), Step):
            pass
    events.close()
    file = io.BytesIO()
    torch.save(half.state(), file)
    file.seek(0)
    again = job(invert="relu3_1", iterations=4)
    again.load(torch.load(file, weights_only=True))
    assert finish(again).image.tobytes() == whole.tobytes()


def test_shallow_layers_keep_more_of_the_picture_than_deep_ones():
    """The same steps: relu1_1 gives the photo back, relu4_1 something else."""
    from impasto.images.resize import resize
    from impasto.images.tensors import from_tensor, to_tensor

    photo = from_tensor(resize(to_tensor(PHOTO), (60, 80)).clamp(0, 1))
    distance = {}
    net = thin_vgg(width=16)
    for layer in ("relu1_1", "relu4_1"):
        done = finish(job(net, invert=layer, iterations=60, layers=("relu1_1",)))
        distance[layer] = float(np.sqrt(np.mean((done.others["-invert"] - photo) ** 2)))
        assert done.report["inversion"]["error"] < 0.4
    assert distance["relu1_1"] < 0.05
    assert distance["relu4_1"] > 2 * distance["relu1_1"]


def test_inversion_lowers_the_feature_error_and_reports_it():
    photo = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    run = Inverter(SMALL, photo, Plan("relu2_1", 40, 40, 30, tv_weight(2)))
    errors = [run.error() for event in run.events() if isinstance(event, Step)]
    assert errors[-1] < 0.5 * errors[0]
    mine = SMALL.taps(run.image(), ["relu2_1"])["relu2_1"].double()
    goal = SMALL.taps(photo, ["relu2_1"])["relu2_1"].double()
    expected = float((mine - goal).square().sum() / goal.square().sum())
    assert run.error() == pytest.approx(expected, rel=1e-4)


def test_smoothness_grows_with_the_area_of_a_position():
    assert tv_weight(4) == pytest.approx(16 * tv_weight(1))
    assert tv_weight(0) == tv_weight(16) == tv_weight(32)


def test_scales_are_never_too_small_for_the_layer():
    scales = Plan("pool5", 100, 200, 40, 1.0).scales(smallest=32)
    assert all(min(s.height, s.width) >= 32 for s in scales)
    assert (scales[-1].height, scales[-1].width, scales[-1].steps) == (100, 200, 40)
    assert len(scales) > 1 and all(s.steps == 20 for s in scales[:-1])
    assert len(Plan("pool5", 40, 40, 5, 1.0).scales(smallest=32)) == 1


def test_refusals():
    with pytest.raises(UnknownName, match=r"did you mean.*relu3_1"):
        job(layers=("relu3_11",))
    with pytest.raises(UnknownName, match="did you mean"):
        job(invert="conv1_11")
    with pytest.raises(InputError, match="too small for relu5_1"):
        Inspection(
            InspectSpec.build(image="p", size=64, classifier="none"),
            images.load(np.zeros((4, 64, 3), np.uint8)), backbone=SMALL,
        )  # fmt: skip
    with pytest.raises(InputError, match="too small for pool5"):
        Inspection(
            InspectSpec.build(image="p", size=512, classifier="none", invert="pool5",
                              invert_size=32),
            images.load(np.zeros((32, 64, 3), np.uint8)), backbone=SMALL,
        )  # fmt: skip
    with pytest.raises(UsageError, match="all or names"):
        job(layers=("all", "relu1_1"))
    with pytest.raises(UsageError, match="no classifier"):
        Inspection(InspectSpec.build(image="p"), PHOTO, backbone=SMALL, classifier=SMALL)
    with pytest.raises(UsageError, match="maps must be at least 1"):
        job(maps=0)


def test_memory_is_checked_first(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda device: 0.7e9)
    with pytest.raises(ResourceError, match="--size"):
        job(size=4096)


def test_networks_that_overflow_are_reported():
    net = thin_vgg()
    for parameter in net.parameters():
        parameter.mul_(1e8)
    run = Inspection(InspectSpec.build(image="p", size=64, classifier="none"), PHOTO, backbone=net)
    with pytest.raises(ImpastoError, match=r"relu\d_1 has activations that are not finite"):
        finish(run)


def test_the_rebuilt_picture_is_written_beside_the_sheet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images.save(samples.photo("harbour", (64, 64)), tmp_path / "photo.png")
    spec = InspectSpec.build(
        image="photo.png", size=64, classifier="none", maps=2, layers=("relu1_1",),
        invert="relu1_1", invert_size=48, iterations=2,
    )  # fmt: skip
    output = OutputSpec.build(output="sheet.png")
    assert jobs.verb_of(spec) == "inspect"
    *_, saved, last = jobs.run(spec, output)
    assert saved.path == "sheet-invert.png" and last.path == "sheet.png"
    assert images.load(tmp_path / "sheet-invert.png").size == (48, 48)
    record = images.read_metadata(tmp_path / "sheet.png")
    assert record["verb"] == "inspect" and record["settings"]["inversion"]["layer"] == "relu1_1"
    with pytest.raises(UsageError, match="exists"):
        jobs.prepare(spec, output)
    (tmp_path / "sheet.png").unlink()
    with pytest.raises(UsageError, match=r"sheet-invert\.png.*exists"):
        jobs.prepare(spec, output)
    clash = spec.model_copy(update={"image": "sheet-invert.png"})
    with pytest.raises(UsageError, match="is an input"):
        jobs.prepare(clash, OutputSpec.build(output="sheet.png", force=True))


def test_a_stopped_inversion_keeps_the_sheet_so_far_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images.save(samples.photo("harbour", (64, 64)), tmp_path / "photo.png")
    spec = InspectSpec.build(
        image="photo.png", size=64, classifier="none", maps=2, layers=("relu1_1",),
        invert="relu1_1", invert_size=48, iterations=6,
    )  # fmt: skip
    *_, whole = jobs.run(spec, OutputSpec.build(output="whole.png"))
    events = jobs.run(spec, OutputSpec.build(output="sheet.png"))
    while not isinstance(next(events), Step):
        pass
    events.close()
    assert (tmp_path / "sheet.png").exists() and (tmp_path / "sheet-invert.png").exists()
    assert (tmp_path / "sheet.png.checkpoint").exists()
    *_, last = jobs.run(spec, OutputSpec.build(output="sheet.png", resume=True))
    assert last.image.tobytes() == whole.image.tobytes()
    assert not (tmp_path / "sheet.png.checkpoint").exists()


def test_there_is_no_recipe_to_save(tmp_path):
    with pytest.raises(UsageError, match="no recipe"):
        job().save_recipe(str(tmp_path / "x.toml"), force=False)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("/home/me/a.jpg", "a.jpg"), ("-", "a picture"), ("<image>", "a picture"), ("b.png", "b.png")],
)
def test_the_sheet_names_no_folders(name, shown):
    assert shown_name(name) == shown
