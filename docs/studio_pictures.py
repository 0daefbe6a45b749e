"""Takes the pictures of ``docs/studio.md``: a real studio, a real painting, a headless Chromium.

``python docs/studio_pictures.py [FOLDER]`` writes wide.jpg, narrow.jpg, dark.jpg and chinese.jpg
(by default into docs/gallery/studio). ``--size`` and ``--quality`` of what is painted can be set
by the variables SIZE and QUALITY; the pictures in the documentation were taken with the defaults.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

FOLDER = Path(__file__).parent / "gallery" / "studio"
SIZE, QUALITY = os.environ.get("SIZE", "320"), os.environ.get("QUALITY", "draft")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
#: Longest that a painting may take, ms.
PATIENCE = 600_000


def main(folder: Path) -> None:
    """Start a studio, paint, and look at it in four ways."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        command = [sys.executable, "-m", "impasto", "studio", "--port", "0", "--data", data]
        studio = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert studio.stdout is not None
            address = studio.stdout.readline().strip()
            path = os.environ.get("IMPASTO_CHROMIUM") or shutil.which("chromium")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
                looks(browser, address, folder)
                browser.close()
        finally:
            studio.terminate()
            studio.wait()


def looks(browser: Browser, address: str, folder: Path) -> None:
    """The pictures one after the other."""
    page = opened(browser, address, width=1400, height=880)
    paint(page)
    shot(page, folder / "wide.jpg")
    page.locator(".tabs a", has_text="Filter").click()
    first_sample(page, "harbour")
    page.locator(".card", has_text="Watercolour").click()
    page.locator("#go").click()
    page.wait_for_selector(".work[data-state=done]", timeout=PATIENCE)
    again = opened(browser, address, width=1400, height=880, color_scheme="dark")
    choose_newest(again)
    shot(again, folder / "dark.jpg")
    phone = opened(browser, address, width=400, height=860, has_touch=True)
    choose_newest(phone, place=1)
    phone.evaluate("window.scrollTo(0, 0)")
    shot(phone, folder / "narrow.jpg")
    chinese = opened(browser, address, width=1400, height=880, locale="zh-CN")
    choose_newest(chinese, place=1)
    chinese.locator(".again").click()
    shot(chinese, folder / "chinese.jpg")


def opened(browser: Browser, address: str, *, width: int, height: int, **more: Any) -> Page:
    """A new window on the studio."""
    size = {"width": width, "height": height}
    context = browser.new_context(**({"viewport": size, "locale": "en-GB"} | more))
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#go")
    return page


def paint(page: Page) -> None:
    """A photo and a painting of our own, to the end."""
    first_sample(page, "harbour")
    page.locator("fieldset", has_text="Paintings").first.locator(".add").click()
    page.locator("dialog button", has_text="nocturne").click()
    expect(page.locator(".slot img")).to_have_count(2, timeout=60_000)
    page.locator("input[placeholder=px]").fill(SIZE)
    page.locator(".choices label", has_text=re.compile(f"^{QUALITY}$")).click()
    page.locator("#go").click()
    page.wait_for_selector(".work[data-state=done]", timeout=PATIENCE)
    page.locator(".bench-body").evaluate("e => e.scrollTo(0, 0)")


def first_sample(page: Page, name: str) -> None:
    """A sample into the first slot."""
    page.locator(".add").first.click()
    page.locator("dialog button", has_text=name).click()
    expect(page.locator(".slot img").first).to_be_visible(timeout=60_000)


def choose_newest(page: Page, place: int = 0) -> None:
    """A piece of the history onto the easel."""
    page.locator(".piece > button:first-child").nth(place).click()
    page.locator(".pane.right img").wait_for()


def shot(page: Page, path: Path) -> None:
    """What the window shows, as a JPEG."""
    page.wait_for_timeout(6000)  # until what was said has gone
    raw = path.with_suffix(".png")
    page.screenshot(path=raw)
    Image.open(raw).convert("RGB").save(path, quality=86, optimize=True)
    raw.unlink()
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
