"""The task `enhance`: what it learns from, its terms, its figures, resuming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from impasto import jobs, networks
from impasto.errors import UsageError
from impasto.events import Finished, Step
from impasto.images.resize import resize
from impasto.losses import Gram
from impasto.specs import OutputSpec, TrainSpec
from impasto.training.enhance import EnhanceTask, grid, robust
from impasto.training.perceptual import Eyes, features, patches, texture
from impasto.training.task import Asked

LEAN = "width=6,blocks=1,up=4"
SEEING = {"pixels": "0.5", "grid": "2", "features": "0.2", "texture": "0.3", "adversarial": "0.1"}


def crops(count: int = 2, size: int = 32, seed: int = 0) -> Tensor:
    """Smooth random pictures with edges."""
    draw = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, size // 8, size // 8, generator=draw)
    return resize(small, (size, size), mode="bicubic").clamp(0, 1)


def task(settings: dict[str, str] | None = None, architecture: str = LEAN) -> EnhanceTask:
    return EnhanceTask(Asked(architecture=architecture, settings=settings or {}))


@pytest.fixture(scope="module")
def seeing() -> EnhanceTask:
    return task(SEEING)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(3)
    for i in range(5):
        small = Image.fromarray(draw.integers(0, 255, (9, 9, 3), dtype=np.uint8))
        small.resize((72, 64), Image.Resampling.BICUBIC).save(place / f"{i}.png")
    return place


def request(folder: Path, **more: object) -> TrainSpec:
    return TrainSpec.build(
        photos=str(folder),
        task="enhance",
        **{"architecture": LEAN, "steps": 4, "batch": 2, "size": 32, "hold_out": 2, **more},
    )


def train(spec: TrainSpec, where: Path) -> Finished:
    done = [e for e in jobs.run(spec, OutputSpec.build(output=str(where))) if type(e) is Finished]
    return done[0]


@pytest.mark.parametrize("scale", [2, 4])
def test_the_small_picture_is_what_a_file_would_hold(scale: int) -> None:
    photo = crops(1, 32)
    small = task(architecture=f"scale={scale},{LEAN}").reduced(photo)
    assert small.shape == (1, 3, 32 // scale, 32 // scale)
    want = resize(photo, (32 // scale, 32 // scale), mode="bicubic").clamp(0, 1)
    assert float((small - want).abs().max()) <= 0.5 / 255 + 1e-6
    assert torch.equal(small, (small * 255).round() / 255)


def test_pixels_alone_are_the_mean_absolute_error() -> None:
    made = task({"pixels": "2"})
    assert made.eyes is None
    batch = crops()
    found = made.objective(batch, 0)
    plain = made.enhancer.plain(made.reduced(batch))
    assert set(found) == {"pixels"}
    want = 2 * np.abs(plain.double().numpy() - batch.double().numpy()).mean()
    assert found["pixels"].item() == pytest.approx(want, rel=1e-5)


def test_robust_errors_by_numpy() -> None:
    error = torch.randn(2, 3, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    error = (0.05 * error).requires_grad_()
    want = 0.01 * np.log(1 + np.abs(error.detach().numpy()) / 0.01)
    np.testing.assert_allclose(robust(error, 0.01).detach().numpy(), want, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda e: robust(e, 0.01), error)


def test_robust_pixels_ask_for_one_of_two_edges() -> None:
    """An edge that may lie here or there: the mean error takes anything between for as good."""
    here, there = torch.zeros(100), torch.ones(100)
    truth = torch.cat([here, there])
    guesses = torch.linspace(0, 1, 11)
    plain, sharp = (
        torch.stack([loss(truth - g).mean() for g in guesses])
        for loss in (torch.abs, lambda e: robust(e, 0.1))
    )
    assert float(plain.max() - plain.min()) < 1e-6
    assert int(sharp.argmin()) in (0, 10)
    assert int(sharp.argmax()) == 5


def test_robust_pixels_are_a_term() -> None:
    task = EnhanceTask(Asked((), "scale=2,width=8,blocks=1", {"robust": "0.02", "pixels": "3"}))
    batch = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        terms = task.objective(batch, 0)
        error = (task.enhancer(task.reduced(batch)) - batch).double().numpy()
    want = 3 * np.mean(0.02 * np.log(1 + np.abs(error) / 0.02))
    assert set(terms) == {"pixels"}
    assert float(terms["pixels"]) == pytest.approx(want, rel=1e-5)


def test_every_second_batch_lies_on_its_side() -> None:
    made = task()
    with torch.no_grad():
        made.enhancer.last.bias += torch.tensor([0.1, 0.0, 0.0])
        made.enhancer.first.weight[:, :, 0] += 0.2  # up and down are no longer alike
        made.enhancer.last.weight += 0.1
    batch = crops()
    odd, even = made.objective(batch, 1), made.objective(batch.mT, 0)
    assert torch.equal(odd["pixels"], even["pixels"])
    assert not torch.equal(odd["pixels"], made.objective(batch, 0)["pixels"])


def test_a_grid_is_seen_and_noise_hardly() -> None:
    draw = torch.Generator().manual_seed(1)
    tile = torch.randn(1, 3, 4, 4, generator=draw)
    pattern = tile.repeat(2, 1, 12, 12)
    want = (tile - tile.mean((2, 3), keepdim=True)).abs().mean()
    assert float(grid(pattern, 4)) == pytest.approx(float(want), rel=1e-5)
    assert float(grid(torch.full((1, 3, 16, 16), 0.4), 4)) == pytest.approx(0, abs=1e-6)
    noise = torch.randn(2, 3, 48, 48, generator=draw)
    assert float(grid(noise, 4)) < 0.3 * float(noise.abs().mean())
    assert bool(grid(noise[..., :8, :4], 4).isfinite())


def test_terms_are_weighted(seeing: EnhanceTask) -> None:
    assert seeing.eyes is not None
    made, true = crops(seed=1), crops(seed=2)
    layers = ("relu1_2", "relu2_2", "relu3_1", "relu4_1")
    seen = [resize(t, (29, 29), mode="bicubic") for t in (made, true)]  # 0.9 times as large
    want = []
    for name in layers:
        a, b = (seeing.eyes.encoder.taps(t, [name])[name].double().numpy() for t in seen)
        a, b = (x / np.sqrt((x**2).sum(1, keepdims=True) + 1e-8) for x in (a, b))
        want.append(((a - b) ** 2).sum(1).mean())
    have = float(seeing.eyes.terms(made, true, 0)["features"])
    assert have == pytest.approx(np.mean(want), rel=1e-4)
    found = seeing.objective(true, 0)
    assert set(found) == set(SEEING)
    assert all(v.item() > 0 and v.requires_grad for v in found.values())


def test_nothing_is_wanted_of_the_photo_itself(seeing: EnhanceTask) -> None:
    assert seeing.eyes is not None
    true = crops()
    found = seeing.eyes.terms(true, true, 5)
    assert float(found["features"]) == 0
    assert float(found["texture"]) < 1e-6


def test_no_size_is_seen_twice_in_a_row(seeing: EnhanceTask) -> None:
    """A grid of the result cannot hide from, or please, a network in one size."""
    assert seeing.eyes is not None
    made, true = crops(size=64, seed=1), crops(size=64, seed=2)
    found = [float(seeing.eyes.terms(made, true, step)["features"]) for step in (0, 1, 2)]
    assert len({round(value, 6) for value in found}) == 3
    for zoom, edge in ((0.9, 58), (0.6, 38)):
        assert seeing.eyes._seen(made, zoom)["relu1_2"].shape[-1] == edge


def test_patches_are_squares_side_by_side() -> None:
    layer = torch.arange(2 * 3 * 5 * 7.0).view(2, 3, 5, 7)
    found = patches(layer, 2)
    assert found.shape == (2 * 2 * 3, 3, 2, 2)
    assert torch.equal(found[0], layer[0, :, :2, :2])
    assert torch.equal(found[4], layer[0, :, 2:4, 2:4])
    assert torch.equal(found[6], layer[1, :, :2, :2])


def test_texture_compares_gram_matrices_of_patches() -> None:
    draw = np.random.default_rng(0)
    made, true = draw.random((2, 1, 3, 4, 4))
    errors, sizes = [], []
    for top in (0, 2):
        for left in (0, 2):
            a, b = (x[0, :, top : top + 2, left : left + 2].reshape(3, 4) for x in (made, true))
            errors.append((((a @ a.T - b @ b.T) / 4) ** 2).sum())
            sizes.append(((b @ b.T / 4) ** 2).sum())
    found = texture(torch.from_numpy(made).float(), torch.from_numpy(true).float(), 2)
    assert float(found) == pytest.approx(np.sum(errors) / np.sum(sizes), rel=1e-5)


def test_texture_does_not_ask_where() -> None:
    """Pixels exchanged within a patch change nothing; between patches they do."""
    true = torch.rand(1, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    inside, across = true.clone(), true.clone()
    inside[..., :2, :2] = true[..., :2, :2].flip(-1)
    across[..., :2, :] = true[..., :2, :].flip(-1)
    assert float(texture(inside, true, 2)) < 1e-8 < 1e-3 < float(texture(across, true, 2))
    assert float(features(inside, true)) > 1e-3
    assert float(Gram(scale="relative")(across, Gram(scale="relative").target(true))) < 1e-8


def test_the_critic_learns_to_tell_them_apart(seeing: EnhanceTask) -> None:
    assert seeing.eyes is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        eyes = Eyes(seeing.eyes.encoder, ["adversarial"])
    smooth = crops(4, 32)
    noise = torch.randn(smooth.shape, generator=torch.Generator().manual_seed(1))
    true = (smooth + 0.3 * noise).clamp(0, 1)
    first = float(eyes.terms(smooth, true, 0)["adversarial"])
    for _ in range(50):
        value = eyes.terms(smooth, true, 0)["adversarial"]
    assert float(value) > first + 0.3
    assert all(p.grad is None or p.grad.isfinite().all() for p in eyes.critic.parameters())


def test_what_the_network_learns_leaves_the_critic_alone(seeing: EnhanceTask) -> None:
    assert seeing.eyes is not None
    found = seeing.objective(crops(), 0)["adversarial"]
    before = [(p.detach().clone(), p.grad) for p in seeing.eyes.critic.parameters()]
    slopes = [None if g is None else g.clone() for _, g in before]
    found.backward()
    for p, (value, _), slope in zip(seeing.eyes.critic.parameters(), before, slopes, strict=True):
        assert torch.equal(p, value)
        assert slope is not None
        assert torch.equal(p.grad, slope)
    assert float(seeing.enhancer.last.weight.grad.abs().max()) > 0


def test_figures_are_those_of_the_middle_of_photos() -> None:
    made = task()
    found = made.validate([crops(1, 48), crops(1, 50, seed=4)])
    assert set(found) == {"psnr", "ssim", "bicubic", "bicubic_ssim"}
    assert found["psnr"] == found["bicubic"]  # untrained
    assert 0 < found["ssim"] == found["bicubic_ssim"] <= 1
    assert made.preview([crops(1, 48)]).shape == (1, 3, 3 * 48, 48)


def test_it_learns(folder: Path, tmp_path: Path) -> None:
    spec = request(folder, steps=60, learning_rate=5e-3, validate_every=60)
    done = train(spec, tmp_path / "net.safetensors")
    figures = done.report["card"]["losses"]
    assert figures["psnr"] > figures["bicubic"] + 0.1


def test_a_stopped_training_goes_on_exactly(folder: Path, tmp_path: Path) -> None:
    spec = request(folder, set=tuple(f"{k}={v}" for k, v in SEEING.items()))
    whole, part = tmp_path / "whole.safetensors", tmp_path / "part.safetensors"
    train(spec, whole)
    events = jobs.run(spec, OutputSpec.build(output=str(part)), checkpoint_seconds=0)
    for event in events:
        if isinstance(event, Step) and event.index == 2:
            break
    events.close()
    output = OutputSpec.build(output=str(part), resume=True)
    assert [type(e) for e in jobs.run(spec, output)][-1] is Finished
    a, b = (networks.load(p).network.state_dict() for p in (whole, part))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert any(bool(v.count_nonzero()) for k, v in a.items() if k.startswith("last"))


def test_one_for_2_begins_with_one_for_4_and_back(folder: Path, tmp_path: Path) -> None:
    four = tmp_path / "four.safetensors"
    train(request(folder, learning_rate=1e-2), four)
    weights = networks.load(four).network.state_dict()
    two = task(architecture=f"scale=2,{LEAN}")
    assert two.adopt(weights)
    assert torch.equal(two.enhancer.last.weight, weights["last.weight"])
    assert torch.equal(two.enhancer.ups[0].weight, weights["ups.0.weight"])
    back = task(architecture=f"scale=4,{LEAN},fine=1")
    own = back.enhancer.ups[1].weight.clone()
    assert back.adopt(two.enhancer.state_dict())
    assert torch.equal(back.enhancer.first.weight, weights["first.weight"])
    assert torch.equal(back.enhancer.ups[1].weight, own)
    fine = task(architecture=f"scale=4,{LEAN},fine=1")
    assert fine.adopt(weights)
    photo = crops(1, 16)
    with torch.no_grad():
        want = networks.load(four).network(photo)
        assert torch.allclose(fine.enhancer(photo), want, atol=1e-5)
    with pytest.raises(UsageError, match="has the architecture"):
        train(request(folder, init=str(four), architecture="width=7"), tmp_path / "no.safetensors")


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UsageError, match="no setting 'pixel'"):
        task({"pixel": "1"})
    for bad in ("-0.1", "nan", "inf"):
        with pytest.raises(UsageError, match="robust must be 0 or more"):
            task({"robust": bad})
    with pytest.raises(UsageError, match="by 3"):
        task(architecture="scale=3")


def test_no_weight_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="no term"):
        task({"pixels": "0"})
