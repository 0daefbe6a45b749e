"""Any torch module: its layers by name, and that it is left as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import impasto
from impasto.backbones import Preprocessing
from impasto.backbones.module import ModuleTaps
from impasto.errors import InputError, UnknownName, UsageError
from impasto.testing import gradient_picture

X = gradient_picture(32, 32)


class Net(nn.Module):
    """A batch norm, a ReLU in place, a shared layer, a part that never runs, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu = nn.ReLU(inplace=True)
        self.deep = nn.Sequential(nn.Conv2d(6, 8, 3, stride=2), nn.ReLU6())
        self.spare = nn.Conv2d(1, 1, 1)
        self.head = nn.Linear(8, 5)
        self.passes = 0

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x)))
        x = self.relu(self.deep(x))
        self.passes += 1
        return self.head(x.mean((2, 3)))


@pytest.fixture
def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Net()


def hooks(module: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(part, kind)) for part in module.modules() for kind in kinds)


def test_layers(net):
    names = ("conv", "norm", "relu", "deep", "deep.0", "deep.1", "spare", "head")
    assert ModuleTaps(net).layers == names
    assert impasto.layers(net) == names
    assert impasto.layers(ModuleTaps(net)) == names
    assert "relu4_1" in impasto.layers("vgg16_bn.craft")


def test_taps_are_the_activations(net):
    net.eval()
    found = ModuleTaps(net).taps(X, ["conv", "norm", "relu", "deep.1", "head"])
    x = Preprocessing()(X)
    conv = net.conv(x)
    torch.testing.assert_close(found["conv"], conv)
    torch.testing.assert_close(found["norm"], net.norm(conv), msg="before the ReLU in place")
    torch.testing.assert_close(found["relu"], net.norm(conv).relu(), msg="the first time it runs")
    torch.testing.assert_close(found["head"], net(x)[..., None, None])
    assert list(found) == ["conv", "norm", "relu", "deep.1", "head"]


def test_no_hook_is_left(net):
    eyes = ModuleTaps(net)
    eyes.taps(X, ["deep.0", "conv"])
    assert hooks(net) == 0
    with pytest.raises(UsageError, match="did not run"):
        eyes.taps(X, ["spare"])
    with pytest.raises(InputError, match="cannot take"):
        eyes.taps(X[..., :2, :2], ["head"])
    assert hooks(net) == 0


def test_no_hook_is_left_by_a_visualization(net):
    result = impasto.visualize(backbone=net, layer="deep", channel=1, size=32, iterations=3)
    assert result.array.shape == (32, 32, 3)
    assert hooks(net) == 0
    events = impasto.visualize_steps(backbone=net, layer="deep", channel=1, size=32)
    for _ in range(4):
        next(events)
    events.close()
    assert hooks(net) == 0, "nor by one that is stopped"


def test_the_module_is_left_as_it_was(net):
    net.train()
    net.norm.eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    impasto.visualize(backbone=net, layer="deep.0", channel=1, size=32, iterations=3)
    assert net.training and net.conv.training and not net.norm.training
    assert all(torch.equal(before[n], v) for n, v in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_a_pass_ends_at_the_last_layer(net):
    eyes = ModuleTaps(net)
    eyes.taps(X, ["conv", "deep.0"])
    assert net.passes == 0
    eyes.taps(X, [])
    assert net.passes == 0


def test_gradient_reaches_the_picture(net):
    x = X.clone().requires_grad_(True)
    ModuleTaps(net).taps(x, ["deep.1"])["deep.1"].sum().backward()
    assert x.grad.abs().sum() > 0


def test_own_preprocessing(net):
    net.eval()
    found = ModuleTaps(net, lambda x: 255 * x).taps(X, ["conv"])["conv"]
    torch.testing.assert_close(found, net.conv(255 * X))


def test_excites_the_unit(net):
    options = {"layer": "deep.0", "channel": 2, "recipe": "plain", "size": 32}
    result = impasto.visualize(backbone=net, **options, iterations=40)
    net.eval()
    picture = torch.from_numpy(result.array).permute(2, 0, 1)[None]

    def excitation(x: torch.Tensor) -> float:
        return float(ModuleTaps(net).taps(x, ["deep.0"])["deep.0"][:, 2].mean().detach())

    assert excitation(picture) > 2 * abs(excitation(X)) + 0.1
    assert result.report["units"][0]["unit"] == "deep.0:2"
    assert result.metadata["inputs"]["backbone"]["sha256"]


def test_unknown_layers(net):
    with pytest.raises(UnknownName, match=r"deep\.0") as error:
        ModuleTaps(net).taps(X, ["deep.3"])
    assert "did you mean" in error.value.hint
    with pytest.raises(UnknownName, match="unknown layer of Net"):
        impasto.visualize(backbone=net, layer="nowhere", channel=2, size=32)


def test_refusals(net):
    with pytest.raises(UsageError, match="channels 0 to 7, not 8"):
        impasto.visualize(backbone=net, layer="deep", channel=8, size=32)
    with pytest.raises(UsageError, match="classes of Net are not known"):
        impasto.visualize(backbone=net, class_="goldfish", size=32)
    tokens = nn.Sequential(nn.Flatten(2), nn.Identity())
    with pytest.raises(UsageError, match=r"output of 1 is \(1, 3, 1024\)"):
        impasto.visualize(backbone=tokens, layer="1", channel=0, size=32, pad=0)


def test_all_channels_of_a_layer(net):
    result = impasto.visualize(backbone=net, layer="deep.0", channels="all", size=32, iterations=1)
    assert [row["unit"] for row in result.report["units"]] == [f"deep.0:{i}" for i in range(8)]
