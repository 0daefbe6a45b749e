"""Real servers in processes of their own, and a client for them."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
OVER = ("done", "stopped", "paused", "failed", "cancelled")
TOKEN = "x-impasto-token"


class Studio:
    """A server on a free port; ``kill`` and ``start`` as often as one likes, on one port."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.root, self.settings = root, settings
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Studio:
        values = {"root": str(self.root), "port": self.port, **self.settings}
        env = os.environ | {"PYTHONPATH": str(HERE.parents[1] / "src"), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "host.py"), json.dumps(values)],
            env=env,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("http://"), line
        self.client = self.new_client()
        return self

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def new_client(self, **more: Any) -> httpx.Client:
        client = httpx.Client(base_url=self.base, timeout=200, **more)
        token = self.settings.get("token")
        if token is None:
            deadline = time.monotonic() + 20
            while True:
                try:
                    page = client.get("/").text
                    break
                except httpx.TransportError:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            found = re.search('name="impasto-token" content="(.+?)"', page)
            assert found, page
            token = found[1]
        client.headers[TOKEN] = token
        self.token = token
        return client

    def kill(self) -> None:
        """As by a power cut: nothing is told to anyone."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.client.close()

    def stop(self) -> int:
        """As by Ctrl-C."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(40)
        self.process.stdout.close()
        self.client.close()
        return code

    # What the tests do again and again

    def upload(self, data: bytes, name: str = "picture.png") -> str:
        answer = self.client.post("/api/uploads", params={"name": name}, content=data)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def add(self, verb: str, **spec: Any) -> dict[str, Any]:
        answer = self.client.post("/api/jobs", json={"verb": verb, "spec": spec})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def job(self, job_id: str) -> dict[str, Any]:
        return self.client.get(f"/api/jobs/{job_id}").json()

    def wait(self, job_id: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (job := self.job(job_id))["state"] not in (states or OVER):
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        return job

    def until_step(self, job_id: str, step: int) -> None:
        deadline = time.monotonic() + 60
        while len(self.client.get(f"/api/jobs/{job_id}/losses").json()) < step:
            assert time.monotonic() < deadline, self.job(job_id)
            time.sleep(0.03)


def free_port() -> int:
    with socket.socket() as bell:
        bell.bind(("127.0.0.1", 0))
        return bell.getsockname()[1]


@contextmanager
def serving(root: Path, **settings: Any) -> Iterator[Studio]:
    studio = Studio(root, **settings)
    try:
        yield studio.start()
    finally:
        studio.stop()


def png(width: int = 48, height: int = 40, seed: int = 0, **options: Any) -> bytes:
    """A picture with some structure; equal arguments give equal bytes."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
    stream = io.BytesIO()
    small.resize((width, height), Image.Resampling.BICUBIC).save(stream, "PNG", **options)
    return stream.getvalue()


def raw(port: int, lines: list[bytes], body: bytes = b"") -> tuple[int, bytes]:
    """A request as bytes, for what no client would send; the status and the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"\r\n".join([*lines, b"", b""]) + body)
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read()


def events(response: httpx.Response) -> Iterator[tuple[int, str, Any]]:
    """Number, kind and data of server-sent events."""
    entry: dict[str, str] = {}
    for line in response.iter_lines():
        if not line:
            if "data" in entry:
                yield int(entry["id"]), entry["event"], json.loads(entry["data"])
            entry = {}
            continue
        key, _, value = line.partition(": ")
        entry[key] = value
