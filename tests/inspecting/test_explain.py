"""The job behind --explain."""

from __future__ import annotations

import json

import numpy as np
import pytest

from impasto import images, samples
from impasto.backbones import ARCHITECTURES, CLASSIFIER, PREPROCESSING, class_number, load
from impasto.errors import InputError, UnknownName, UsageError
from impasto.events import Finished
from impasto.inspecting.backprop import Unit, grad_cam
from impasto.inspecting.explain import METHODS, Explanation
from impasto.inspecting.signals import heat_of, overlay
from impasto.specs import InspectSpec
from impasto.testing import thin_vgg

PHOTO = images.load(samples.photo("harbour", (96, 128)))


def thin_classifier():
    found = ARCHITECTURES.get("efficientnet_lite0")
    return found.build(
        "efficientnet_lite0.random", found.random(0, thin=8),
        preprocessing=PREPROCESSING.get("lite"), pooling="max", padding="zeros",
    )  # fmt: skip


def explained(explain: str, backbone=None, **options) -> tuple[Explanation, Finished]:
    spec = InspectSpec.build(image="p", explain=explain, device="cpu", **options)
    job = Explanation(spec, PHOTO, backbone or thin_vgg())
    *_, last = job.events()
    assert isinstance(last, Finished)
    return job, last


@pytest.mark.parametrize("method", ["gradcam", *METHODS, "all"])
def test_every_method_gives_a_picture(method):
    job, last = explained("relu3_1:5", method=method, size=64)
    assert last.image.dtype == np.float32 and np.isfinite(last.image).all()
    if method == "gradcam":
        assert last.image.shape == (96, 128, 3), "on the photo as it is"
    elif method != "all":
        assert last.image.shape == (48, 64, 3)
        assert np.ptp(last.image) > 0.5
    else:
        assert last.image.shape[0] > 600 and last.image.shape[1] > 1200
    assert json.loads(json.dumps(last.report))["method"] == method
    assert job.begun is False


def test_the_overlay_is_grad_cam_on_the_photo():
    job, last = explained("relu3_1:5", size=64)
    cam = grad_cam(job.backbone, job.seen, Unit("relu3_1", 5), "relu3_1")
    expected = overlay(PHOTO.rgb, heat_of(cam, (96, 128)))
    np.testing.assert_array_equal(last.image, expected)


def test_a_class_by_number_and_the_best_by_default():
    net = thin_classifier()
    job, last = explained("class:7", net)
    assert job.size == (256, 341), "the short side as classifiers are trained"
    assert last.report["unit"] == {"layer": "logits", "channel": 7}
    probabilities = net.classify(job.seen)[0]
    assert last.report["class"]["probability"] == pytest.approx(float(probabilities[7]))
    assert last.report["activation"] == pytest.approx(
        float(net.taps(job.seen, ["logits"])["logits"][0, 7])
    )
    assert last.report["cam_layer"] == "head"
    _, best = explained("class", net)
    assert best.report["class"]["number"] == int(probabilities.argmax())


def test_the_box_is_in_pixels_of_the_photo():
    _, last = explained("relu1_2:1", size=64)
    box = last.report["box"]
    assert 0 < box["right"] - box["left"] <= 5 * 2 + 2
    assert 0 <= box["top"] < box["bottom"] <= 96


def test_a_blind_deconv_is_noted():
    spec = InspectSpec.build(image="p", explain="class:1", method="deconv")
    events = Explanation(spec, PHOTO, thin_classifier()).events()
    assert "no maximum pooling" in next(events).notes[-1]
    spec = InspectSpec.build(image="p", explain="relu2_1:1", method="deconv", size=64)
    assert next(Explanation(spec, PHOTO, thin_vgg()).events()).notes == ()


@pytest.mark.parametrize(
    ("explain", "options", "error", "message"),
    [
        ("relu3_1:99", {}, UsageError, "no unit 99"),
        ("relu9_1:0", {}, UnknownName, "unknown layer"),
        ("class:goldn retriever", {}, UnknownName, "golden retriever"),
        ("class:3", {}, UsageError, "no classifier"),
        ("relu3_1:1", {"cam_layer": "relu4_1"}, UsageError, "cannot explain"),
        ("relu5_3:1", {"size": 32, "cam_layer": "relu9"}, UnknownName, "unknown layer"),
    ],
)
def test_refusals(explain, options, error, message):
    with pytest.raises(error, match=message):
        explained(explain, **options)


def test_pictures_that_are_too_small():
    tall = images.load(np.zeros((400, 3, 3), np.uint8))
    spec = InspectSpec.build(image="p", explain="relu5_1:1", size=64)
    with pytest.raises(InputError, match="too small"):
        Explanation(spec, tall, thin_vgg())


@pytest.mark.parametrize("explain", ["", "relu3_1", "relu3_1:x", ":3", "classes:dog"])
def test_what_cannot_be_read(explain):
    with pytest.raises(UsageError, match="explain must be"):
        InspectSpec.build(image="p", explain=explain)


def test_options_that_exclude_each_other():
    for options in ({"layers": ("relu1_1",)}, {"invert": "relu1_1"}, {"units": "1"}):
        with pytest.raises(UsageError):
            InspectSpec.build(image="p", explain="class", **options)
    with pytest.raises(UsageError, match="goes with --explain"):
        InspectSpec.build(image="p", method="gradcam")
    with pytest.raises(UsageError, match="means nothing"):
        InspectSpec.build(image="p", explain="class", method="guided", cam_layer="relu1_1")


@pytest.mark.parametrize(
    ("text", "number"),
    [("207", 207), ("golden_retriever", 207), ("Golden  Retriever", 207), ("n02099601", 207),
     ("tench", 0), ("999", 999)],
)  # fmt: skip
def test_classes_by_name_number_and_id(text, number):
    assert class_number(text) == number


def test_classes_that_are_none_or_two():
    with pytest.raises(UsageError, match="two classes") as caught:
        class_number("crane")
    assert "134 and 517" in caught.value.hint
    with pytest.raises(UsageError, match="no class 1000"):
        class_number("1000")
    with pytest.raises(UnknownName) as unknown:
        class_number("retriever")
    assert "golden retriever" in unknown.value.hint
    assert len(str(unknown.value)) < 200


@pytest.mark.data
def test_grad_cam_of_a_dog_lies_on_the_dog(shared):
    """Its head is in the middle, above is grass."""
    photo = images.load(shared / "train" / "photos" / "n02099601_golden_retriever.jpg")
    spec = InspectSpec.build(image="p", explain="class:golden retriever")
    job = Explanation(spec, photo, load(CLASSIFIER))
    heat = heat_of(job.cam, (100, 60))
    assert heat[25:50, 15:40].mean() > 0.4
    assert heat[:12].mean() < 0.02
