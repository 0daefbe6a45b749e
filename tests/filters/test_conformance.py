"""What every filter in the registry must hold."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from impasto.errors import InputError, UsageError
from impasto.filters import FILTERS, parameters
from impasto.filters.base import Filter, Parameter

from .scenes import NAMES, flat, landscape, painting, run

EVERY = pytest.mark.parametrize("name", NAMES)
SETTINGS = [(name, p) for name in NAMES for p in parameters(FILTERS.get(name))]


def test_the_room_is_complete() -> None:
    assert set(NAMES) == {
        *("kuwahara", "cartoon", "sketch", "stipple", "halftone", "stained_glass", "painterly"),
        *("watercolour", "posterise", "reinhard", "histogram", "quilting", "shinkai"),
    }


@EVERY
def test_describes_itself(name: str) -> None:
    kind = FILTERS.get(name)
    assert kind.name == name
    assert kind.title
    assert kind.source
    assert kind.summary().endswith(".")
    assert 1 <= len(parameters(kind)) <= 5
    assert all(parameter.help for parameter in parameters(kind))
    assert kind() == kind()
    assert dataclasses.is_dataclass(kind)


@EVERY
def test_returns_a_new_picture_of_the_same_kind(name: str) -> None:
    image = landscape(48, 64)
    before = image.clone()
    result = run(FILTERS.get(name)(), image)
    assert result.shape == image.shape
    assert result.dtype == torch.float32
    assert result.device == image.device
    assert torch.isfinite(result).all()
    assert result.min() >= 0.0
    assert result.max() <= 1.0
    assert torch.equal(image, before)
    assert result.data_ptr() != image.data_ptr()
    assert not torch.equal(result, image)


@EVERY
def test_same_bytes_every_time(name: str) -> None:
    image = landscape(48, 64)
    first, second = (run(FILTERS.get(name)(), image) for _ in range(2))
    assert first.numpy().tobytes() == second.numpy().tobytes()


@EVERY
def test_leaves_the_global_generator_alone(name: str) -> None:
    before = torch.random.get_rng_state()
    run(FILTERS.get(name)(), landscape(24, 24))
    assert torch.equal(before, torch.random.get_rng_state())


@EVERY
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (2, 40), (33, 64)], ids=str)
def test_any_size(name: str, size: tuple[int, int]) -> None:
    image = landscape(*size)
    result = run(FILTERS.get(name)(), image)
    assert result.shape == image.shape
    assert torch.isfinite(result).all()


@EVERY
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_one_grey(name: str, level: float) -> None:
    result = run(FILTERS.get(name)(), flat((level, level, level), 20, 24))
    assert torch.isfinite(result).all()


@EVERY
def test_painting_of_one_colour(name: str) -> None:
    if FILTERS.get(name).needs_reference:
        result = FILTERS.get(name)()(landscape(32, 40), flat((0.2, 0.4, 0.6), 9, 7))
        assert torch.isfinite(result).all()


@EVERY
def test_seed_changes_the_picture(name: str) -> None:
    kind = FILTERS.get(name)
    if "seed" in {p.name for p in parameters(kind)}:
        image = landscape(64, 96)
        assert not torch.equal(run(kind(), image), run(kind(seed=5), image))


@pytest.mark.parametrize(("name", "parameter"), SETTINGS, ids=lambda v: getattr(v, "name", v))
def test_both_ends_of_each_range_work(name: str, parameter: Parameter) -> None:
    ends: list[object] = [parameter.low, parameter.high]
    if parameter.choices:
        ends = list(parameter.choices)
    elif isinstance(parameter.default, bool):
        ends = [False, True]
    elif isinstance(parameter.default, int):
        ends = [int(parameter.low or 0), int(parameter.high or 0)]
    image = landscape(24, 32)
    for end in ends:
        made = FILTERS.get(name)(**{parameter.name: end})
        result = run(made, image)
        assert torch.isfinite(result).all(), end
        assert result.shape == image.shape


@pytest.mark.parametrize(("name", "parameter"), SETTINGS, ids=lambda v: getattr(v, "name", v))
def test_beyond_the_range_is_refused(name: str, parameter: Parameter) -> None:
    wrong: list[object] = ["nonsense", None, float("nan")]
    if parameter.low is not None and parameter.high is not None:
        wrong += [parameter.low - 1, parameter.high + 1, float("inf"), True]
    for value in wrong:
        with pytest.raises(UsageError, match=parameter.name) as caught:
            FILTERS.get(name)(**{parameter.name: value})
        assert parameter.range in str(caught.value)


@EVERY
def test_needs_its_second_picture(name: str) -> None:
    if FILTERS.get(name).needs_reference:
        with pytest.raises(UsageError, match=f"{name} needs a second picture"):
            FILTERS.get(name)()(landscape(8, 8))
    else:
        image = landscape(24, 32)
        made: Filter = FILTERS.get(name)()
        assert torch.equal(made(image), made(image, painting()))


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(3, 8, 8),
        torch.zeros(2, 3, 8, 8),
        torch.zeros(1, 1, 8, 8),
        torch.zeros(1, 3, 0, 8),
        torch.zeros(1, 3, 8, 8, dtype=torch.float64),
        torch.zeros(1, 3, 8, 8, dtype=torch.uint8),
        torch.full((1, 3, 8, 8), float("nan")),
    ],
    ids=["3d", "two", "grey", "empty", "double", "bytes", "nan"],
)
def test_refuses_what_is_no_picture(bad: torch.Tensor) -> None:
    with pytest.raises(InputError):
        FILTERS.get("posterise")()(bad)
    with pytest.raises(InputError):
        FILTERS.get("reinhard")()(landscape(8, 8), bad)


@pytest.mark.parametrize("name", ["kuwahara", "cartoon", "watercolour", "shinkai", "posterise"])
def test_same_look_at_twice_the_size(name: str) -> None:
    kind = FILTERS.get(name)
    settings = {"grain": 0.0, "flow": 0.0} if name == "watercolour" else {}
    small = landscape(256, 320)
    large = torch.nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
    shrunk = torch.nn.functional.avg_pool2d(kind(**settings)(large), 2)
    assert (shrunk - kind(**settings)(small)).abs().mean() < 0.02
