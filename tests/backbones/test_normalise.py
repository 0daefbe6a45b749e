"""Normalised weights change the scale of the features and nothing else."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from impasto.backbones import (
    ARCHITECTURES,
    DEFAULT,
    Preprocessing,
    load,
    loading,
    normalise,
    weights,
)
from impasto.backbones.formats import safe
from impasto.backbones.layouts import to_ours
from impasto.errors import UsageError, WeightsError


def build(arch, values, pooling="max"):
    return (
        ARCHITECTURES.get(arch)
        .build(arch, values, preprocessing=Preprocessing(), pooling=pooling, padding="zeros")
        .double()
    )


def values_of(arch, thin=8):
    """Random weights of which channel 1 of the first layer is dead."""
    found = ARCHITECTURES.get(arch).random(2, thin=thin)
    first = next(iter(found))
    weight, bias = found[first]
    weight[1], bias[1] = 0, -1
    return {n: (w.double(), b.double()) for n, (w, b) in found.items()}


def pictures(count=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for i in range(count):
        shape = (1 + i % 2, 3, 70 + 7 * i, 96)
        yield torch.rand(shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("arch", ["vgg11", "vgg16", "vgg19_bn", "alexnet"])
def test_mean_activations_become_one(arch, pooling):
    values = values_of(arch)
    plain = build(arch, values, pooling)
    means = normalise.measure(plain, pictures())
    net = build(arch, normalise.scaled(values, means), pooling)
    relus = normalise.relus(net)
    sums = dict.fromkeys(relus, 0.0)
    counts = dict.fromkeys(relus, 0)
    for picture in pictures():
        for name, x in net.taps(picture, relus).items():
            sums[name] = sums[name] + x.sum(dim=(0, 2, 3))
            counts[name] += x.shape[0] * x.shape[2] * x.shape[3]
    for name in relus:
        mean, raw = sums[name] / counts[name], means[name.replace("relu", "conv")]
        alive = raw > normalise.DEAD * raw.mean()
        torch.testing.assert_close(mean[alive], torch.ones_like(mean[alive]), rtol=1e-5, atol=0)
        assert (mean[~alive] <= normalise.DEAD * raw.mean()).all()
    assert not (means[next(iter(means))] > 0)[1]


@pytest.mark.parametrize("pooling", ["max", "avg"])
@pytest.mark.parametrize("arch", ["vgg13", "alexnet"])
def test_nothing_but_the_scale_changes(arch, pooling):
    values = values_of(arch)
    before = {n: (w.clone(), b.clone()) for n, (w, b) in values.items()}
    plain = build(arch, values, pooling)
    means = normalise.measure(plain, pictures())
    scaled = normalise.scaled(values, means)
    net = build(arch, scaled, pooling)
    x = next(pictures(seed=5))
    every = list(plain.table)
    a, b = plain.taps(x, every), net.taps(x, every)
    factor = torch.ones(3, dtype=torch.float64)
    for name in every:
        key = name.replace("relu", "conv")
        factor = normalise.factors(means[key]) if key in means else factor
        expected = a[name]
        if plain.table[name].stride:
            expected = a[name] / factor.view(-1, 1, 1)
        torch.testing.assert_close(b[name], expected, rtol=1e-6, atol=1e-9)
    assert b["prob"].argmax() == a["prob"].argmax()
    for name, (weight, bias) in values.items():
        assert torch.equal(weight, before[name][0]) and torch.equal(bias, before[name][1])
        assert not torch.equal(weight, scaled[name][0]) or name in ("fc7", "fc8")


def test_an_independent_mean():
    """Two pictures, one layer, by hand."""
    weight = torch.zeros(2, 3, 3, 3, dtype=torch.float64)
    weight[0, 0, 1, 1], weight[1, 2, 1, 1] = 1, 4
    values = {"conv1_1": (weight, torch.tensor([0.0, -1.0], dtype=torch.float64))}
    net = ARCHITECTURES.get("vgg11").build(
        "x", values, preprocessing=Preprocessing((0, 0, 0), (1, 1, 1)), pooling="max",
        padding="zeros",
    ).double()  # fmt: skip
    dark = torch.full((1, 3, 2, 2), 0.2, dtype=torch.float64)
    light = torch.full((1, 3, 2, 6), 0.5, dtype=torch.float64)
    means = normalise.measure(net, [dark, light])
    expected = [(4 * 0.2 + 12 * 0.5) / 16, 12 * 1.0 / 16]
    torch.testing.assert_close(means["conv1_1"], torch.tensor(expected))


def test_almost_dead_channels_are_left_alone():
    means = torch.tensor([1.0, 0.0, 1e-4, 0.01])
    assert normalise.factors(means).tolist() == [1.0, 1.0, 1.0, pytest.approx(0.01)]


@pytest.mark.parametrize("arch", ["resnet18", "googlenet", "squeezenet1_1", "efficientnet_lite0"])
def test_networks_that_are_no_chains_are_refused(arch):
    values = ARCHITECTURES.get(arch).random(0, thin=8)
    with pytest.raises(UsageError, match="cannot be normalised"):
        normalise.measure(build(arch, values), pictures())


def test_no_pictures():
    with pytest.raises(UsageError, match="no pictures"):
        normalise.measure(build("vgg11", values_of("vgg11")), [])


def in_float64(pooling):
    """The default network plain and normalised, from its weights; and its means."""
    file = loading.locate(DEFAULT)
    values, preprocessing = loading.read(file)
    wide = {n: (w.double(), b.double()) for n, (w, b) in values.items()}
    means = normalise.cached(file.entry.name, weights.verify(file), pooling)
    arch = ARCHITECTURES.get(file.entry.arch)
    plain, scaled = (
        arch.build("x", v, preprocessing=preprocessing, pooling=pooling, padding="zeros").double()
        for v in (wide, normalise.scaled(wide, means))
    )
    return plain, scaled, means


@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_the_default_backbone_comes_with_its_means(pooling, weights_folder):
    plain = load(pooling=pooling)
    net = load(f"{DEFAULT}+normalized", pooling=pooling)
    assert net.name == "vgg16_bn.craft+normalized" and net.table == plain.table
    generator = torch.Generator().manual_seed(0)
    # Clouds of noise, coarse to fine: not what the means were taken over, but like pictures.
    x = sum(
        torch.nn.functional.interpolate(
            torch.rand(1, 3, n, n, generator=generator), (96, 96), mode="bicubic"
        ) / 5
        for n in (2, 4, 8, 32, 96)
    ).clamp(0, 1)  # fmt: skip
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
    found = net.taps(x, layers)
    exact, scaled, means = in_float64(pooling)
    wide, shown = exact.taps(x.double(), layers), scaled.taps(x.double(), layers)
    for name in layers:
        assert 0.2 < float(found[name].mean()) < 3, name
        # Channel by channel the same picture: exactly so in float64,
        divisor = normalise.factors(means[name.replace("relu", "conv")].double())
        expected = wide[name] / divisor.view(-1, 1, 1)
        error = (shown[name] - expected).abs().max() / expected.abs().max()
        assert float(error) < 1e-12, name
        # and as nearly in float32 as any network of this depth (without the scale 5e-6 at most).
        # By norms: rounding of a weak channel, a small difference of large sums, is raised with it.
        assert float((found[name] - expected).norm() / expected.norm()) < 2e-5, name
    assert not weights_folder.exists()
    assert load(normalized=True, pooling=pooling).name == net.name


def test_means_are_measured_once_and_kept(weights_folder, tmp_path):
    values = ARCHITECTURES.get("alexnet").random(0, thin=8)
    path = tmp_path / "a.safetensors"
    about = {"arch": "alexnet", "tag": "t", "thin": "8", "preprocessing": str(Preprocessing())}
    save_file(to_ours(values), path, about)
    with pytest.raises(WeightsError, match=r"weights normalize .*a\.safetensors --pooling max"):
        load(str(path), normalized=True)
    seen = []

    def once():
        for picture in pictures():
            seen.append(1)
            yield picture.float()

    first = load(str(path), normalized=True, pictures=once())
    again = load(f"{path}+normalized")
    assert len(seen) == 3
    for p, q in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q)
    with pytest.raises(WeightsError, match="with avg pooling"):
        load(str(path), normalized=True, pooling="avg")
    # Other numbers under the same name are not scaled with these means.
    save_file(to_ours(ARCHITECTURES.get("alexnet").random(1, thin=8)), path, about)
    with pytest.raises(WeightsError, match="have not been measured"):
        load(str(path), normalized=True)
    kept = safe.read_metadata(weights_folder / "means" / "alexnet.t.max.safetensors")
    assert kept["pooling"] == "max" and len(kept["sha256"]) == 64


def test_a_read_only_folder_costs_only_the_memory(monkeypatch, tmp_path, caplog, weights_folder):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(tmp_path / "file" / "x"))
    path = tmp_path / "a.safetensors"
    about = {"arch": "alexnet", "thin": "8", "preprocessing": str(Preprocessing())}
    save_file(to_ours(ARCHITECTURES.get("alexnet").random(0, thin=8)), path, about)
    load(str(path), normalized=True, pictures=(p.float() for p in pictures()))
    assert "not kept" in caplog.text
    assert weights.NORMALIZED == "+normalized"
