"""The slow method on every family of networks, with random weights from a file of ours."""

from __future__ import annotations

import numpy as np
import pytest

from impasto import jobs, samples
from impasto.backbones import ARCHITECTURES, PREPROCESSING, load
from impasto.backbones.formats import safe
from impasto.backbones.layouts import to_ours
from impasto.errors import UnknownName
from impasto.events import Finished, Step

FAMILIES = [
    "vgg19", "alexnet", "squeezenet1_1", "resnet18", "resnet50", "googlenet", "efficientnet_lite0",
]  # fmt: skip


@pytest.fixture
def weights(tmp_path, request):
    arch = ARCHITECTURES.get(request.param)
    about = {"arch": arch.name, "tag": "random", "thin": "8"}
    about["preprocessing"] = str(PREPROCESSING.get("imagenet"))
    safe.write(tmp_path / "net.safetensors", to_ours(arch.random(0, thin=8, head=False)), about)
    return str(tmp_path / "net.safetensors")


def request_for(weights, **more):
    spec = jobs.spec_type("stylize").build(
        content="<a>", style=("<b>",), size=96, quality="draft", iterations=8, backbone=weights,
        tv_weight=0, optimizer="lbfgs", **more,
    )  # fmt: skip
    pictures = {"<a>": samples.painting("nocturne", (80, 96))}
    pictures["<b>"] = pictures["<a>"][:, ::-1, ::-1]
    return jobs.run(spec, sources=pictures)


@pytest.mark.parametrize("weights", FAMILIES, indirect=True)
def test_stylize_descends(weights):
    net = load(weights)
    style = tuple(dict.fromkeys(net.nearest(f"relu{b}_1") for b in range(1, 5)))
    events = list(
        request_for(weights, content_layers=(net.nearest("relu4_2"),), style_layers=style)
    )
    last = [e for e in events if isinstance(e, Step)]
    final = [e for e in last if e.scale == last[-1].scale]
    assert final[-1].loss < final[0].loss
    finished = events[-1]
    assert isinstance(finished, Finished) and finished.image.shape == (80, 96, 3)
    assert np.isfinite(finished.image).all() and finished.image.std() > 0.01


@pytest.mark.parametrize("weights", ["alexnet"], indirect=True)
def test_layers_of_another_network_are_a_clear_error(weights):
    with pytest.raises(UnknownName, match="plays its part here is conv4"):
        list(request_for(weights, content_layers=("block4_conv2",)))
