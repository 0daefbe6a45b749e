"""kill -9 of workers and of the server: each job is done or goes on; none is lost or doubled."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from impasto import images, jobs, outputs
from impasto.studio import worker
from impasto.studio.child import Line

from .serving import Studio, png, serving

OUTPUT = "out.png"
PAINT = {"size": 48, "quality": "draft", "iterations": 16}


@pytest.fixture
def own(tmp_path):
    with serving(tmp_path / "s", checkpoint_seconds=0.1, preview_seconds=0.5) as studio:
        studio.photo, studio.painting = studio.upload(png(64, 48)), studio.upload(png(64, 64, 1))
        yield studio


def children(studio: Studio) -> list[int]:
    """Processes of the server that do jobs."""
    assert studio.process is not None
    listed = Path(f"/proc/{studio.process.pid}/task").glob("*/children")
    found = [int(pid) for path in listed for pid in path.read_text().split()]
    return [p for p in found if b"studio.worker" in Path(f"/proc/{p}/cmdline").read_bytes()]


def painted(studio: Studio, **more: Any) -> str:
    spec = {"content": studio.photo, "style": [studio.painting], **PAINT, **more}
    return studio.add("stylize", **spec)["id"]


def check_whole(studio: Studio, job: dict[str, Any], tmp_path: Path) -> None:
    """Done, with a whole picture, and every step taken once."""
    assert job["state"] == "done", job
    path = tmp_path / f"{job['id']}.png"
    path.write_bytes(studio.client.get(f"/api/results/{job['result']}").content)
    record = images.read_metadata(path)
    assert record is not None
    assert record["complete"] is True
    rows = studio.client.get(f"/api/jobs/{job['id']}/losses").json()
    places = [(r["scale"], r["step"]) for r in rows]
    assert places == sorted(set(places))
    assert places[-1][1] == job["spec"]["iterations"]


def test_a_worker_that_is_killed_is_replaced(own: Studio, tmp_path):
    job = painted(own, iterations=60)
    own.until_step(job, 8)
    for pid in children(own):
        os.kill(pid, signal.SIGKILL)
    done = own.wait(job, "done", "failed")
    check_whole(own, done, tmp_path)
    begun = [json.loads(line) for line in _log(own, job)]
    assert len(begun) == 60


def test_a_server_that_is_killed_goes_on(own: Studio, tmp_path):
    first = painted(own, iterations=60)
    second = painted(own, seed=1)
    key = {"idempotency-key": str(uuid.uuid4())}
    body = {"verb": "filter", "spec": {"name": "posterise", "image": own.photo}}
    third = own.client.post("/api/jobs", json=body, headers=key).json()["id"]
    own.until_step(first, 8)
    own.kill()
    own.start()
    assert own.client.post("/api/jobs", json=body, headers=key).json()["id"] == third
    for job in (first, second):
        check_whole(own, own.wait(job, "done", "failed"), tmp_path)
    listed = own.client.get("/api/jobs").json()["jobs"]
    assert [j["id"] for j in listed] == [third, second, first]
    assert listed[0]["state"] in ("done", "queued", "running")
    assert own.wait(third)["state"] == "done"


@pytest.mark.slow
def test_an_orderly_end_goes_on_too(own: Studio, tmp_path):
    job = painted(own, iterations=120)
    own.until_step(job, 10)
    assert own.stop() == 0
    assert outputs.checkpoint_path(str(own.root / "jobs" / job / OUTPUT)).exists()
    own.start()
    check_whole(own, own.wait(job, "done", "failed", seconds=200), tmp_path)


@pytest.mark.slow
def test_a_wish_to_stop_outlives_the_server(own: Studio):
    job = painted(own, iterations=5000)
    own.until_step(job, 12)
    own.client.post(f"/api/jobs/{job}/pause")
    own.kill()
    own.start()
    done = own.wait(job)
    assert done["state"] == "paused"
    assert done["result"]


def test_between_file_written_and_row_committed(own: Studio, tmp_path):
    """The two moments that matter: the outcome is there and the row is not, and before that."""
    job = painted(own)
    check_whole(own, own.wait(job), tmp_path)
    result = own.job(job)["result"]
    picture = own.client.get(f"/api/results/{result}").content
    own.stop()
    folder = own.root / "jobs" / job
    base = __import__("sqlite3").connect(own.root / "studio.sqlite")
    for outcome in (True, False):
        (folder / OUTPUT).write_bytes(picture)
        if outcome:
            kept = {"complete": True, "picture": True, "checkpoint": False, "notes": []}
            (folder / worker.OUTCOME).write_text(json.dumps(kept | {"seconds": 1.0}))
        with base:
            base.execute("UPDATE jobs SET state = 'running', result = NULL")
            base.execute("DELETE FROM pictures WHERE kind = 'result'")
        before = _log(own, job)
        own.start()
        done = own.wait(job)
        assert (done["state"], done["result"]) == ("done", result)
        assert _log(own, job) == before  # nothing was computed again
        own.stop()
    base.close()


@pytest.mark.slow
def test_a_job_that_always_ends_its_process_fails(own: Studio):
    """Three times without progress, once it could begin; the next job runs."""
    job = painted(own, iterations=5000)
    for _ in range(4000):
        for pid in children(own):
            if own.job(job)["state"] == "running" and _begun(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if own.job(job)["state"] == "failed":
            break
        time.sleep(0.05)
    failed = own.job(job)
    assert failed["state"] == "failed"
    assert "without progress" in failed["error"]["message"]
    quick = own.add("filter", name="posterise", image=own.photo)["id"]
    assert own.wait(quick)["state"] == "done"


@pytest.mark.slow
def test_workers_that_never_begin_are_given_up(own: Studio):
    """No job is blamed for the first of them, but it is not tried for ever."""
    job = painted(own)
    seen: set[int] = set()
    deadline = time.monotonic() + 120
    while own.job(job)["state"] not in ("failed", "done") and time.monotonic() < deadline:
        for pid in children(own):
            seen.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    failed = own.job(job)
    assert failed["state"] == "failed"
    assert "before they could begin" in failed["error"]["message"]
    assert len(seen) >= 10
    quick = own.add("filter", name="posterise", image=own.photo)["id"]
    assert own.wait(quick)["state"] == "done"


@pytest.mark.slow
def test_a_damaged_checkpoint_costs_no_job(own: Studio, tmp_path):
    job = painted(own, iterations=60)
    own.until_step(job, 10)
    workers = children(own)
    own.kill()
    for _ in range(200):  # one that is still writing would mend what is damaged here
        if not any(Path(f"/proc/{pid}/exe").exists() for pid in workers):
            break
        time.sleep(0.05)
    path = outputs.checkpoint_path(str(own.root / "jobs" / job / OUTPUT))
    path.write_bytes(b"damaged")
    own.start()
    done = own.wait(job, "done", "failed")
    check_whole(own, done, tmp_path)
    assert any("began anew" in note for note in done["notes"])


def test_nobody_works_on_without_a_server(own: Studio):
    job = painted(own, iterations=100_000)
    own.until_step(job, 5)
    pids = children(own)
    assert pids
    own.kill()
    deadline = time.monotonic() + 30
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_libraries_print_disturbs_nothing(capfd, monkeypatch):
    """The line to the server is not standard output."""
    script = (
        "import os; from impasto.studio.child import Line; l = Line(); print('noise');"
        "os.write(1, b'more noise\\n'); l.say(kind='clear'); assert l.hear() is None"
    )
    import subprocess
    import sys

    source = str(Path(jobs.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=b"",
        capture_output=True,
        env=os.environ | {"PYTHONPATH": source},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == b'{"kind": "clear"}\n'
    assert b"more noise" in done.stderr
    assert Line is not None


@pytest.mark.slow
def test_random_ends(tmp_path):
    """A server and workers that are killed at random moments, while a client goes on asking."""
    rng = random.Random(4)
    studio = Studio(tmp_path / "s", checkpoint_seconds=0.05).start()
    studio.photo, studio.painting = studio.upload(png(64, 48)), studio.upload(png(64, 64, 1))
    wanted: dict[str, dict[str, Any]] = {}
    for i in range(12):
        spec = {"content": studio.photo, "style": [studio.painting], **PAINT, "seed": i}
        wanted[str(uuid.uuid4())] = {"verb": "stylize", "spec": spec}
        spec = {"name": "posterise", "image": studio.photo, "size": 32 + i}
        wanted[str(uuid.uuid4())] = {"verb": "filter", "spec": spec}
    known: dict[str, str] = {}
    for _ in range(14):
        for key, body in wanted.items():
            try:
                head = {"idempotency-key": key}
                known[key] = studio.client.post("/api/jobs", json=body, headers=head).json()["id"]
            except httpx.TransportError:
                break
        time.sleep(rng.uniform(0.1, 2.5))
        if rng.random() < 0.5:
            for pid in children(studio):
                os.kill(pid, signal.SIGKILL)
        else:
            studio.kill()
            studio.start()
    for key, body in wanted.items():
        head = {"idempotency-key": key}
        job = studio.client.post("/api/jobs", json=body, headers=head).json()["id"]
        assert known.get(key, job) == job
        done = studio.wait(job, "done", "failed", seconds=200)
        assert done["state"] == "done", done
        if body["verb"] == "stylize":
            check_whole(studio, done, tmp_path)
    listed = studio.client.get("/api/jobs", params={"most": 500}).json()["jobs"]
    assert len(listed) == len(wanted)
    assert len({job["id"] for job in listed}) == len(wanted)
    results = [job["result"] for job in listed]
    assert len(set(results)) == len(results)
    studio.stop()


def _log(studio: Studio, job: str) -> list[bytes]:
    return (studio.root / "jobs" / job / worker.LOSSES).read_bytes().splitlines()


def _begun(pid: int) -> bool:
    """Whether a worker holds a job."""
    try:
        return any(p.readlink().name == worker.LOCK for p in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
