"""Who gives jobs to workers: one thread and one process per device, one job at a time on each.

A job that was running when the server ended is queued again when it starts; its worker goes on
from the checkpoint. A worker that ends by itself is replaced, and its job goes on likewise.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto import outputs
from impasto.errors import ImpastoError, ResourceError, UsageError
from impasto.studio import forms, worker
from impasto.studio.child import Child, Ended, Message
from impasto.studio.config import Settings
from impasto.studio.hub import Hub
from impasto.studio.requests import strings, with_names
from impasto.studio.store import HELD, JobRow, PictureRow, Store
from impasto.studio.vault import Vault, link_or_copy, png_size
from impasto.studio.views import job_view

_LOG = logging.getLogger(__name__)
#: A worker is replaced after so many jobs, or when it holds so many bytes between two jobs.
JOBS_PER_WORKER, IDLE_BYTES = 1000, 3_000_000_000
#: Of the ids of results, which follow from their job and content.
_RESULTS = uuid.UUID("5f5e1a0c-2b0a-4c55-9f0e-6d0f4a9b7c11")
_LISTEN = 0.5
#: Processes in a row that may end before they are ready to work.
_STILLBORN = 10
#: In the folder of a job: folders of pictures.
FOLDERS = "folders"


@dataclass
class _Run:
    """A job in the hands of a worker."""

    job: JobRow
    child: Child
    deadline: float
    stopped: float | None = None
    progressed: bool = False
    share: float = 0.0


class Crew:
    """The workers of a studio.

    Args:
        settings: Of the studio.
        store: Queue and history.
        vault: Files.
        hub: Where to tell.
    """

    def __init__(self, settings: Settings, store: Store, vault: Vault, hub: Hub) -> None:
        self._settings, self._store, self._vault, self._hub = settings, store, vault, hub
        self._bell = threading.Condition()
        self._runs: dict[str, _Run] = {}
        self._closing = False
        self._stillborn = 0
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take up what an earlier server left, and begin to work."""
        for job in self._store.running():
            self._recover(job)
        for number in range(len(self._settings.devices)):
            thread = threading.Thread(target=self._serve, daemon=True, name=f"crew-{number}")
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        """There is a new job."""
        with self._bell:
            self._bell.notify_all()

    def stop(self, job_id: str) -> None:
        """A job that runs has been asked to stop; its row says so."""
        with self._bell:
            run = self._runs.get(job_id)
        if run is not None:
            self._ask_to_stop(run)

    def resume(self, job_id: str) -> JobRow | None:
        """Queue a job that was held, to go on where it stopped.

        Raises:
            UsageError: It is not held, or there is nothing to go on from.
        """

        def decide(job: JobRow) -> dict[str, Any]:
            if job.state not in HELD or not job.resumable:
                raise UsageError(f"this job is {job.state} and cannot go on")
            (self._vault.job(job_id) / worker.OUTCOME).unlink(missing_ok=True)
            return {"state": "queued", "wanted": "", "error": None, "crashes": 0}

        job = self._store.change(job_id, decide)
        if job is not None:
            self._tell_state(job)
            self.wake()
        return job

    def halt(self, job_id: str, how: str) -> JobRow | None:
        """Ask a job to stop or to pause; one that waits is cancelled, one that is over stays.

        Args:
            job_id: Which one.
            how: ``"stop"`` or ``"pause"``.
        """

        def decide(job: JobRow) -> dict[str, Any] | None:
            if job.state == "running":
                return {"wanted": how}
            if job.state == "queued":
                held = job.result is not None or self._keeps_something(job)
                state = ("paused" if how == "pause" else "stopped") if held else "cancelled"
                return {"state": state, "wanted": "", "resumable": int(held), **_over()}
            return {"state": "stopped"} if job.state == "paused" and how == "stop" else None

        job = self._store.change(job_id, decide)
        if job is not None:
            self.stop(job_id)
            self._tell_state(job)
        return job

    def pids(self) -> dict[str, int]:
        """Processes of the jobs that run now."""
        with self._bell:
            return {job_id: run.child.pid for job_id, run in self._runs.items()}

    def close(self) -> None:
        """End all workers; jobs that run save a checkpoint and go on with the next server."""
        with self._bell:
            self._closing = True
            self._bell.notify_all()
        for thread in self._threads:
            thread.join(worker.HANDOVER + 2)

    # One thread per device

    def _serve(self) -> None:
        child: Child | None = None
        count = 0
        try:
            while not self._closing:
                job = self._claim()
                if job is None:
                    if not self._rest() and child is not None:
                        child.end(grace=5)
                        child = None
                    continue
                if child is None or not child.alive or count >= JOBS_PER_WORKER:
                    child, count = self._hire(child), 0
                self._attend(job, child)
                count += 1
                if child.alive and child.memory() > IDLE_BYTES:
                    count = JOBS_PER_WORKER
        finally:
            if child is not None:
                child.end(grace=worker.HANDOVER)

    def _claim(self) -> JobRow | None:
        try:
            return self._store.claim()
        except ImpastoError as error:  # a full disk; it may pass
            _LOG.warning("%s", error)
            time.sleep(1)
            return None

    def _rest(self) -> bool:
        """Wait for work; False when it was long."""
        with self._bell:
            return self._closing or self._bell.wait(self._settings.idle_seconds)

    def _hire(self, old: Child | None) -> Child:
        if old is not None:
            old.end(grace=5 if old.alive else 0)
        about = {"memory": self._settings.limits.job_memory}
        return Child("impasto.studio.worker", self._vault.root, about)

    def _attend(self, job: JobRow, child: Child) -> None:
        run = _Run(job, child, time.monotonic() + self._settings.limits.wall, share=job.share)
        with self._bell:
            self._runs[job.id] = run
        try:
            self._tell_state(job)
            self._work(run)
        except Ended:
            self._crashed(run)
        except Exception as error:  # the thread must live on for the jobs to come
            _LOG.exception("job %s", job.id)
            child.end()
            self._fail(job, worker.explain(error))
        finally:
            with self._bell:
                del self._runs[job.id]

    def _work(self, run: _Run) -> None:
        """Hand the job over and listen until it is over."""
        run.child.send(self._request(run.job))
        now = self._store.job(run.job.id)
        if now is not None and now.wanted:
            self._ask_to_stop(run)
        while not self._closing:
            message = run.child.receive(_LISTEN)
            if message is None:
                self._look_after(run)
            elif message["kind"] == "done":
                self._settle(run.job)
                return
            elif message["kind"] == "failed":
                self._fail(run.job, message["error"])
                return
            else:
                self._heard(run, message)

    def _request(self, job: JobRow) -> Message:
        folder = self._vault.job(job.id)
        folder.mkdir(exist_ok=True)
        names = {}
        shutil.rmtree(folder / FOLDERS, ignore_errors=True)
        for picture_id in self.pictures_of(job):
            row = self._store.picture(picture_id)
            if row is None:
                raise ResourceError(f"the picture {picture_id} is not there any more")
            names[picture_id] = f"{row.id}.{row.ending}"
            link_or_copy(self._vault.path(row.sha256, row.ending), folder / names[picture_id])
        return {
            "do": "run",
            "job": job.id,
            "folder": str(folder),
            "verb": job.verb,
            "output": worker.output_of(job.verb),
            "spec": self._with_folders(job, folder, names),
            "pause": self._settings.checkpoint_seconds,
            "preview": self._settings.preview_seconds,
        }

    def _with_folders(self, job: JobRow, place: Path, names: dict[str, str]) -> dict[str, Any]:
        """The request with names of files; pictures of a field that wants a folder are in one."""
        spec: dict[str, Any] = with_names(job.spec, names)
        for entry in forms.form(job.verb).fields:
            if entry.kind == "folder" and spec.get(entry.name):
                inner = place / FOLDERS / entry.name
                inner.mkdir(parents=True)
                for name in spec[entry.name]:
                    link_or_copy(place / name, inner / name)
                name = f"{FOLDERS}/{entry.name}"
                spec[entry.name] = name if entry.single else [name]
        return spec

    def pictures_of(self, job: JobRow) -> list[str]:
        """Ids of the pictures in the request of a job."""
        texts = list(strings(job.spec))
        return [t for t in dict.fromkeys(texts) if len(t) == 36 and self._store.picture(t)]

    def _look_after(self, run: _Run) -> None:
        """Nothing was heard for a moment: is it time to insist?"""
        now = time.monotonic()
        if run.stopped is not None and now - run.stopped > self._settings.stop_grace:
            run.child.end()
            raise Ended
        if run.stopped is None and now > run.deadline:
            self._store.update(run.job.id, wanted="stop")
            self._ask_to_stop(run)

    def _ask_to_stop(self, run: _Run) -> None:
        run.stopped = run.stopped or time.monotonic()
        with contextlib.suppress(Ended):
            run.child.send({"do": "stop", "job": run.job.id})

    def _heard(self, run: _Run, message: Message) -> None:
        kind = message.pop("kind")
        if time.monotonic() > run.deadline:
            self._look_after(run)
        if kind == "ready":
            run.child.ready, self._stillborn = True, 0
            return
        if kind == "steps":
            run.progressed = True
            if message["share"] - run.share > 0.02:
                run.share = message["share"]
                self._store.update(run.job.id, share=run.share)
        self._hub.publish(run.job.id, kind, message)

    # How a job ends

    def _recover(self, job: JobRow) -> None:
        """A job that ran when the server ended: over, or back to the front of the queue."""
        if (self._vault.job(job.id) / worker.OUTCOME).exists():
            self._settle(job)
        else:
            self._store.change(job.id, lambda _: {"state": "queued", "turn": job.turn})

    def _crashed(self, run: _Run) -> None:
        """The worker ended in the middle of a job."""
        job = self._store.job(run.job.id) or run.job
        if (self._vault.job(job.id) / worker.OUTCOME).exists():
            self._settle(job)
            return
        if self._closing:
            return  # the row says "running": the next server takes it up
        if job.wanted and run.stopped is not None and not self._keeps_something(job):
            self._store.finish(job.id, [], {"state": "cancelled", "wanted": "", **_over()})
            self._tell_end(job.id)
            return
        crashes = job.crashes
        if run.child.ready:
            crashes = 1 if run.progressed else crashes + 1
        else:  # that cannot have been this job's fault
            self._stillborn += 1
        if crashes >= self._settings.limits.crashes:
            what = f"the process of this job ended {crashes} times without progress"
            hint = "it may need more memory than there is; a smaller size needs less"
            self._fail(job, {"type": "ResourceError", "message": what, "hint": hint})
            return
        if self._stillborn >= _STILLBORN:
            what = f"{self._stillborn} processes in a row ended before they could begin"
            hint = "the studio's terminal may say why"
            self._fail(job, {"type": "ResourceError", "message": what, "hint": hint})
            return
        self._store.update(job.id, state="queued", crashes=crashes)
        self._tell_state(self._store.job(job.id) or job)

    def _keeps_something(self, job: JobRow) -> bool:
        folder = self._vault.job(job.id)
        return (folder / outputs.checkpoint_path(worker.output_of(job.verb))).exists()

    def _settle(self, job: JobRow) -> None:
        """Take over what a worker has left: pictures and state in one transaction."""
        folder = self._vault.job(job.id)
        outcome = json.loads((folder / worker.OUTCOME).read_bytes())
        job = self._store.job(job.id) or job
        rows = self._adopted(job, folder, outcome)
        state = "done" if outcome["complete"] else _halted(job, outcome)
        changes = {
            "state": state,
            "wanted": "",
            "result": rows[0].id if rows else job.result,
            "others": [{"name": r.name, "id": r.id} for r in rows[1:]],
            "notes": outcome["notes"],
            "report": outcome.get("report", {}) | {"tables": outcome.get("tables", [])},
            "resumable": int(outcome["checkpoint"]),
            "seconds": job.seconds + outcome["seconds"],
            "share": 1.0 if outcome["complete"] else job.share,
            "crashes": 0,
            **_over(),
        }
        self._store.finish(job.id, rows, changes)
        self._tidy(job)
        self._tell_end(job.id)

    def _adopted(self, job: JobRow, folder: Path, outcome: dict[str, Any]) -> list[PictureRow]:
        if not outcome["picture"]:
            return []
        paths = [("result", folder / worker.output_of(job.verb))]
        paths += [(name, folder / Path(file).name) for name, file in outcome.get("others", [])]
        return [self._adopt(job, role, path) for role, path in paths]

    def _adopt(self, job: JobRow, role: str, path: Path) -> PictureRow:
        kept = self._vault.adopt(path)
        width, height = png_size(path)
        found = str(uuid.uuid5(_RESULTS, f"{job.id} {role} {kept.sha256}"))
        return PictureRow(
            id=found,
            sha256=kept.sha256,
            ending=kept.ending,
            bytes=kept.size,
            kind="model" if kept.ending == "safetensors" else "result",
            name=role if role != "result" else f"{job.verb} № {job.number}",
            width=width,
            height=height,
            created=time.time(),
            job=job.id,
        )

    def _fail(self, job: JobRow, error: dict[str, Any]) -> None:
        """A job has failed; a picture that it left is kept."""
        folder = self._vault.job(job.id)
        rows = []
        with contextlib.suppress(OSError, ImpastoError, ValueError):
            made = folder / worker.output_of(job.verb)
            if made.exists():
                rows = [self._adopt(job, "result", made)]
        changes = {
            "state": "failed",
            "wanted": "",
            "error": error,
            "result": rows[0].id if rows else job.result,
            "resumable": int(self._keeps_something(job)),
            **_over(),
        }
        self._store.finish(job.id, rows, changes)
        self._tell_end(job.id)

    def _tidy(self, job: JobRow) -> None:
        """Of a finished job its losses stay; then the quota is looked at."""
        current = self._store.job(job.id)
        if current is not None and current.state == "done":
            kept = (worker.PREVIEW,) if worker.output_of(job.verb) != "out.png" else ()
            for path in self._vault.job(job.id).iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name not in (worker.LOSSES, *kept):
                    path.unlink(missing_ok=True)
        limits = self._settings.limits
        for old in self._store.overdue(limits.history, limits.history_bytes):
            self.forget(old)
        for old in self._store.idle_uploads(limits.history_bytes):
            row = self._store.remove_picture(old)
            if row is not None:
                self._vault.remove(row.sha256, row.ending)

    def forget(self, job_id: str) -> bool:
        """Remove a job from the history, with its files; False where it runs or is not there."""
        gone, rows = self._store.remove_job(job_id)
        if gone:
            for row in rows:
                self._vault.remove(row.sha256, row.ending)
            self._vault.remove_job(job_id)
        return gone

    def _tell_state(self, job: JobRow) -> None:
        self._hub.publish(job.id, "state", job_view(job, self._store.ahead(job)))

    def _tell_end(self, job_id: str) -> None:
        job = self._store.job(job_id)
        if job is not None:
            self._tell_state(job)


def _halted(job: JobRow, outcome: dict[str, Any]) -> str:
    if not outcome["picture"]:
        return "cancelled"
    return "paused" if job.wanted == "pause" else "stopped"


def _over() -> dict[str, Any]:
    return {"finished": time.time()}
