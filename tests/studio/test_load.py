"""Many at once: jobs, uploads, listeners. With real workers and real pictures."""

from __future__ import annotations

import asyncio
import io
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from .serving import OVER, TOKEN, Studio, png, serving


def memory(pid: int) -> int:
    """Bytes in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def processes(studio: Studio) -> list[int]:
    assert studio.process is not None
    pid = studio.process.pid
    listed = Path(f"/proc/{pid}/task").glob("*/children")
    return [pid, *(int(p) for path in listed for p in path.read_text().split())]


def new_client(studio: Studio) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(
        base_url=studio.base, headers={TOKEN: studio.token}, timeout=300, limits=limits
    )


async def add_patiently(client: httpx.AsyncClient, body: dict[str, Any]) -> str:
    """A job, however often the queue is full."""
    key = {"idempotency-key": str(uuid.uuid4())}
    while True:
        answer = await client.post("/api/jobs", json=body, headers=key)
        if answer.status_code == 201:
            return str(answer.json()["id"])
        assert answer.status_code == 429, answer.text
        await asyncio.sleep(min(2.0, float(answer.headers["retry-after"])))


async def many(studio: Studio, clients: int, each: int) -> list[dict[str, Any]]:
    """So many clients with so many jobs; every client waits for its own."""

    async def one(number: int) -> list[dict[str, Any]]:
        async with new_client(studio) as client:
            body = {"verb": "filter", "spec": {"name": "posterise", "image": studio.photo}}
            found = []
            for i in range(each):
                body["spec"]["seed"] = number * each + i  # told apart in the history
                found.append(await add_patiently(client, body))
            jobs = []
            for job_id in found:
                while (job := (await client.get(f"/api/jobs/{job_id}")).json())[
                    "state"
                ] not in OVER:
                    await asyncio.sleep(0.5)
                jobs.append(job)
            return jobs

    return [job for jobs in await asyncio.gather(*map(one, range(clients))) for job in jobs]


def check_none_lost_or_doubled(studio: Studio, done: list[dict[str, Any]]) -> None:
    assert {job["state"] for job in done} == {"done"}
    listed, before = [], None
    while True:
        more = {"before": before} if before else {}
        page = studio.client.get("/api/jobs", params={"most": 500, **more}).json()["jobs"]
        listed += page
        if len(page) < 500:
            break
        before = page[-1]["number"]
    assert sorted(job["id"] for job in listed) == sorted(job["id"] for job in done)
    seeds = sorted(job["spec"]["seed"] for job in listed)
    assert seeds == list(range(len(done)))
    assert len({job["result"] for job in listed}) == len(done)


def test_some_clients_with_some_jobs(tmp_path):
    with serving(tmp_path, limits={"waiting": 10}) as studio:
        studio.photo = studio.upload(png(16, 16))
        check_none_lost_or_doubled(studio, asyncio.run(many(studio, 6, 4)))


@pytest.mark.slow
def test_fifty_clients_with_twenty_jobs_each(tmp_path):
    with serving(tmp_path, limits={"history": 2000}) as studio:
        studio.photo = studio.upload(png(16, 16))
        check_none_lost_or_doubled(studio, asyncio.run(many(studio, 50, 20)))


@pytest.mark.slow
def test_a_hundred_uploads_of_five_megabytes_at_once(tmp_path):
    rng = np.random.default_rng(0)

    def picture(seed: int) -> bytes:
        pixels = rng.integers(0, 256, (1300, 1300, 3), np.uint8)
        pixels[0, 0] = (seed % 256, seed // 256, 7)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG", compress_level=0)
        return stream.getvalue()

    plain = picture(0)
    assert 5_000_000 < len(plain) < 5_200_000
    pictures = [picture(i) for i in range(100)]
    with serving(tmp_path) as studio:
        studio.upload(png())
        peaks = [0]

        async def watch() -> None:
            while True:
                peaks.append(sum(memory(pid) for pid in processes(studio)))
                await asyncio.sleep(0.05)

        async def go() -> list[httpx.Response]:
            watching = asyncio.create_task(watch())
            async with new_client(studio) as client:
                asked = [client.post("/api/uploads", content=data) for data in pictures]
                answers = await asyncio.gather(*asked)
            watching.cancel()
            return answers

        before = sum(memory(pid) for pid in processes(studio))
        answers = asyncio.run(go())
        assert {a.status_code for a in answers} == {201}
        assert len({a.json()["id"] for a in answers}) == 100
        assert max(peaks) - before < 300_000_000, max(peaks)  # not 500 MB and more
        assert not list((tmp_path / "incoming").iterdir())


async def listen(studio: Studio, job_id: str, count: int) -> tuple[list[list[str]], float]:
    """What so many listeners hear, and how long the page takes to answer meanwhile."""

    async def one(client: httpx.AsyncClient) -> list[str]:
        async with client.stream("GET", f"/api/jobs/{job_id}/events") as answer:
            assert answer.status_code == 200
            lines = [line async for line in answer.aiter_lines()]
        return [line[7:] for line in lines if line.startswith("event: ")]

    async with new_client(studio) as client:
        asked = [asyncio.create_task(one(client)) for _ in range(count)]
        slowest = 0.0
        while not all(task.done() for task in asked):
            begun = time.monotonic()
            assert (await client.get("/")).status_code == 200
            slowest = max(slowest, time.monotonic() - begun)
            await asyncio.sleep(0.1)
        return [task.result() for task in asked], slowest


def listened(studio: Studio, count: int) -> None:
    photo, painting = studio.upload(png(48, 48)), studio.upload(png(48, 48, 1))
    studio.wait(studio.add("filter", name="posterise", image=photo)["id"])
    spec = {"content": photo, "style": [painting], "size": 40, "iterations": 40}
    job = studio.add("stylize", **spec)["id"]
    heard, slowest = asyncio.run(listen(studio, job, count))
    assert len(heard) == count
    for kinds in heard:
        assert kinds[-1] == "state" or kinds == ["snapshot"]
    assert sum("steps" in kinds for kinds in heard) > count * 0.9
    assert slowest < 10


def test_several_listeners_hear_the_same(studio: Studio):
    listened(studio, 8)


@pytest.mark.slow
def test_two_hundred_listeners(tmp_path):
    with serving(tmp_path) as studio:
        before = sum(memory(pid) for pid in processes(studio)[:1])
        listened(studio, 200)
        assert memory(processes(studio)[0]) - before < 200_000_000


def test_too_many_listeners_are_sent_away(tmp_path):
    with serving(tmp_path, limits={"listeners": 2}) as studio:
        photo, painting = studio.upload(png(48, 48)), studio.upload(png(48, 48, 1))
        spec = {"content": photo, "style": [painting], "size": 40, "iterations": 9000}
        path = f"/api/jobs/{studio.add('stylize', **spec)['id']}/events"
        with studio.client.stream("GET", path) as one, studio.client.stream("GET", path) as two:
            for answer in (one, two):
                assert answer.status_code == 200
                next(answer.iter_lines())
            third = studio.client.get(path)
            assert third.status_code == 429
            assert third.headers["retry-after"]
        deadline = time.monotonic() + 20
        while True:  # they have gone: there is room again
            with studio.client.stream("GET", path) as again:
                if again.status_code == 200:
                    break
            assert time.monotonic() < deadline
            time.sleep(0.2)
