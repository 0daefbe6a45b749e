"""The painting networks that install with impasto."""

from __future__ import annotations

import numpy as np
import pytest

import impasto
from impasto import samples
from impasto.networks import read_card
from impasto.networks.shelf import names, shipped

FAST = {n: p for n, p in names().items() if p.parent == shipped() and read_card(p)[0] == "fast"}
PAINTERS = {n: p for n, p in FAST.items() if len(read_card(p)[2].styles) == 1}


def test_eight_below_twelve_megabytes() -> None:
    assert len(PAINTERS) >= 8
    assert sum(p.stat().st_size for p in FAST.values()) < 12_000_000


def test_one_for_all_is_near_its_teachers_and_blends() -> None:
    card = read_card(FAST["eight"])[2]
    assert set(card.styles) == set(PAINTERS)
    assert card.task == "distil"
    assert "public domain" in card.licence
    photo = samples.photo("harbour", (96, 128))
    made = {n: impasto.apply("eight", photo, style=n).array for n in PAINTERS}
    taught = {n: impasto.apply(n, photo).array for n in PAINTERS}
    for name, picture in made.items():
        errors = {n: np.abs(picture - other).mean() for n, other in taught.items()}
        assert min(errors, key=errors.__getitem__) == name
        assert errors[name] < 0.55 * np.abs(photo - taught[name]).mean()
    pair = ("scream", "starry-night")
    mixed = impasto.apply("eight", photo, style=pair, style_blend=(0.5, 0.5)).array
    near = [np.abs(mixed - made[n]).mean() for n in pair]
    assert max(near) < np.abs(made[pair[0]] - made[pair[1]]).mean()


@pytest.mark.parametrize("name", PAINTERS)
def test_card_and_picture(name: str) -> None:
    card = read_card(PAINTERS[name])[2]
    assert list(card.styles) == [name]
    assert card.task == "style"
    assert card.steps > 1000
    assert card.losses["loss"] < 0.6 * card.losses["photo"]
    assert "public domain" in card.licence
    assert "photos" in card.data
    photo = samples.photo("harbour", (96, 128))
    made = impasto.stylize(photo, recipe=f"fast:{name}", size=128).array
    assert made.shape == photo.shape
    assert np.abs(made - photo).mean() > 0.05  # painted
    assert np.corrcoef(made.mean(2).ravel(), photo.mean(2).ravel())[0, 1] > 0.5  # readable
