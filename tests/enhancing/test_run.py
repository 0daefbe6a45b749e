"""The verb `enhance`: models, scales, alpha, tiles, a painting's texture, bad input, folders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import impasto
from impasto import images, jobs, networks
from impasto.cli import main
from impasto.enhancing.run import EDGE
from impasto.errors import InputError, UnknownName, UsageError
from impasto.events import Finished, Step
from impasto.images.resize import resize, resize_map
from impasto.networks import Card, Enhancer
from impasto.networks.enhance import enlarge
from impasto.specs import EnhanceSpec, OutputSpec

LEAN = "width=6,blocks=1,up=4"
#: By which the variants differ here.
BIAS = torch.tensor([0.25, 0.0, 0.125])


def network(scale: int) -> Enhancer:
    draw = torch.Generator().manual_seed(scale)
    made = Enhancer.of(f"scale={scale},{LEAN}").eval()
    for parameter in made.parameters():
        parameter.data = (torch.randn(parameter.shape, generator=draw) * 0.1).half().float()
    return made.requires_grad_(False)


def photo(height: int, width: int) -> np.ndarray:
    """In steps of 8 bits."""
    made = np.random.default_rng(height).random((height, width, 3), dtype=np.float32)
    return np.round(made * 255) / 255


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def close(array: np.ndarray, want: torch.Tensor) -> bool:
    return bool(np.abs(array - want[0].permute(1, 2, 0).numpy()).max() < 5e-5)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a photo, in which the shipped models are replaced by small random ones."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMPASTO_MODELS", str(tmp_path / "own"))
    (tmp_path / "own").mkdir()
    card = Card(task="enhance", data="9 photos", steps=3, licence="MIT")
    for scale in (2, 4):
        for variant in ("perceptual", "pixel"):
            name = f"enhance-x{scale}-{variant}"
            net = network(scale)
            if variant == "pixel":
                net.last.bias.data = BIAS
            path = tmp_path / "own" / f"{name}.safetensors"
            networks.save(path, net, "enhance", f"scale={scale},{LEAN}", card)
    images.save(photo(14, 20), tmp_path / "photo.png")
    return tmp_path


@pytest.mark.parametrize("scale", [2, 4])
def test_scales_and_variants(here: Path, scale: int) -> None:
    image, net = photo(14, 20), network(scale)
    done = impasto.enhance(image, scale=scale)
    assert done.array.shape == (14 * scale, 20 * scale, 3)
    assert close(done.array, enlarge(net, tensor(image)))
    net.last.bias.data = BIAS
    assert close(
        impasto.enhance(image, scale=scale, variant="pixel").array, enlarge(net, tensor(image))
    )
    assert done.settings["model"] == f"enhance-x{scale}-perceptual"
    assert done.settings["size"] == [20 * scale, 14 * scale]


def test_the_default_is_twice_the_size(here: Path) -> None:
    assert impasto.enhance(photo(9, 9)).array.shape == (18, 18, 3)


def test_a_model_of_ones_own_by_name_and_by_file(here: Path) -> None:
    image = photo(11, 9)
    want = enlarge(network(4), tensor(image))
    for model in ("enhance-x4-perceptual", here / "own" / "enhance-x4-perceptual.safetensors"):
        assert close(impasto.enhance(image, model=str(model)).array, want)


def test_alpha_blends_with_bicubic_interpolation(here: Path) -> None:
    image = photo(12, 8)
    plain = resize(tensor(image), (24, 16), mode="bicubic").clamp(0, 1)
    made = enlarge(network(2), tensor(image))
    assert close(impasto.enhance(image, alpha=0).array, plain)
    assert close(impasto.enhance(image, alpha=0.25).array, 0.75 * plain + 0.25 * made)


def test_tiles_are_the_whole(here: Path) -> None:
    image = photo(50, 70)
    whole = impasto.enhance(image, tile="off").array
    assert np.abs(impasto.enhance(image, tile="16").array - whole).max() < 5e-5


def test_large_pictures_go_by_tiles_by_themselves(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = photo(4, EDGE // 2 + 40)
    whole = impasto.enhance(image, tile="off").array
    widest = []
    forward = Enhancer.forward

    def spy(self: Enhancer, part: torch.Tensor) -> torch.Tensor:
        widest.append(part.shape[-1])
        return forward(self, part)

    monkeypatch.setattr(Enhancer, "forward", spy)
    assert np.abs(impasto.enhance(image).array - whole).max() < 5e-5
    assert max(widest) <= EDGE // 2 + 2 * network(2).reach() < image.shape[1]


def test_transparency_is_enlarged_with_the_picture(here: Path) -> None:
    alpha = np.zeros((10, 12), np.float32)
    alpha[2:6, 3:9] = 1
    done = impasto.enhance(np.dstack([photo(10, 12), alpha]), scale=4)
    assert done.alpha is not None
    want = resize_map(torch.from_numpy(alpha)[None, None], (40, 48))[0, 0].numpy()
    assert done.alpha.shape == (40, 48)
    assert np.abs(done.alpha - want).max() < 1e-6
    assert impasto.enhance(photo(10, 12)).alpha is None


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (2, 2)])
def test_the_smallest_pictures(here: Path, size: tuple[int, int]) -> None:
    assert impasto.enhance(photo(*size), scale=4).array.shape == (4 * size[0], 4 * size[1], 3)


def test_the_input_stays_as_it_is(here: Path) -> None:
    image = photo(8, 8)
    before = image.copy()
    impasto.enhance(image)
    assert np.array_equal(image, before)


def painted(here: Path, **more: object) -> impasto.Result:
    """A flat picture with the texture of noise."""
    flat = np.full((24, 32, 3), 0.5, np.float32)
    flat[:, 16:] = 0.4
    noise = np.random.default_rng(5).random((96, 120, 3), dtype=np.float32)
    return impasto.enhance(flat, from_style=noise, model="plain", **more)


@pytest.fixture
def plain(here: Path) -> Path:
    """With a model that is bicubic interpolation."""
    net = Enhancer.of(f"scale=4,{LEAN}")
    networks.save(
        here / "own" / "plain.safetensors", net, "enhance", f"scale=4,{LEAN}", Card(task="enhance")
    )
    return here


def test_the_texture_of_a_painting(plain: Path) -> None:
    """Finer than the given pixels it becomes the painting's; made small, the picture is there."""
    done = painted(plain, steps=12)
    texture = [row["texture"] for row in done.losses]
    assert len(texture) == 12 + 4  # at half size, in full
    assert texture[11] < 0.8 * texture[0]
    assert texture[-1] < 0.95 * texture[12]
    assert float(np.std(done.array[20:70, 10:50])) > 0.006
    small = resize(tensor(done.array), (24, 32), mode="bicubic")[0].permute(1, 2, 0).numpy()
    flat = np.full((24, 32, 3), 0.5)
    flat[:, 16:] = 0.4
    assert np.abs(small - flat).mean() < 0.02
    assert done.settings["texture"]["painting"] == [120, 96]
    assert done.settings["texture"]["steps"] == [12, 4]


def test_strength_0_leaves_the_picture(plain: Path) -> None:
    done = painted(plain, steps=3, strength=0)
    want = enlarge(network(4), tensor(np.full((24, 32, 3), 0.5, np.float32)))
    assert done.array.shape == (*want.shape[2:], 3)
    assert float(np.std(done.array[20:70, 10:50])) < 1e-3


def test_texture_in_tiles_is_that_of_the_whole(plain: Path) -> None:
    whole, tiles = painted(plain, steps=2, tile="off"), painted(plain, steps=2, tile="16")
    # Adam's first steps are signs of gradients: where one is nearly 0, rounding decides.
    assert np.quantile(np.abs(whole.array - tiles.array), 0.98) < 1e-3
    assert float(np.std(whole.array)) > 0.01


def test_a_stopped_job_keeps_the_picture_so_far(plain: Path) -> None:
    images.save(np.random.default_rng(1).random((80, 80, 3)).astype(np.float32), "painting.png")
    spec = EnhanceSpec.build(image="photo.png", model="plain", from_style="painting.png", steps=50)
    events = jobs.run(spec, OutputSpec.build(output="out.png"))
    for event in events:
        if isinstance(event, Step) and event.index == 2:
            break
    events.close()
    assert images.load("out.png").size == (56, 80)


def test_what_changes_nothing_is_said(here: Path) -> None:
    spec = EnhanceSpec.build(image="photo.png", steps=3)
    notes = next(iter(jobs.run(spec, OutputSpec.build(output="o.png")))).notes
    assert notes == ("without --from-style, steps changes nothing",)
    plain = EnhanceSpec.build(image="photo.png")
    assert next(iter(jobs.run(plain, OutputSpec.build(output="p.png")))).notes == ()


def test_the_events_of_a_plain_job(here: Path) -> None:
    found = list(jobs.run(EnhanceSpec.build(image="photo.png"), OutputSpec.build(output="o.png")))
    assert isinstance(found[-1], Finished)
    assert not any(isinstance(e, Step) for e in found)
    assert found[-1].metadata["spec"] == {"image": "photo.png"}
    assert found[-1].metadata["inputs"]["image"]["size"] == [20, 14]


@pytest.mark.parametrize(
    ("options", "kind", "match"),
    [
        ({"scale": 3}, UsageError, "scale must be 2 or 4, not 3"),
        ({"variant": "sharp"}, UsageError, "variant must be"),
        ({"tile": "9"}, UsageError, "tile must be auto, off or at least 16"),
        ({"alpha": 1.5}, UsageError, "alpha must be at most 1"),
        ({"strength": -1}, UsageError, "strength must be at least 0"),
        ({"model": "nothing"}, UnknownName, "unknown model 'nothing'"),
        ({"model": "nowhere.safetensors"}, InputError, "there is no model"),
        ({"model": "decoder-relu1_1"}, UsageError, "kind decoder, which enlarges nothing"),
        ({"model": "enhance-x4-pixel", "scale": 2}, UsageError, "enlarges 4 times, not 2"),
        ({"model": "enhance-x4-pixel", "variant": "pixel"}, UsageError, "exclude each other"),
        ({"from_style": np.zeros((31, 90, 3), np.uint8)}, InputError, "too small: 90 x 31"),
        ({"from_style": "nowhere.png"}, InputError, "nowhere.png"),
        ({"resume": True}, UsageError, "takes no resume"),
        ({"sclae": 2}, UnknownName, "did you mean scale"),
    ],
)
def test_bad_input(here: Path, options: dict, kind: type[Exception], match: str) -> None:
    with pytest.raises(kind, match=match):
        impasto.enhance(photo(8, 8), **options)


def test_a_missing_picture(here: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.png"):
        impasto.enhance("nothing.png")


def test_the_command_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["enhance", "photo.png", "-o", "out.png", "--scale", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["width"], told["height"]) == (80, 56)
    assert told["settings"]["model"] == "enhance-x4-perceptual"
    assert images.load("out.png").size == (56, 80)
    assert main(["enhance", "photo.png", "-o", "out.png", "--scale", "5", "--force"]) == 2
    assert "scale must be 2 or 4, not 5" in capsys.readouterr().err


def test_a_folder_gives_a_folder(here: Path) -> None:
    (here / "in").mkdir()
    for i in (1, 2):
        images.save(photo(5 + i, 6), here / "in" / f"{i}.png")
    assert main(["enhance", "in", "-o", "out", "--quiet"]) == 0
    sizes = [images.load(here / "out" / f"{i}.png").size for i in (1, 2)]
    assert sizes == [(12, 12), (14, 12)]


def test_rerun_gives_the_same_picture(here: Path) -> None:
    assert main(["enhance", "photo.png", "-o", "a.png", "--variant", "pixel"]) == 0
    assert main(["rerun", "a.png", "-o", "b.png"]) == 0
    assert np.array_equal(images.load("a.png").rgb, images.load("b.png").rgb)
