"""The life of a job, over HTTP, with real workers."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path

import httpx
import pytest

from impasto import images
from impasto.studio.store import Full, PictureRow, Store

from .serving import OVER, Studio, events, png, serving

#: Long enough to be stopped in the middle, however fast the machine.
LONG = {"size": 48, "iterations": 3000, "quality": "draft"}


def test_a_filter_from_the_upload_to_the_result(studio: Studio, photo, tmp_path):
    job = studio.add("filter", name="posterise", image=photo, size=40)
    done = studio.wait(job["id"])
    assert (done["state"], done["share"], done["error"]) == ("done", 1.0, None)
    result = studio.client.get(f"/api/results/{done['result']}", params={"download": True})
    assert "attachment" in result.headers["content-disposition"]
    path = tmp_path / "out.png"
    path.write_bytes(result.content)
    assert images.load(path).size == (30, 40)
    record = images.read_metadata(path)
    assert record is not None
    assert (record["verb"], record["complete"]) == ("filter", True)
    again = studio.client.post("/api/uploads", content=result.content).json()["settings"]
    assert again == {"verb": "filter", "spec": job["spec"], "missing": []}


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "avif", "tif"])
def test_a_result_in_every_format(studio: Studio, photo, ending, tmp_path):
    job = studio.wait(studio.add("filter", name="posterise", image=photo)["id"])
    answer = studio.client.get(f"/api/results/{job['result']}", params={"format": ending})
    path = tmp_path / f"out.{ending}"
    path.write_bytes(answer.content)
    picture = images.load(path)
    assert picture.size == (48, 64)
    assert answer.headers["content-type"].startswith("image/")
    kept = ending in ("png", "jpg", "webp")
    assert (images.read_metadata(path) is not None) == kept


@pytest.fixture(scope="module")
def painted(studio: Studio, photo: str, painting: str) -> dict:
    """A stylization, listened to from its beginning."""
    job = studio.add("stylize", content=photo, style=[painting], size=48, iterations=6)
    with studio.client.stream("GET", f"/api/jobs/{job['id']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        heard = list(events(response))
    return {"job": job, "heard": heard}


def test_events_tell_of_a_job_as_it_goes(studio: Studio, painted):
    kinds = [kind for _, kind, _ in painted["heard"]]
    assert kinds[0] == "snapshot"
    assert kinds[-1] == "state"
    assert {"started", "scale", "steps", "preview"} <= set(kinds)
    rows = [row for _, kind, data in painted["heard"] if kind == "steps" for row in data["rows"]]
    shape = next(data for _, kind, data in painted["heard"] if kind == "started")["scales"]
    assert len(rows) == sum(steps for _, _, steps in shape)
    assert all(row["loss"] > 0 for row in rows)
    assert painted["heard"][-1][2]["state"] == "done"
    numbers = [number for number, _, _ in painted["heard"]]
    assert numbers == sorted(set(numbers))
    kept = studio.client.get(f"/api/jobs/{painted['job']['id']}/losses").json()
    assert [(r["scale"], r["step"]) for r in kept] == [(r["scale"], r["step"]) for r in rows]


def test_a_listener_that_comes_back_misses_nothing(studio: Studio, painted):
    heard, path = painted["heard"], f"/api/jobs/{painted['job']['id']}/events"
    for seen in (1, len(heard) // 2, len(heard) - 1):
        number = heard[seen - 1][0]
        with studio.client.stream("GET", path, headers={"last-event-id": str(number)}) as response:
            assert list(events(response)) == heard[seen:]
    last = {"last-event-id": str(heard[-1][0])}
    assert studio.client.get(path, headers=last).status_code == 204
    for odd in ("0", "-5", "abc", "9" * 30, "1.5"):
        with studio.client.stream("GET", path, headers={"last-event-id": odd}) as response:
            assert next(events(response))[1] in ("snapshot", "state")


def test_asked_too_late_for_a_preview_one_gets_the_result(studio: Studio, painted):
    job = studio.wait(painted["job"]["id"], "done")
    path = f"/api/jobs/{job['id']}/preview"
    for _ in range(50):  # the folder is tidied up a moment after the end
        late = studio.client.get(path, follow_redirects=False)
        if late.status_code == 307:
            break
        time.sleep(0.1)
    assert late.headers["location"] == f"/api/pictures/{job['result']}?size=view"
    assert studio.client.get(path, follow_redirects=True).status_code == 200


def test_stopping_keeps_the_picture_and_going_on_ends_it(studio: Studio, photo, painting):
    job = studio.add("stylize", content=photo, style=[painting], **LONG)
    studio.until_step(job["id"], 3)
    assert studio.client.get(f"/api/jobs/{job['id']}/preview").content[8:12] == b"WEBP"
    paused = studio.client.post(f"/api/jobs/{job['id']}/pause").json()
    assert paused["wanted"] == "pause"
    paused = studio.wait(job["id"])
    assert (paused["state"], paused["resumable"]) == ("paused", True)
    assert studio.client.get(f"/api/results/{paused['result']}").status_code == 200
    rows = len(studio.client.get(f"/api/jobs/{job['id']}/losses").json())
    assert studio.client.post(f"/api/jobs/{job['id']}/continue").json()["state"] in (
        "queued",
        "running",
    )
    studio.until_step(job["id"], rows + 5)
    assert studio.client.post(f"/api/jobs/{job['id']}/cancel").status_code == 200
    stopped = studio.wait(job["id"])
    assert stopped["state"] == "stopped"
    assert stopped["result"] != paused["result"]
    kept = studio.client.get(f"/api/jobs/{job['id']}/losses").json()
    places = [(row["scale"], row["step"]) for row in kept]
    assert places == sorted(set(places))  # it went on where it was, no step twice
    assert studio.client.post(f"/api/jobs/{job['id']}/cancel").json()["state"] == "stopped"


def test_a_result_can_be_gone_on_from_at_a_larger_size(studio: Studio, painted, photo, painting):
    small = studio.job(painted["job"]["id"])["result"]
    more = {"size": 64, "iterations": 2, "init": small, "scales": 1}
    job = studio.add("stylize", content=photo, style=[painting], **more)
    done = studio.wait(job["id"])
    assert done["state"] == "done"
    rows = studio.client.get(f"/api/jobs/{job['id']}/losses").json()
    assert [(row["scale"], row["step"]) for row in rows] == [(1, 1), (1, 2)]
    about = studio.client.get(f"/api/pictures/{done['result']}/about").json()
    assert (about["width"], about["height"]) == (64, 48)


def test_jobs_that_wait_are_cancelled_at_once(studio: Studio, photo, painting):
    first = studio.add("stylize", content=photo, style=[painting], **LONG)
    second = studio.add("filter", name="posterise", image=photo)
    assert second["ahead"] >= 1
    assert studio.client.post(f"/api/jobs/{second['id']}/cancel").json()["state"] == "cancelled"
    assert studio.client.delete(f"/api/jobs/{first['id']}").status_code == 409
    studio.client.post(f"/api/jobs/{first['id']}/cancel")
    assert studio.wait(first["id"])["state"] in ("stopped", "cancelled")
    assert studio.job(second["id"])["result"] is None
    assert studio.client.post(f"/api/jobs/{second['id']}/continue").status_code == 409


def test_a_job_that_cannot_be_done_says_why_and_the_next_one_runs(studio: Studio, photo, painting):
    wrong = studio.add("stylize", content=photo, style=[painting], backbone="nonesuch")
    too_large = studio.add("filter", name="reinhard", image=photo)
    failed = studio.wait(wrong["id"])
    assert failed["state"] == "failed"
    assert failed["error"]["type"] == "UnknownName"
    assert "nonesuch" in failed["error"]["message"]
    assert "second picture" in studio.wait(too_large["id"])["error"]["message"]
    assert studio.wait(studio.add("filter", name="posterise", image=photo)["id"])["result"]


def test_asked_twice_there_is_one_job(studio: Studio, photo):
    key = {"idempotency-key": str(uuid.uuid4())}
    body = {"verb": "filter", "spec": {"name": "posterise", "image": photo}}
    first = studio.client.post("/api/jobs", json=body, headers=key)
    second = studio.client.post("/api/jobs", json=body, headers=key)
    assert first.json()["id"] == second.json()["id"]


def test_a_job_is_removed_with_its_picture(studio: Studio, photo):
    job = studio.wait(studio.add("filter", name="kuwahara", image=photo, size=33)["id"])
    assert studio.client.delete(f"/api/uploads/{photo}").status_code == 409
    assert studio.client.delete(f"/api/uploads/{job['result']}").status_code == 409
    assert studio.client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert studio.client.get(f"/api/jobs/{job['id']}").status_code == 404
    assert studio.client.get(f"/api/results/{job['result']}").status_code == 404
    assert not (studio.root / "jobs" / job["id"]).exists()


def test_more_than_pictures(studio: Studio, photo):
    """A verb that finds numbers and makes a second picture: inspect."""
    spec = {"image": photo, "size": 32, "invert": "relu1_1", "invert_size": 32, "iterations": 1}
    job = studio.add("inspect", layers=["relu1_1"], classifier="none", **spec)
    done = studio.wait(job["id"], seconds=120)
    assert done["state"] == "done", done
    assert [other["name"] for other in done["others"]] == ["invert"]
    assert studio.client.get(f"/api/results/{done['others'][0]['id']}").status_code == 200
    assert done["report"]["layers"]
    assert done["report"]["tables"]


def test_the_queue_is_bounded(tmp_path):
    with serving(tmp_path, limits={"waiting": 3}) as studio:
        photo = studio.upload(png())
        body = {"verb": "filter", "spec": {"name": "posterise", "image": photo}}
        answers = [studio.client.post("/api/jobs", json=body) for _ in range(8)]
        full = [a for a in answers if a.status_code == 429]
        assert full
        assert int(full[0].headers["retry-after"]) > 0
        for answer in answers:
            if answer.status_code == 201:
                assert studio.wait(answer.json()["id"])["state"] == "done"


def test_the_oldest_go_when_there_are_too_many(tmp_path):
    with serving(tmp_path, limits={"history": 3}) as studio:
        photo = studio.upload(png())
        done = [
            studio.wait(studio.add("filter", name="posterise", image=photo, size=32 + i)["id"])
            for i in range(5)
        ]
        left = [job["id"] for job in studio.client.get("/api/jobs").json()["jobs"]]
        assert left == [job["id"] for job in reversed(done[2:])]
        assert studio.client.get(f"/api/results/{done[0]['result']}").status_code == 404
        assert len(list((tmp_path / "jobs").iterdir())) == 3
        assert studio.client.get(f"/api/pictures/{photo}").status_code == 200


@pytest.mark.slow
def test_a_job_over_its_time_is_stopped_and_kept(tmp_path):
    with serving(tmp_path, limits={"wall": 5}) as studio:
        photo, painting = studio.upload(png(64, 64)), studio.upload(png(64, 64, 1))
        studio.wait(studio.add("filter", name="posterise", image=photo)["id"])  # torch is loaded
        job = studio.add("stylize", content=photo, style=[painting], size=48, iterations=100_000)
        done = studio.wait(job["id"])
        assert (done["state"], done["resumable"]) == ("stopped", True)
        assert done["result"]


def test_two_servers_do_not_share_a_folder(studio: Studio):
    other = Studio(studio.root)
    with pytest.raises(AssertionError):
        other.start()
    assert other.process is not None
    assert other.process.wait(20) != 0
    other.process.stdout.close()


# The store by itself


def add(store: Store, key: str | None = None) -> str:
    return store.add_job("filter", {}, [], key, 10)[0].id


def test_each_job_is_claimed_once(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    added = {store.add_job("filter", {}, [], None, 500)[0].id for _ in range(200)}
    claimed: list[str] = []

    def work() -> None:
        while (job := store.claim()) is not None:
            claimed.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == sorted(added)


def test_a_key_is_one_job_even_when_the_queue_is_full(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    first, new = store.add_job("filter", {}, [], "k", 1)
    assert new
    with pytest.raises(Full):
        store.add_job("filter", {}, [], "other", 1)
    assert store.add_job("filter", {}, [], "k", 1) == (first, False)


def test_the_base_is_durable(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    assert store._rows("PRAGMA journal_mode")[0][0] == "wal"
    assert store._rows("PRAGMA synchronous")[0][0] == 2  # FULL
    assert [store.next_epoch() for _ in range(3)] == [1, 2, 3]


def test_a_picture_goes_with_its_last_user(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    rows = [PictureRow(f"p{i}", "a" * 64, "png", 5, "upload", "x") for i in range(2)]
    for row in rows:
        store.add_picture(row)
    assert store.remove_picture("p0") is None  # the other one has the same file
    gone = store.remove_picture("p1")
    assert gone is not None
    assert gone.sha256 == "a" * 64
    assert store.picture("p1") is None


def test_all_states_are_known(studio: Studio):
    states = {job["state"] for job in studio.client.get("/api/jobs").json()["jobs"]}
    assert states <= {*OVER, "queued", "running"}


def test_the_history_comes_in_pages(studio: Studio, photo):
    made = [studio.add("filter", name="posterise", image=photo)["id"] for _ in range(3)]
    for job in made:
        studio.wait(job)
    every = studio.client.get("/api/jobs", params={"most": 500}).json()["jobs"]
    first = studio.client.get("/api/jobs", params={"most": 2}).json()["jobs"]
    rest = studio.client.get(
        "/api/jobs", params={"most": 500, "before": first[-1]["number"]}
    ).json()["jobs"]
    assert [j["id"] for j in first] == [made[2], made[1]]
    assert [j["id"] for j in first + rest] == [j["id"] for j in every]


def test_a_client_without_keep_alive(studio: Studio):
    assert Path(studio.root, "studio.sqlite").exists()
    with httpx.Client(base_url=studio.base, headers={"connection": "close"}) as client:
        assert client.get("/api/jobs").status_code == 200
