"""A folder for weights of each test's own, and a web server with faults."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@pytest.fixture
def weights_folder(tmp_path, monkeypatch) -> Path:
    """Empty, and the only place besides packages where weights are looked for."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("IMPASTO_HOME", "IMPASTO_MIRROR", "IMPASTO_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return folder


@dataclass
class Site:
    """What a server has and how it misbehaves.

    Attributes:
        files: Path to content.
        cut: Path to the number of bytes after which each connection is cut, one item a request;
            None is no cut.
        ranges: Whether requests for a part are honoured.
        delay: Event that must be set before an answer's second half is sent.
        requests: ``(path, Range header)`` of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, list[int | None]] = field(default_factory=dict)
    ranges: bool = True
    delay: threading.Event | None = None
    requests: list[tuple[str, str]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        wanted = self.headers.get("Range", "")
        site.requests.append((self.path, wanted))
        content = site.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        if not site.ranges:
            start = 0
        if start and start >= len(content):
            self.send_error(416)
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        self.end_headers()
        plan = site.cut.get(self.path) or [None]
        limit = plan.pop(0) if len(plan) > 1 else plan[0]
        if limit is not None:
            self.wfile.write(body[:limit])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        if site.delay is not None:
            site.delay.wait(20)
        self.wfile.write(body[len(body) // 2 :])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def make_site() -> Iterator:
    """Call for a server on a free port of this machine."""
    servers = []

    def make() -> Site:
        site = Site()
        handler = type("Handler", (_Handler,), {"site": site})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        site.url = f"http://127.0.0.1:{server.server_address[1]}"
        servers.append((server, thread))
        return site

    yield make
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(5)
