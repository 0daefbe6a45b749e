"""Chains: what is read, what is refused and how it is said."""

from __future__ import annotations

import pytest
import torch

from impasto.errors import InputError, UnknownName, UsageError
from impasto.filters import FILTERS, apply, parse, unparse
from impasto.filters.halftone import Halftone
from impasto.filters.kuwahara import Kuwahara
from impasto.filters.posterise import Posterise
from impasto.filters.shinkai import Shinkai
from impasto.filters.sketch import Sketch

from .scenes import NAMES, landscape, painting


def test_names_joined_by_plus() -> None:
    assert parse("kuwahara+shinkai") == [Kuwahara(), Shinkai()]


def test_settings_of_every_type() -> None:
    text = "kuwahara:radius=8,sharpness=6.5 + posterise : colours=6 + sketch:colour=on,seed=3"
    assert parse(text) == [
        Kuwahara(radius=8.0, sharpness=6.5),
        Posterise(colours=6),
        Sketch(colour=True, seed=3),
    ]
    assert parse("halftone:inks=mono") == [Halftone(inks="mono")]


@pytest.mark.parametrize("name", NAMES)
def test_unparse_and_parse_are_inverse(name: str) -> None:
    chain = [FILTERS.get(name)(), Posterise(colours=5, dither=0.25), Sketch(colour=True)]
    assert parse(unparse(chain)) == chain
    assert unparse([FILTERS.get(name)()]) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kuwahra", "unknown filter 'kuwahra' (did you mean kuwahara?)"),
        ("kuwahara:radios=3", "unknown parameter of kuwahara 'radios' (did you mean radius?)"),
    ],
)
def test_unknown_names_suggest(text: str, message: str) -> None:
    with pytest.raises(UnknownName) as caught:
        parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a filter is missing in ''"),
        ("kuwahara+", "a filter is missing in 'kuwahara+'"),
        ("kuwahara++sketch", "a filter is missing"),
        ("kuwahara:radius", "kuwahara: 'radius' is not a setting (write key=value)"),
        ("kuwahara:radius=", "is not a setting"),
        ("kuwahara:radius=1e3", "kuwahara: radius cannot be 1000.0 (allowed: 1 to 30)"),
        ("kuwahara:radius=nan", "radius cannot be nan (allowed: 1 to 30)"),
        ("kuwahara:radius=big", "radius cannot be 'big' (allowed: 1 to 30)"),
        ("posterise:colours=6.5", "colours cannot be '6.5' (allowed: 2 to 32)"),
        ("posterise:palette=neon", "palette cannot be 'neon' (allowed: auto | woodblock"),
        ("sketch:colour=perhaps", "colour cannot be 'perhaps' (allowed: on or off)"),
        ("kuwahara:radius=3,radius=4", "kuwahara: radius is given twice"),
    ],
)
def test_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_runs_in_order() -> None:
    image = landscape(32, 40)
    first, second = parse("kuwahara+posterise")
    assert torch.equal(apply([first, second], image), second(first(image)))
    assert not torch.equal(apply([second, first], image), second(first(image)))


def test_reference_goes_to_those_who_need_it() -> None:
    image, other = landscape(32, 40), painting()
    expected = parse("reinhard")[0](parse("kuwahara")[0](image), other)
    assert torch.equal(apply(parse("kuwahara+reinhard"), image, other), expected)


def test_missing_reference_is_said_before_any_work() -> None:
    with pytest.raises(UsageError, match="quilting needs a second picture"):
        apply(parse("kuwahara+quilting"), torch.zeros(1))


def test_empty_chain_copies() -> None:
    image = landscape(8, 8)
    result = apply([], image)
    assert torch.equal(result, image)
    assert result.data_ptr() != image.data_ptr()


def test_bad_picture() -> None:
    with pytest.raises(InputError, match="tensor"):
        apply(parse("sketch"), torch.zeros(3, 4, 4))
    with pytest.raises(InputError, match="tensor"):
        apply([], torch.zeros(3, 4, 4))
