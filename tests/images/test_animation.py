"""Endless GIFs."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from impasto import images
from impasto.errors import UsageError
from impasto.images.animation import save_gif

FRAMES = [np.full((8, 12, 3), level, np.float32) for level in (0.0, 0.5, 1.0)]


def test_frames_come_back(tmp_path):
    path = tmp_path / "a.gif"
    save_gif(FRAMES, path, milliseconds=84, metadata={"verb": "dream"})
    with Image.open(path) as found:
        assert (found.n_frames, found.info["duration"], found.info["loop"]) == (3, 80, 0)
        for place, level in enumerate((0, 128, 255)):
            found.seek(place)
            assert np.asarray(found.convert("RGB"))[3, 4].tolist() == [level] * 3
    assert images.read_metadata(path) == {"verb": "dream"}


def test_not_faster_than_players_go(tmp_path):
    save_gif(FRAMES, tmp_path / "a.gif", milliseconds=1)
    with Image.open(tmp_path / "a.gif") as found:
        assert found.info["duration"] == 20


def test_refusals(tmp_path):
    path = tmp_path / "a.gif"
    with pytest.raises(UsageError, match="at least one"):
        save_gif([], path, milliseconds=80)
    save_gif(FRAMES, path, milliseconds=80)
    before = path.read_bytes()
    with pytest.raises(UsageError, match="exists already"):
        save_gif(FRAMES[:2], path, milliseconds=80)
    assert path.read_bytes() == before
    save_gif(FRAMES[:2], path, milliseconds=80, force=True)
    assert path.read_bytes() != before
