"""The page in a real browser, headless; skips where there is none."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from impasto import jobs

from .serving import Studio, png, serving

playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

WIDE, NARROW = {"width": 1280, "height": 820}, {"width": 390, "height": 800}
SECONDS = 90_000


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("IMPASTO_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    path = chromium()
    if path is None:
        pytest.skip("no Chromium on this machine")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    with playwright.sync_playwright() as found:
        started = found.chromium.launch(executable_path=path, args=flags)
        yield started
        started.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Iterator[Studio]:
    with serving(tmp_path_factory.mktemp("page"), preview_seconds=0.1) as studio:
        yield studio


@pytest.fixture
def page(browser, house: Studio):
    """A page; errors in it, and anything it asks of other machines, fail the test."""
    context = browser.new_context(viewport=WIDE, locale="en-GB")
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on(
        "request",
        lambda r: None if r.url.startswith((house.base, "blob:")) else wrong.append(r.url),
    )
    tab.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    tab.set_default_timeout(SECONDS)
    expect.set_options(timeout=SECONDS)
    tab.goto(house.base)
    tab.wait_for_selector("#go")
    yield tab
    context.close()
    assert wrong == []


def give(page, tmp_path: Path, legend: str, name: str, seed: int, size=(64, 48)) -> None:
    """A file through the chooser, as a person does it."""
    path = tmp_path / name
    path.write_bytes(png(*size, seed=seed))
    slot = page.locator("fieldset", has=page.locator("legend", has_text=legend)).first
    slot.locator(".add").click()
    with page.expect_file_chooser() as chooser:
        page.locator("dialog .go").click()
    chooser.value.set_files(path)
    expect(slot.locator(".slot img").last).to_be_visible()


def set_small(page, steps: int) -> None:
    page.locator("input[placeholder=px]").fill("48")
    page.locator("details.fold").evaluate("e => e.open = true")
    page.get_by_label("Iterations").fill(str(steps))


@pytest.fixture
def ready(page, tmp_path):
    give(page, tmp_path, "Your photo", "photo.png", 1)
    give(page, tmp_path, "Paintings", "painting.png", 2)
    expect(page.locator("#go")).to_have_attribute("aria-disabled", "false")
    return page


def test_from_the_upload_to_the_slider(ready, house: Studio):
    page = ready
    set_small(page, 5)
    page.locator(".choices label", has_text="photo's").click()
    page.locator("#go").click()
    page.wait_for_selector(".work[data-state=done]")
    job = house.client.get("/api/jobs").json()["jobs"][0]
    assert job["spec"]["colors"] == "content"
    assert (job["spec"]["size"], job["spec"]["iterations"]) == (48, 5)
    expect(page.locator(f'.pane.right img[src*="{job["result"]}"]')).to_be_visible()
    line = page.locator(".divide")
    cut = page.locator(".pane.left").evaluate("e => e.style.clipPath")
    line.focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert page.locator(".pane.left").evaluate("e => e.style.clipPath") != cut
    percent = page.locator(".percent").inner_text()
    page.locator(".frame").focus()
    page.keyboard.press("+")
    assert page.locator(".percent").inner_text() != percent
    page.keyboard.press("0")
    assert page.locator(".percent").inner_text() == percent
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator(".window")).to_have_count(2)
    page.locator(".download").click()
    with page.expect_download() as download:
        page.locator(".menu a", has_text="WEBP").click()
    assert Path(download.value.path()).read_bytes()[8:12] == b"WEBP"


@pytest.mark.slow
def test_it_grows_while_one_watches_and_stops_when_asked(ready, house: Studio):
    page = ready
    set_small(page, 4000)
    page.locator("#go").click()
    page.wait_for_selector('.pane.right img[src*="preview"]')
    first = page.locator(".pane.right img").get_attribute("src")
    expect(page.locator(".pane.right img")).not_to_have_attribute("src", first)
    expect(page.locator(".curve path")).to_have_attribute("d", re.compile("L"))
    expect(page.locator(".where")).to_contain_text("left")
    page.get_by_role("button", name="Pause").click()
    page.wait_for_selector(".work[data-state=paused]")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector(".work[data-state=running]")
    page.get_by_role("button", name="Stop and keep").click()
    page.wait_for_selector(".work[data-state=stopped]")
    job = house.client.get("/api/jobs").json()["jobs"][0]
    assert (job["state"], job["resumable"]) == ("stopped", True)
    expect(page.locator(f'.pane.right img[src*="{job["result"]}"]')).to_be_visible()
    expect(page.locator(".piece .state").first).to_have_text("stopped")


def test_another_verb_has_its_page_from_its_spec(page, house: Studio, tmp_path):
    tabs = page.locator(".tabs a")
    links = [tabs.nth(i).get_attribute("href") for i in range(tabs.count())]
    assert links == [f"#{verb}" for verb in jobs.VERBS.names()]
    for link in links:
        page.goto(house.base + "/" + link)
        expect(page.locator(".tabs a[aria-current]")).to_have_attribute("href", link)
        expect(page.locator(".bench-body > *").first).to_be_visible()
    page.locator(".tabs a", has_text="Filter").click()
    give(page, tmp_path, "Your photo", "other.png", 3)
    page.locator(".card", has_text="Poster").click()
    page.get_by_label("Colours").first.fill("3")
    page.locator("#go").click()
    page.wait_for_selector(".work[data-state=done]")
    job = house.client.get("/api/jobs").json()["jobs"][0]
    assert (job["verb"], job["spec"]["name"]) == ("filter", "posterise")
    assert job["spec"]["set"] == ["colours=3"]


@pytest.mark.slow
def test_history_outlives_the_server_and_settings_come_back(page, house: Studio):
    photo, painting = house.upload(png(64, 48, 1)), house.upload(png(64, 64, 2))
    words = {"content": photo, "style": [painting], "size": 40, "iterations": 3, "seed": 7}
    made = house.wait(house.add("stylize", **words, quality="draft")["id"])
    count = len(house.client.get("/api/jobs").json()["jobs"])
    house.kill()
    house.start()
    page.goto(house.base)
    expect(page.locator(".piece")).to_have_count(count)
    page.locator(".piece button").first.click()
    expect(page.locator(f'.pane.right img[src*="{made["result"]}"]')).to_be_visible()
    page.locator(".again").click()
    expect(page.locator(".slot img")).to_have_count(2)
    page.locator("details.fold").evaluate("e => e.open = true")
    assert page.get_by_label("Iterations").input_value() == "3"
    assert page.get_by_label("Seed").input_value() == "7"
    page.locator("#go").click()
    expect(page.locator(".piece")).to_have_count(count + 2)  # the instant one, and this
    again = house.wait(house.client.get("/api/jobs").json()["jobs"][0]["id"])
    assert again["id"] != made["id"]
    assert again["spec"] == made["spec"]
    expect(page.locator(f'.pane.right img[src*="{again["result"]}"]')).to_be_visible()
    # Two of them beside each other.
    page.locator(".compare").click()
    page.locator(f'.piece[data-job="{made["id"]}"] button').first.click()
    expect(page.locator(".window")).to_have_count(2)
    expect(page.locator(".tag")).to_have_text([f"№ {again['number']}", f"№ {made['number']}"])


def test_a_result_that_is_dropped_gives_its_settings(page, house: Studio, tmp_path):
    photo = house.upload(png(64, 48, 1))
    made = house.wait(house.add("filter", name="sketch", image=photo, size=50, seed=3)["id"])
    path = tmp_path / "result.png"
    path.write_bytes(house.client.get(f"/api/results/{made['result']}").content)
    page.evaluate(DROP, [list(path.read_bytes()), "result.png"])
    page.locator("#restore").click()
    expect(page.locator(".tabs a[aria-current]")).to_have_text("Filter")
    assert page.locator(".card input:checked").input_value() == "sketch"
    expect(page.locator("input[placeholder=px]")).to_have_value("50")
    expect(page.locator(".slot img")).to_have_count(1)


DROP = """([bytes, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
}"""
PASTE = """([bytes, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  window.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
}"""
SCRIPT = '"><img src=x onerror="document.title=1">.png'


def test_pasted_pictures_fill_the_slots_and_names_stay_text(page):
    page.evaluate(PASTE, [list(png(30, 30, 11)), SCRIPT])
    expect(page.locator(".slot img")).to_have_count(1)
    page.evaluate(PASTE, [list(png(30, 30, 12)), "second.png"])
    expect(page.locator(".slot img")).to_have_count(2)
    assert page.locator("img[src=x]").count() == 0
    assert page.title().startswith("impasto")


def test_a_mask_is_painted_with_pointer_and_keys(ready, house: Studio):
    page = ready
    page.locator("details.fold").evaluate("e => e.open = true")
    page.get_by_role("button", name="Keep a part of the photo").click()
    pad = page.locator(".brushpad")
    pad.focus()
    page.keyboard.press("Space")
    box = pad.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 3, box["y"] + 10)
    page.mouse.up()
    page.get_by_role("button", name="Done", exact=True).click()
    expect(page.locator(".pill.set")).to_be_visible()
    set_small(page, 2)
    page.locator("#go").click()
    page.wait_for_selector(".work[data-state=done]")
    spec = house.client.get("/api/jobs").json()["jobs"][0]["spec"]
    mask = house.client.get(f"/api/pictures/{spec['keep']}/about").json()
    assert mask["width"] == 64


def test_in_chinese_and_back(page):
    page.locator("#language").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("#go")).to_have_text("开始绘画")
    expect(page.locator(".tabs a").first).to_have_text("绘画")
    page.reload()
    expect(page.locator("#go")).to_have_text("开始绘画")
    page.locator("#language").click()
    expect(page.locator("#go")).to_have_text("Paint")


def test_both_languages_say_everything():
    from impasto.studio.catalogue import STATIC

    def keys(name: str) -> set[str]:
        text = (STATIC / "lang" / name).read_text(encoding="utf-8")
        return set(re.findall(r'^  "?([\w.]+)"?:', text, flags=re.MULTILINE))

    english, chinese = keys("en.js"), keys("zh.js")
    assert len(english) > 100
    assert english <= chinese
    used: set[str] = set()
    for path in STATIC.glob("*.js"):
        used |= set(re.findall(r'\bt\("([\w.]+)"', path.read_text(encoding="utf-8")))
    assert used <= english


def test_everything_has_a_name_and_can_be_reached_by_keys(ready):
    page = ready
    nameless = page.evaluate(NAMELESS)
    assert nameless == []
    page.locator(".tabs a").first.focus()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert "go" in reached
    assert "frame " in {f"{name} ".replace("  ", " ") for name in reached}
    assert page.locator("[aria-live=polite]").count() == 1


NAMELESS = """() => [...document.querySelectorAll("button, a, input, select, [role=img]")]
  .filter((e) => e.checkVisibility() && !(
    e.ariaLabel || e.title || e.textContent.trim() || e.labels?.length || e.id === "language"))
  .map((e) => e.outerHTML.slice(0, 200))"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(browser, house: Studio, scheme):
    context = browser.new_context(viewport=NARROW, color_scheme=scheme, has_touch=True)
    page = context.new_page()
    page.goto(house.base)
    page.wait_for_selector("#go")
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert page.locator("#go").bounding_box()["y"] < NARROW["height"]
    pairs = page.evaluate(COLOURS)
    for name, (ink, paper) in pairs.items():
        assert contrast(ink, paper) >= 4.5, (name, ink, paper)
    context.close()


COLOURS = """() => {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  const pairs = [["--ink", "--paper"], ["--soft", "--paper"], ["--soft", "--sheet"],
    ["--soft", "--wall"], ["--on-accent", "--accent"], ["--accent", "--tint"],
    ["--warm", "--sheet"], ["--accent", "--sheet"]];
  return Object.fromEntries(pairs.map(([a, b]) => [a + b, [of(a), of(b)]]));
}"""


def contrast(one: str, two: str) -> float:
    """WCAG 2.1: ratio of relative luminances."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((light(one), light(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_an_instant_picture_comes_first_where_there_is_a_method_for_it(page, house: Studio):
    for seed in (21, 22):
        page.evaluate(PASTE, [list(png(48, 48, seed)), f"{seed}.png"])
        expect(page.locator(".slot img")).to_have_count(seed - 20)
    set_small(page, 3)
    before = len(house.client.get("/api/jobs").json()["jobs"])
    page.locator("#go").click()
    page.wait_for_selector(".work[data-state=done]")
    made = house.client.get("/api/jobs").json()["jobs"]
    assert len(made) == before + 2
    slow, quick = made[0], made[1]
    assert (quick["spec"]["recipe"], slow["spec"]["iterations"]) == ("instant", 3)
    assert "iterations" not in quick["spec"]
    assert house.wait(quick["id"])["state"] == "done"
