"""The best photos of each unit, and the cache: new, changed, removed, damaged, killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from impasto import images
from impasto.errors import InputError
from impasto.inspecting.peaks import Peaks, Store, cache_dir, measure, network_digest, peaks_of
from impasto.inspecting.photos import BEST, Ranking, Survey, photo_files, seen
from impasto.testing import thin_vgg

NET = thin_vgg()
LAYERS = ("relu1_1", "relu3_1")
SIZE = 48


def picture(seed: int, height: int = 40, width: int = 56) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.random((5, 7, 3))
    return np.kron(coarse, np.ones((height // 5, width // 7, 1))).astype(np.float32)


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "photos"
    (root / "more").mkdir(parents=True)
    for i in range(12):
        images.save(picture(i), root / ("more" if i % 3 == 0 else "") / f"p{i:02d}.png")
    return root


def survey(folder: Path, cache: Path, net=NET) -> Survey:
    store = Store(cache, network_digest(net, SIZE))
    found = Survey(net, LAYERS, SIZE, store, photo_files(folder), folder)
    for _ in found.steps():
        pass
    return found


def names(found: Survey) -> list[str]:
    return [photo.name for photo in found.photos]


def test_peaks_are_maxima_and_their_places():
    maps = torch.rand(5, 6, 9, generator=torch.Generator().manual_seed(0)) - 0.5
    maps[2] = 0
    found = peaks_of(maps)
    for c in range(5):
        plane = maps[c].numpy().astype(np.float64)
        assert found.values[c] == plane.max().astype(np.float32)
        assert found.place(c) == np.unravel_index(plane.argmax(), plane.shape)
        assert found.table[3, c] == pytest.approx(plane.mean(), abs=1e-6)
    assert found.place(2) == (0, 0), "of equal ones the first"


def test_the_best_nine_are_those_of_a_full_table(folder, tmp_path):
    found = survey(folder, tmp_path / "cache")
    assert len(found.photos) == 12 and found.computed == 12
    for layer in LAYERS:
        table = []
        for photo in found.photos:
            image = seen(images.load(photo.path), SIZE, torch.device("cpu"))
            table.append(NET.taps(image, [layer])[layer][0])
        tops = torch.stack([t.flatten(1).max(dim=1).values for t in table]).numpy()  # (P, C)
        means = torch.stack([t.mean(dim=(1, 2)) for t in table]).numpy()
        for channel in range(tops.shape[1]):
            best = found.rankings[layer].best(channel)
            order = np.argsort(-tops[:, channel], kind="stable")[:BEST]
            order = [i for i in order if tops[i, channel] != 0]
            assert [b[0] for b in best] == order
            for photo, value, place in best:
                assert value == pytest.approx(tops[photo, channel])
                assert float(table[photo][channel][place]) == pytest.approx(value)
            about = found.rankings[layer].summary(channel)
            assert about["maximum"] == pytest.approx(tops[:, channel].max())
            assert about["mean"] == pytest.approx(means[:, channel].mean(), rel=1e-4, abs=1e-9)
            assert about["firing"] == pytest.approx((tops[:, channel] > 0).mean())


def test_of_equal_photos_the_earlier_stays_ahead_and_zero_is_none():
    ranking = Ranking.empty(2)
    for i in range(BEST + 3):
        ranking.add(i, Peaks(np.array([[1, 0], [i, 0], [2, 0], [0, 0]], np.float32)))
    assert [photo for photo, _, _ in ranking.best(0)] == list(range(BEST))
    assert ranking.best(0)[3][2] == (3, 2)
    assert ranking.best(1) == []
    assert ranking.summary(1) == {"maximum": 0, "mean": 0, "firing": 0}
    assert Ranking.empty(1).summary(0)["maximum"] == 0


def test_several_layers_take_one_pass():
    image = torch.rand(1, 3, 32, 48)
    passes = []
    walk = NET.walk
    try:
        NET.walk = lambda x, keep: passes.append(1) or walk(x, keep)
        found = measure(NET, image, LAYERS)
    finally:
        del NET.walk
    assert len(passes) == 1 and set(found) == set(LAYERS)


def test_what_is_known_is_not_computed_again(folder, tmp_path):
    first, again = (survey(folder, tmp_path / "cache") for _ in range(2))
    assert (first.computed, again.computed) == (12, 0)
    for layer in LAYERS:
        for name in ("values", "photos", "rows", "columns", "total", "firing"):
            np.testing.assert_array_equal(
                getattr(first.rankings[layer], name), getattr(again.rankings[layer], name)
            )


def test_new_changed_renamed_and_removed_photos(folder, tmp_path):
    survey(folder, tmp_path / "cache")
    images.save(picture(50), folder / "new.png")
    images.save(picture(51), folder / "p01.png", force=True)
    (folder / "p02.png").rename(folder / "renamed.png")
    (folder / "p04.png").unlink()
    found = survey(folder, tmp_path / "cache")
    assert found.computed == 2, "the new and the changed one"
    assert {"new.png", "p01.png", "renamed.png"} <= set(names(found))
    assert "p04.png" not in names(found)
    fresh = survey(folder, tmp_path / "other")
    for layer in LAYERS:
        np.testing.assert_array_equal(found.rankings[layer].values, fresh.rankings[layer].values)
        np.testing.assert_array_equal(found.rankings[layer].photos, fresh.rankings[layer].photos)


def test_damaged_photos_are_skipped_counted_and_named(folder, tmp_path):
    data = (folder / "p01.png").read_bytes()
    (folder / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "words.jpg").write_text("no picture at all")
    (folder / "empty.png").write_bytes(b"")
    images.save(np.full((4, 400, 3), 0.5, np.float32), folder / "strip.png")
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "notes.txt").write_text("not even tried")
    found = survey(folder, tmp_path / "cache")
    assert {s.name for s in found.skipped} == {"cut.png", "words.jpg", "empty.png", "strip.png"}
    assert len(found.photos) == 12
    assert all(s.reason and "\n" not in s.reason for s in found.skipped)
    assert "too narrow" in next(s.reason for s in found.skipped if s.name == "strip.png")


def test_copies_count_once(folder, tmp_path):
    for i in range(4):
        shutil.copy(folder / "p05.png", folder / f"copy{i}.png")
    found = survey(folder, tmp_path / "cache")
    assert found.copies == 4 and len(found.photos) == 12


def test_a_damaged_cache_is_computed_again(folder, tmp_path):
    cache = tmp_path / "cache"
    first = survey(folder, cache)
    files = sorted(cache.rglob("*.npy"))
    assert len(files) == 24
    files[0].write_bytes(b"")
    files[1].write_bytes(files[1].read_bytes()[:50])
    np.save(files[2].with_suffix(""), np.zeros((4, 3), np.float32))
    np.save(files[3].with_suffix(""), np.full((4, NET.table["relu1_1"].channels), np.nan, "f4"))
    again = survey(folder, cache)
    assert again.computed == 4
    np.testing.assert_array_equal(
        first.rankings["relu1_1"].values, again.rankings["relu1_1"].values
    )


def test_a_cache_that_cannot_be_written_is_no_error(folder, tmp_path, caplog):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    found = survey(folder, blocked)
    assert found.computed == 12
    assert len(caplog.records) == 1, "said once"


def test_another_network_or_size_is_another_key(folder, tmp_path):
    survey(folder, tmp_path / "cache")
    assert survey(folder, tmp_path / "cache", thin_vgg(seed=1)).computed == 12
    others = (thin_vgg(pooling="avg"), thin_vgg(seed=1), NET)
    keys = {network_digest(net, 48) for net in others} | {network_digest(NET, 49)}
    assert len(keys) == 4
    assert network_digest(thin_vgg(), 48) == network_digest(NET, 48)


def test_the_cache_is_bounded(folder, tmp_path):
    cache = tmp_path / "cache"
    found = survey(folder, cache)
    files = sorted(cache.rglob("*.npy"))
    for path in files[:10]:
        os.utime(path, (1, 1))
    size = sum(p.stat().st_size for p in files)
    small = sum(p.stat().st_size for p in files[:10])
    assert found.store.prune(size) == 0
    assert found.store.prune(size - small) == 10
    assert not any(p.exists() for p in files[:10]) and all(p.exists() for p in files[10:])


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "peaks"
    monkeypatch.delenv("IMPASTO_HOME")
    assert cache_dir().name == "peaks" and "impasto" in str(cache_dir())


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_photos as t
store = t.Store(Path({cache!r}), t.network_digest(t.NET, t.SIZE))
found = t.Survey(t.NET, t.LAYERS, t.SIZE, store, t.photo_files(Path({folder!r})), Path({folder!r}))
for i, _ in enumerate(found.steps()):
    if i == 4:
        print("five", flush=True)
        time.sleep(60)
"""


def test_killed_at_any_moment_it_goes_on(folder, tmp_path):
    cache = tmp_path / "cache"
    code = KILLED.format(tests=str(Path(__file__).parent), cache=str(cache), folder=str(folder))
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", code], env=where, stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"five\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    # As if the next file had been half written when the power went.
    (next(cache.rglob("*.npy")).parent / ".0123456789abcdef.part").write_bytes(b"half")
    found = survey(folder, cache)
    assert found.computed == 7 and len(found.photos) == 12


def test_folders_that_are_none(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        photo_files(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no photos"):
        photo_files(tmp_path)
    (tmp_path / "file.png").write_bytes(b"")
    with pytest.raises(InputError, match="is not a folder"):
        photo_files(tmp_path / "file.png")


def test_pipes_and_links_to_nothing_are_left_alone(folder):
    os.mkfifo(folder / "pipe.png")
    (folder / "dangling.png").symlink_to(folder / "nothing.png")
    (folder / "loop").symlink_to(folder)
    begun = time.monotonic()
    assert len(photo_files(folder)) == 12
    assert time.monotonic() - begun < 5
