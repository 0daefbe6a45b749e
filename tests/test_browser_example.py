"""The browser example in headless Chromium: a dropped photo is painted as torch paints it."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.networks import Card, FastNet, Model
from impasto.networks.fast import paint
from impasto.networks.onnx import export

pytestmark = pytest.mark.slow

PLACE = Path(__file__).resolve().parents[1] / "examples" / "browser"
SMALL = "width=8,blocks=1,half=6,full=4,styles=2"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without talking, modules and wasm under their types."""

    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module", params=[SMALL, SMALL + ",sight=1"], ids=["blind", "sight"])
def architecture(request: pytest.FixtureRequest) -> str:
    named: str = request.param
    return named


@pytest.fixture(scope="module")
def network(architecture: str) -> FastNet:
    draw = torch.Generator().manual_seed(1)
    made = FastNet.of(architecture).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.2
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def site(
    architecture: str, network: FastNet, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    place = tmp_path_factory.mktemp("browser") / "site"
    shutil.copytree(PLACE, place, ignore=shutil.ignore_patterns("node_modules", "*.onnx"))
    done = subprocess.run(["npm", "install", "--no-audit"], cwd=place, capture_output=True)
    if done.returncode:
        pytest.skip("npm cannot install onnxruntime-web here")
    (place / "names.json").write_text(json.dumps(["Night", "Day"]))
    export(Model(network, "fast", architecture, Card()), place / "model.onnx")
    handler = functools.partial(Quiet, directory=str(place))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.timeout(300)
def test_a_photo_is_painted_in_the_page(site: str, network: FastNet, tmp_path: Path) -> None:
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    photo = np.random.default_rng(0).integers(0, 255, (47, 66, 3), dtype=np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    with driver.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(site)
        ready = "document.getElementById('status').textContent === 'Ready'"
        page.wait_for_function(ready, timeout=120_000)
        assert page.locator("#styles label").all_inner_texts() == ["Night", "Day"]
        page.set_input_files("#file", tmp_path / "photo.png")
        painted = "/^66 x 47 in/.test(document.getElementById('status').textContent)"
        page.wait_for_function(painted, timeout=120_000)
        data = page.evaluate("document.getElementById('picture').toDataURL()")
        page.set_input_files("#file", {"name": "x.txt", "mimeType": "text/plain", "buffer": b"no"})
        page.wait_for_function("/no picture/.test(document.getElementById('status').textContent)")
        browser.close()
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))))[..., :3]
    given = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    want = paint(network, given)[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(shown - want).max() <= 0.5 + 1e-3 * 255  # the canvas holds whole numbers
