"""A folder of photos as a stream of crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import InputError
from impasto.training import photos as room
from impasto.training.photos import Crops, Photos, Stream, centre, cut, find


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven photos of one grey each, 20 x 30 to 26 x 36 px."""
    place = tmp_path / "photos"
    (place / "more").mkdir(parents=True)
    for i in range(7):
        name = place / ("more" if i == 6 else "") / f"{i}.png"
        Image.new("RGB", (30 + i, 20 + i), (30 * i,) * 3).save(name)
    return place


def greys(batch: torch.Tensor) -> list[int]:
    return [round(float(x.mean()) * 255 / 30) for x in batch]


def stream(folder: Path, seed: int = 0, size: int = 8) -> Stream:
    return Stream(find([str(folder)], 64), Crops(size, (1.0, 2.0)), seed)


def test_every_photo_once_per_round(folder: Path) -> None:
    found = greys(stream(folder).batch(0, 21))
    for start in (0, 7, 14):
        assert sorted(found[start : start + 7]) == list(range(7))
    assert found[:7] != found[7:14]
    assert found != greys(stream(folder, seed=1).batch(0, 21))


def test_the_place_alone_decides(folder: Path) -> None:
    """Wherever a stream begins, whoever shares it: what comes at a place is the same."""
    whole = stream(folder).batch(0, 12)
    assert torch.equal(stream(folder).batch(8, 4), whole[8:])
    for rank in range(3):
        part = stream(folder).batch(0, 12, rank=rank, world=3)
        assert torch.equal(part, whole[rank::3])


def test_damaged_files_are_skipped_and_named(folder: Path) -> None:
    (folder / "0.png").write_bytes(b"nothing")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.txt").write_text("no photo")
    found = find([str(folder)], 64)
    assert len(found) == 6
    assert sorted(Path(p).name for p in found.skipped) == ["0.png", "empty.jpg"]
    assert found.notes()[0] == "6 photos"
    assert "2 files were skipped: 0.png, empty.jpg" in found.notes()[1]


def test_too_small_ones_are_skipped(folder: Path) -> None:
    found = find([str(folder)], 64, least=23)
    assert len(found) == 4
    assert all("smaller than 23 px" in why for why in found.skipped.values())


def test_nothing_to_learn_from(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        find([str(tmp_path / "none")], 64)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photos in"):
        find([str(tmp_path / "empty")], 64)
    (tmp_path / "empty" / "a.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match=r"none of the 1 photos can be used; a\.jpg"):
        find([str(tmp_path / "empty")], 64)


def test_one_that_breaks_later_is_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CACHE_BYTES", 1)  # nothing stays in memory
    found = find([str(folder)], 64)
    (folder / "3.png").write_bytes(b"gone")
    index = next(i for i, p in enumerate(found.paths) if p.name == "3.png")
    following = found.paths[(index + 1) % len(found.paths)]
    assert torch.equal(found.get(index), found.get(found.paths.index(following)))
    assert [Path(p).name for p in found.skipped] == ["3.png"]
    for path in found.paths:
        path.write_bytes(b"gone")
    with pytest.raises(InputError, match="none of the photos"):
        Photos(list(found.paths), 64).get(0)


def test_large_ones_are_reduced(folder: Path) -> None:
    Image.new("RGB", (300, 200), (9, 9, 9)).save(folder / "large.png")
    found = find([str(folder / "large.png")], 50)
    assert found.get(0).shape == (3, 50, 75)
    assert found.get(0).dtype == torch.uint8


def test_split_keeps_some_aside(folder: Path) -> None:
    whole = find([str(folder)], 64)
    train, held = whole.split(2)
    assert len(train) == 5
    assert len(held) == 2
    assert set(train.paths) | set(held.paths) == set(whole.paths)
    assert len(whole.split(99)[1]) == 3
    assert len(whole.split(0)[1]) == 0


def test_crops_show_a_part_of_the_photo() -> None:
    ramp = torch.arange(40, dtype=torch.uint8).expand(3, 30, 40).contiguous()
    plain = Crops(8, (1.0, 1.0), flip=False)
    widths = set()
    for seed in range(30):
        made = cut(ramp, plain, np.random.default_rng(seed))
        row = made[0, 0] * 255
        assert torch.allclose(row.diff(), torch.ones(7), atol=1e-3)
        flipped = cut(ramp, Crops(8, (1.0, 1.0)), np.random.default_rng(seed))
        assert torch.equal(flipped, made) or torch.equal(flipped, made.flip(2))
        zoomed = cut(ramp, Crops(8, (1.0, 3.0), flip=False), np.random.default_rng(seed))
        assert zoomed.shape == (3, 8, 8)
        widths.add(round(float((zoomed[0, 0, 5] - zoomed[0, 0, 2]) * 255 / 3), 1))
    assert min(widths) < 1.4
    assert max(widths) > 2.4


def test_the_middle() -> None:
    photo = torch.zeros(3, 10, 12, dtype=torch.uint8)
    photo[:, 4:6, 5:7] = 255
    assert float(centre(photo, 2).mean()) == 1
    assert centre(photo, 11).shape == (1, 3, 10, 11)
    assert centre(torch.zeros(3, 70, 31, dtype=torch.uint8), 64).shape == (1, 3, 64, 16)
