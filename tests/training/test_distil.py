"""One network learns what several others paint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import impasto
from impasto import images, networks
from impasto.errors import UsageError
from impasto.images.tensors import to_tensor
from impasto.networks import Card, FastNet, MarkovianNet
from impasto.networks.fast import paint
from impasto.training.distil import DistilTask
from impasto.training.task import Asked

from .test_style import LEAN, drawn


def teacher(place: Path, name: str, seed: int, styles: int = 1, near: float = 0.3) -> FastNet:
    """A network with random weights near those of an ancestor, saved under its name."""
    architecture = f"{LEAN},styles={styles}"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = FastNet.of(architecture).eval()
    for draw, size in ((torch.Generator().manual_seed(0), 0.3), (torch.Generator(), near)):
        if size == near:
            draw.manual_seed(seed)
        for parameter in made.parameters():
            shift = torch.randn(parameter.shape, generator=draw) * size
            parameter.data = (parameter.data + shift).half().float()
    card = Card(styles=[f"{name}{i}" for i in range(styles)] if styles > 1 else [name])
    networks.save(place / f"{name}.safetensors", made, "fast", architecture, card)
    return made.requires_grad_(False)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path))
    return tmp_path


def test_it_begins_with_the_mean_and_the_styles_of_each(shelf: Path) -> None:
    one, two = teacher(shelf, "night", 1), teacher(shelf, "day", 2, styles=2)
    task = DistilTask(Asked(settings={"teachers": "night+day"}))
    task.prepare(None)
    assert task.choices() == ("night", "day0", "day1")
    assert task.architecture == f"{LEAN},styles=3"
    mine = task.network
    assert isinstance(mine, FastNet)
    mean = (one.last.weight.double() + two.last.weight.double()) / 2
    assert torch.allclose(mine.last.weight.double(), mean, atol=1e-6)
    gammas = torch.cat([one.half_norm.gamma, two.half_norm.gamma])
    assert torch.equal(mine.half_norm.gamma, gammas)


def test_a_pupil_with_eyes_sees_through_the_encoder(shelf: Path) -> None:
    teacher(shelf, "night", 1)
    settings = {"teachers": "night", "network": "mgan"}
    task = DistilTask(Asked(settings=settings, architecture="width=8"))
    task.prepare(None)
    fresh = networks.build("mgan", task.architecture)
    assert isinstance(fresh, MarkovianNet)
    fresh.see(task.encoder)
    photo = to_tensor(drawn(48, 48, 3))
    assert isinstance(task.painter, MarkovianNet)
    assert torch.equal(task.painter.features(photo), fresh.features(photo))
    assert sum(task.objective(photo, 0).values()) > 0


def test_one_teacher_is_copied_and_nothing_is_left_to_learn(shelf: Path) -> None:
    teacher(shelf, "night", 1)
    task = DistilTask(Asked(settings={"teachers": "night"}))
    task.prepare(None)
    terms = task.objective(to_tensor(drawn(48, 48, 3)), 0)
    assert all(float(v.detach()) < 1e-5 for v in terms.values())


def test_the_terms_in_float64(shelf: Path) -> None:
    night, day = teacher(shelf, "night", 1), teacher(shelf, "day", 2)
    task = DistilTask(Asked(settings={"teachers": "night+day", "pixels": "2", "features": "3"}))
    photo = to_tensor(drawn(48, 48, 3))
    terms = task.objective(photo, 0)
    pixels, features = [], []
    with torch.no_grad():
        for row, network in enumerate((night, day)):
            goal, made = network(photo), task.network(photo, torch.eye(2)[row : row + 1])
            pixels.append((goal.double() - made.double()).abs().mean())
            seen = [task.encoder.taps(x, task.layers) for x in (made, goal)]
            features.append([(seen[0][n].double(), seen[1][n].double()) for n in task.layers])
    assert float(terms["pixels"].detach()) == pytest.approx(float(sum(pixels)), rel=1e-4)
    shares = [
        sum(float((f[i][0] - f[i][1]).square().sum()) for f in features)
        / sum(float(f[i][1].square().sum()) for f in features)
        for i in range(len(task.layers))
    ]
    want = 3 * sum(shares) / len(shares)
    assert float(terms["features"].detach()) == pytest.approx(want, rel=1e-3)


def test_a_distilled_network_paints_like_its_teachers(shelf: Path) -> None:
    (shelf / "photos").mkdir()
    for i in range(4):
        images.save(drawn(56, 56, 10 + i).rgb, shelf / "photos" / f"{i}.png")
    others = [teacher(shelf, name, seed, near=0.1) for seed, name in enumerate(("night", "day"), 1)]
    made = impasto.train(
        task="distil", photos="photos", set={"teachers": "night+day"}, steps=24, size=48,
        hold_out=1, learning_rate=0.05, output="both.safetensors",
    )  # fmt: skip
    rows = [row["loss"] for row in made.losses]
    assert sum(rows[-5:]) < 0.85 * sum(rows[:5])
    image = drawn(50, 70, 7)
    for name, other in zip(("night", "day"), others, strict=True):
        want = paint(other, to_tensor(image))
        have = to_tensor(images.load(impasto.apply("both", image.rgb, style=name).array))
        wrong = "day" if name == "night" else "night"
        far = to_tensor(images.load(impasto.apply("both", image.rgb, style=wrong).array))
        assert float((have - want).abs().mean()) < 0.7 * float((far - want).abs().mean())


@pytest.mark.parametrize(
    ("settings", "text"), [({}, "needs teachers"), ({"teachers": "dec"}, "paints no photos")]
)
def test_what_cannot_teach_is_refused(shelf: Path, settings: dict[str, str], text: str) -> None:
    architecture = "channels=4,stride=2"
    made = networks.build("decoder", architecture)
    networks.save(shelf / "dec.safetensors", made, "decoder", architecture, Card())
    with pytest.raises(UsageError, match=text):
        DistilTask(Asked(settings=settings))
    with pytest.raises(UsageError, match="takes no paintings"):
        DistilTask(Asked((drawn(8, 8, 1),), None, settings))
