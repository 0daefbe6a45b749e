"""The painting networks that install with impasto."""

from __future__ import annotations

import numpy as np
import pytest

import impasto
from impasto import samples
from impasto.networks import read_card
from impasto.networks.shelf import names, shipped

PAINTERS = {n: p for n, p in names().items() if p.parent == shipped() and read_card(p)[0] == "fast"}


def test_eight_below_twelve_megabytes() -> None:
    assert len(PAINTERS) >= 8
    assert sum(p.stat().st_size for p in PAINTERS.values()) < 12_000_000


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
