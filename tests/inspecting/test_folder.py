"""The report on a folder: events, pages, bounds, strangers' names."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from impasto import images, jobs, outputs
from impasto.errors import InputError, UsageError
from impasto.events import Finished, ScaleStarted, Started, Step
from impasto.inspecting import cuts
from impasto.inspecting.atlas import atlas_pictures
from impasto.inspecting.folder import FolderInspection
from impasto.inspecting.tiles import decoded
from impasto.specs import InspectSpec, OutputSpec
from impasto.testing import thin_vgg

NET = thin_vgg()
EVIL = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>.png"


def picture(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).random((6, 8, 3))
    return np.kron(coarse, np.ones((10, 10, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for i in range(11):
        images.save(picture(i), root / f"p{i:02d}.png")
    images.save(picture(60), root / EVIL.replace("/", "∕"))
    (root / "bro<b>ken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return root


def job(folder: Path, cache: Path, **options) -> FolderInspection:
    values = {"layers": ("relu2_1", "relu3_1"), "units": "0-3", "size": 64, "device": "cpu"}
    spec = InspectSpec.build(image="p", photos=str(folder), **values | options)
    return FolderInspection(spec, images.load(picture(99)), backbone=NET, cache=cache)


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    run = job(folder, tmp_path_factory.mktemp("cache"))
    return run, list(run.events())


class Reader(HTMLParser):
    """Every element with its attributes; text by the element it stands in."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_data(self, data):
        self.texts[self._open] = self.texts.get(self._open, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page(done) -> str:
    return done[0].pages({"": "a report.html", "-relu2_1": "a report-relu2_1.html"})[""]


def test_events(done):
    events = done[1]
    assert isinstance(events[0], Started) and isinstance(events[-1], Finished)
    scales = [e for e in events if isinstance(e, ScaleStarted)]
    assert [s.index for s in scales] == [0, 1]
    assert sum(isinstance(e, Step) and e.scale == 0 for e in events) == 13 == scales[0].steps
    assert sum(isinstance(e, Step) and e.scale == 1 for e in events) == scales[1].steps
    assert events[-1].image.ndim == 3


def test_the_report_is_json_with_everything(done):
    report = json.loads(json.dumps(done[1][-1].report))
    assert report["photos"]["seen"] == 12 and report["photos"]["files"] == 13
    assert [s["name"] for s in report["photos"]["skipped"]] == ["bro<b>ken.jpg"]
    assert [layer["name"] for layer in report["layers"]] == ["relu2_1", "relu3_1"]
    unit = report["layers"][1]["units"][2]
    assert unit["unit"] == 2 and len(unit["best"]) <= 9
    values = [b["activation"] for b in unit["best"]]
    assert values == sorted(values, reverse=True)
    assert unit["maximum"] == values[0] >= unit["mean"]


def test_crops_are_what_the_position_sees(done):
    run, _ = done
    for (layer, channel), tiles in run.cuts.tiles.items():
        for tile in tiles:
            field = run.fields[layer]
            scale = 80 / 64  # pixels of the file per pixel seen
            assert tile.box.width <= field * scale + 2
            assert 0 <= tile.box.left < tile.box.right <= 80
            assert 0 <= tile.box.top < tile.box.bottom <= 60
            wide, high = decoded(tile.crop).size
            assert (wide, high) == (tile.box.width, tile.box.height), (layer, channel)
            assert tile.signal


def test_the_page_needs_nothing_but_itself(page):
    reader = Reader(page)
    for tag, attributes in reader.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            if value is None:
                continue
            inner = value.startswith(("#", "data:image/webp;base64,"))
            sibling = tag == "a" and re.fullmatch(r"[\w%.-]+\.html", value)
            assert inner or sibling, (tag, name, value[:60])
    assert "@import" not in page and "url(" not in page
    assert not re.search(r"https?://", page)
    assert not reader.all("link") and not reader.all("iframe")
    assert len(reader.all("script")) == 2
    policy = reader.all("meta")[1]["content"] or ""
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_the_policy_lets_the_page_be_itself(page):
    """The digests are those of the style and the script that are in it."""
    import base64
    import hashlib

    for tag, kind in (("style", "style-src"), ("script", "script-src")):
        text = re.findall(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        assert len(text) == 1
        digest = base64.b64encode(hashlib.sha256(text[0].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in page
    for _, attributes in Reader(page).elements:
        assert "style" not in attributes, "the policy would drop it"
        assert not any(name.startswith("on") for name in attributes)


def test_names_of_strangers_stay_names(page, done):
    name = EVIL.replace("/", "∕")
    assert "<img src=x" not in page and "<script>alert" not in page
    assert "bro<b>ken" not in page and "bro&lt;b&gt;ken" in page
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    photos = json.loads(data[1])["photos"]
    shown = {p["name"] for p in photos.values()}
    assert name in shown | {n.name for n in done[0].survey.photos}
    assert "<" not in data[1]


def test_everything_can_be_reached_and_read(page):
    reader = Reader(page)
    assert all("alt" in image for image in reader.all("img"))
    tiles = [b for b in reader.all("button") if b.get("class") == "tile"]
    assert len(tiles) >= 4 * 9
    assert all(b.get("type") == "button" for b in tiles)
    alts = [i["alt"] for i in reader.all("img") if (i["alt"] or "").startswith("Unit")]
    assert len(alts) == len(tiles) and len(set(alts)) == len(alts)
    assert reader.all("html")[0]["lang"] == "en"
    assert any(a.get("class") == "skip" for a in reader.all("a"))
    current = [a for a in reader.all("a") if a.get("aria-current") == "page"]
    assert [a["href"] for a in current] == ["a%20report.html"]
    ids = [a["id"] for _, a in reader.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert "prefers-color-scheme: dark" in page
    for label in re.findall(r'byId\("([\w-]+)"\)', page):
        assert label in ids


def test_pages_are_bounded(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(cuts, "PAGE_BYTES", 60_000)
    run = job(folder, tmp_path, units="0-7", layers=("relu2_1",))
    for _ in run.events():
        pass
    text = run.pages({"": "x.html"})[""]
    pictures = re.findall(r"data:image/webp;base64,([\w+/=]+)", text)
    assert 20_000 < sum(len(p) * 3 / 4 for p in pictures) <= 60_000


def test_a_stopped_job_shows_what_there_is(folder, tmp_path):
    run = job(folder, tmp_path)
    assert run.begun is False
    events = run.events()
    for event in events:
        if isinstance(event, Step) and event.index == 5:
            break
    events.close()
    assert run.begun
    finished = run.finished(1.0, complete=False)
    assert finished.complete is False and finished.report["photos"]["seen"] == 4
    page = run.pages({"": "x.html", "-relu2_1": "y.html"})[""]
    assert "Stopped early, after looking at 4 of 13 photos" in page
    again = job(folder, tmp_path)
    for _ in again.events():
        pass
    assert again.survey.computed == 8


def test_units_that_are_shown_by_default_are_those_the_picture_excites(folder, tmp_path):
    run = job(folder, tmp_path, units=None, layers=("relu5_1",))
    values = run.own["relu5_1"].values
    assert len(run.units["relu5_1"]) == 32 == len(values)
    wide = FolderInspection(
        InspectSpec.build(image="p", photos=str(folder), layers=("relu4_1",), size=64),
        images.load(picture(99)), backbone=thin_vgg(width=8), cache=tmp_path,
    )  # fmt: skip
    values, chosen = wide.own["relu4_1"].values, wide.units["relu4_1"]
    assert len(chosen) == 32 < len(values) and chosen == sorted(chosen)
    left = np.delete(values, chosen)
    assert values[chosen].min() >= left.max()
    assert len(job(folder, tmp_path, units="all").units["relu3_1"]) == 16


def test_one_photo_and_a_unit_that_is_never_on(tmp_path):
    images.save(picture(1), tmp_path / "one.png")
    net = thin_vgg()
    conv = next(m for m in net.modules() if type(m).__name__ == "Conv")
    conv.bias[0] = -1e9
    spec = InspectSpec.build(image="p", photos=str(tmp_path), layers=("relu1_1",), units="0-1")
    run = FolderInspection(spec, images.load(picture(1)), backbone=net, cache=tmp_path / "c")
    *_, last = run.events()
    first, second = last.report["layers"][0]["units"]
    assert first["best"] == [] and first["maximum"] == 0 and len(second["best"]) == 1
    page = run.pages({"": "x.html"})[""]
    assert "Never on." in page and "your picture leaves it off" in page


def test_atlas_pictures_are_found_by_their_names(folder, tmp_path, done):
    for name in ("atlas-relu3_1-002.png", "relu3_1-c3.png", "xrelu3_1-1.png", "relu2_1-9.txt",
                 "dream.png", "a-relu2_1_unit0.png"):  # fmt: skip
        images.save(picture(2), tmp_path / f"{name}.png")
        (tmp_path / f"{name}.png").rename(tmp_path / name)
    found = atlas_pictures(tmp_path, ("relu2_1", "relu3_1"))
    assert {k: p.name for k, p in found.items()} == {
        ("relu3_1", 2): "atlas-relu3_1-002.png",
        ("relu3_1", 3): "relu3_1-c3.png",
        ("relu2_1", 0): "a-relu2_1_unit0.png",
    }
    run = job(folder, tmp_path / "cache", atlas=str(tmp_path), layers=("relu3_1",))
    for _ in run.events():
        pass
    page = run.pages({"": "x.html"})[""]
    assert page.count('class="atlas"') == 2
    with pytest.raises(InputError, match="no picture"):
        atlas_pictures(folder, ("relu2_1",))
    with pytest.raises(InputError, match="not a folder"):
        atlas_pictures(tmp_path / "nowhere", ("relu2_1",))


def test_requests_that_make_no_sense(folder, tmp_path):
    with pytest.raises(UsageError, match="no unit 40"):
        job(folder, tmp_path, units="3,40")
    for options, message in (
        ({"units": "5-3"}, "units must be all"),
        ({"units": "a"}, "units must be all"),
        ({"explain": "class"}, "exclude each other"),
        ({"method": "gradcam"}, "with --photos"),
        ({"cam_layer": "relu1_1"}, "goes with --explain"),
    ):
        with pytest.raises(UsageError, match=message):
            InspectSpec.build(image="p", photos="x", **options)
    with pytest.raises(UsageError, match="goes with --photos"):
        InspectSpec.build(image="p", units="1")
    assert InspectSpec.build(image="p", photos="x", units=(3, 1)).unit_numbers() == (1, 3)
    assert InspectSpec.build(image="p", photos="x", units="7,0-2").unit_numbers() == (0, 1, 2, 7)
    spec = InspectSpec.build(image="p", photos="x")
    with pytest.raises(UsageError, match="takes no log"):
        jobs.prepare(spec, OutputSpec.build(output=str(tmp_path / "x.html"), log="l.csv"))


def test_closing_the_job_keeps_what_is_done_and_resume_goes_on(folder, tmp_path, monkeypatch):
    """Through jobs.run, with the embedded network: pages, checkpoint, then the same to its end."""
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    images.save(picture(99), tmp_path / "mine.png")
    spec = InspectSpec.build(
        image=str(tmp_path / "mine.png"), photos=str(folder), layers=("relu1_1", "relu2_1"),
        units="0-1", size=64, device="cpu",
    )  # fmt: skip
    target = tmp_path / "r.html"
    output = OutputSpec.build(output=str(target))
    events = jobs.run(spec, output)
    for event in events:
        if isinstance(event, Step) and event.index == 6:
            break
    events.close()  # type: ignore[attr-defined]
    assert "Stopped early" in target.read_text() and (tmp_path / "r-relu1_1.html").is_file()
    assert outputs.checkpoint_path(str(target)).is_file()
    *_, last = jobs.run(spec, OutputSpec.build(output=str(target), resume=True))
    assert isinstance(last, Finished) and last.complete
    assert last.pages == (str(target), str(tmp_path / "r-relu1_1.html"))
    assert last.report["photos"]["computed"] == 12 - 5
    assert "Stopped early" not in target.read_text()
    assert not outputs.checkpoint_path(str(target)).exists()
    assert not list(tmp_path.glob("*.part"))
