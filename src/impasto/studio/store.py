"""Queue and history: a sqlite file that survives the end of the server at any moment.

Every method is one transaction. Times are seconds of the epoch.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, ending TEXT NOT NULL, bytes INTEGER NOT NULL,
    kind TEXT NOT NULL, name TEXT NOT NULL, width INTEGER, height INTEGER,
    settings TEXT, created REAL NOT NULL, job TEXT);
CREATE INDEX IF NOT EXISTS pictures_sha ON pictures (sha256);
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, key TEXT UNIQUE,
    verb TEXT NOT NULL, spec TEXT NOT NULL, state TEXT NOT NULL, wanted TEXT NOT NULL DEFAULT '',
    turn INTEGER NOT NULL, created REAL NOT NULL, started REAL, finished REAL,
    seconds REAL NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0,
    share REAL NOT NULL DEFAULT 0, result TEXT, others TEXT NOT NULL DEFAULT '[]',
    error TEXT, notes TEXT NOT NULL DEFAULT '[]', report TEXT NOT NULL DEFAULT '{}',
    resumable INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state, turn);
CREATE TABLE IF NOT EXISTS uses (
    job TEXT NOT NULL, picture TEXT NOT NULL, PRIMARY KEY (job, picture)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS uses_picture ON uses (picture);
"""
#: States of a job that waits or runs.
OPEN = ("queued", "running")
#: States from which a job can go on.
HELD = ("paused", "stopped", "failed")
_JSON = ("spec", "others", "error", "notes", "report")


@dataclass(frozen=True)
class PictureRow:
    """A picture or a model that the studio has.

    Attributes:
        id: Its name for clients.
        sha256: Of its bytes.
        ending: Of its file, without the dot.
        bytes: Its size.
        kind: ``"upload"``, ``"sample"``, ``"result"`` or ``"model"``.
        name: What its owner calls it; for display only.
        width: In px; None for models.
        height: In px; None for models.
        settings: What impasto wrote into it, or None.
        created: When it came.
        job: The job that made it, or None.
    """

    id: str
    sha256: str
    ending: str
    bytes: int
    kind: str
    name: str
    width: int | None = None
    height: int | None = None
    settings: dict[str, Any] | None = None
    created: float = 0.0
    job: str | None = None


@dataclass(frozen=True)
class JobRow:
    """A job as it is known now; see the columns of the table."""

    number: int
    id: str
    key: str | None
    verb: str
    spec: dict[str, Any]
    state: str
    wanted: str
    turn: int
    created: float
    started: float | None
    finished: float | None
    seconds: float
    crashes: int
    share: float
    result: str | None
    others: list[dict[str, str]]
    error: dict[str, Any] | None
    notes: list[str]
    report: dict[str, Any]
    resumable: int


class Full(ResourceError):
    """The queue takes no more jobs at the moment."""


class Store:
    """The sqlite file of one studio; safe to use from several threads.

    Args:
        path: Of the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._base.row_factory = sqlite3.Row
        self._base.execute("PRAGMA journal_mode=WAL")
        self._base.execute("PRAGMA synchronous=FULL")
        self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """No more calls come."""
        with self._lock:
            self._base.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A transaction; rolled back where something is raised."""
        with self._lock:
            try:
                self._base.execute("BEGIN IMMEDIATE")
                yield self._base
                self._base.execute("COMMIT")
            except BaseException as error:
                if self._base.in_transaction:
                    self._base.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise ResourceError(f"the studio cannot write its history: {error}") from error
                raise

    def _rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._base.execute(query, values).fetchall()

    def next_epoch(self) -> int:
        """The number of this start of the server, from 1: greater than all before."""
        with self._change() as base:
            base.execute(
                "INSERT INTO facts VALUES ('epoch', 1) "
                "ON CONFLICT (name) DO UPDATE SET value = value + 1"
            )
            found: int = base.execute("SELECT value FROM facts WHERE name = 'epoch'").fetchone()[0]
            return found

    # Pictures

    def add_picture(self, row: PictureRow) -> PictureRow:
        """Remember a picture; one that is known already stays as it is."""
        with self._change() as base:
            _insert_picture(base, row)
        return self.picture(row.id) or row

    def picture(self, picture_id: str) -> PictureRow | None:
        """The picture of this id."""
        rows = self._rows("SELECT * FROM pictures WHERE id = ?", picture_id)
        return _picture(rows[0]) if rows else None

    def picture_with(self, sha256: str) -> PictureRow | None:
        """Any picture with this content."""
        rows = self._rows("SELECT * FROM pictures WHERE sha256 = ? ORDER BY created", sha256)
        return _picture(rows[0]) if rows else None

    def uploads(self, most: int = 60) -> list[PictureRow]:
        """What clients have brought, the newest first."""
        rows = self._rows(
            "SELECT * FROM pictures WHERE kind != 'result' ORDER BY created DESC LIMIT ?", most
        )
        return [_picture(row) for row in rows]

    def remove_picture(self, picture_id: str) -> PictureRow | None:
        """Forget a picture that no job uses.

        Returns:
            The row whose file is needed no more, or None where it still is.

        Raises:
            ResourceError: A job uses it.
        """
        with self._change() as base:
            if base.execute("SELECT 1 FROM uses WHERE picture = ?", (picture_id,)).fetchone():
                raise ResourceError("a job uses this picture", hint="remove the job first")
            return _drop_picture(base, picture_id)

    # Jobs

    def add_job(
        self, verb: str, spec: Mapping[str, Any], uses: Iterable[str], key: str | None, most: int
    ) -> tuple[JobRow, bool]:
        """Put a job into the queue; asked twice with one key, there is one job.

        Args:
            verb: What to do.
            spec: The request, checked.
            uses: Ids of the pictures in it.
            key: Chosen by the client, or None.
            most: Longest queue.

        Returns:
            The job, and whether it is new.

        Raises:
            Full: So many wait already.
        """
        with self._change() as base:
            if key is not None:
                known = base.execute("SELECT * FROM jobs WHERE key = ?", (key,)).fetchone()
                if known:
                    return _job(known), False
            count = base.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if count >= most:
                raise Full(f"{count} jobs are waiting", hint="try again later")
            job_id = str(uuid.uuid4())
            base.execute(
                "INSERT INTO jobs (id, key, verb, spec, state, turn, created) "
                "VALUES (?, ?, ?, ?, 'queued', (SELECT coalesce(max(turn), 0) + 1 FROM jobs), ?)",
                (job_id, key, verb, json.dumps(spec), time.time()),
            )
            base.executemany(
                "INSERT OR IGNORE INTO uses VALUES (?, ?)", [(job_id, p) for p in uses]
            )
            row = base.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            return _job(row), True

    def job(self, job_id: str) -> JobRow | None:
        """The job of this id."""
        rows = self._rows("SELECT * FROM jobs WHERE id = ?", job_id)
        return _job(rows[0]) if rows else None

    def jobs(self, most: int = 100, before: int | None = None) -> list[JobRow]:
        """The history, the newest first, from below the number ``before``."""
        rows = self._rows(
            "SELECT * FROM jobs WHERE number < ? ORDER BY number DESC LIMIT ?",
            before if before is not None else 2**62,
            most,
        )
        return [_job(row) for row in rows]

    def running(self) -> list[JobRow]:
        """Jobs that a server had begun."""
        return [_job(r) for r in self._rows("SELECT * FROM jobs WHERE state = 'running'")]

    def ahead(self, job: JobRow) -> int:
        """How many jobs come before a waiting one."""
        if job.state != "queued":
            return 0
        found: int = self._rows(
            "SELECT count(*) FROM jobs WHERE state = 'running' OR (state = 'queued' AND turn < ?)",
            job.turn,
        )[0][0]
        return found

    def claim(self) -> JobRow | None:
        """Take the next job from the queue; it is running from now on."""
        with self._change() as base:
            row = base.execute(
                "SELECT * FROM jobs WHERE state = 'queued' ORDER BY turn LIMIT 1"
            ).fetchone()
            if row is None:
                return None
            base.execute(
                "UPDATE jobs SET state = 'running', started = coalesce(started, ?), error = NULL "
                "WHERE number = ?",
                (time.time(), row["number"]),
            )
        return self.job(row["id"])

    def update(self, job_id: str, **changes: Any) -> JobRow:
        """Change columns of a job."""
        with self._change() as base:
            _update(base, job_id, changes)
        found = self.job(job_id)
        assert found is not None, "a job that changes is there"
        return found

    def change(
        self, job_id: str, decide: Callable[[JobRow], dict[str, Any] | None]
    ) -> JobRow | None:
        """Look at a job and change it in one transaction.

        Args:
            job_id: Which one.
            decide: From the row to the columns to change, or None to leave it; what it raises
                leaves everything as it was.

        Returns:
            The job as it is now, or None where there is none.
        """
        with self._change() as base:
            row = base.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None:
                return None
            changes = decide(_job(row))
            if changes:
                if changes.get("state") == "queued":
                    last = base.execute("SELECT max(turn) FROM jobs").fetchone()[0]
                    changes = {**changes, "turn": last + 1}
                _update(base, job_id, changes)
        return self.job(job_id)

    def finish(self, job_id: str, pictures: Iterable[PictureRow], changes: dict[str, Any]) -> None:
        """The end of a run: its pictures and its state, together."""
        with self._change() as base:
            for row in pictures:
                _insert_picture(base, row)
                base.execute("INSERT OR IGNORE INTO uses VALUES (?, ?)", (job_id, row.id))
            _update(base, job_id, changes)

    def remove_job(self, job_id: str) -> tuple[bool, list[PictureRow]]:
        """Forget a job that neither waits nor runs, and its pictures that no other uses.

        Returns:
            Whether it was there and is gone, and the rows whose files are needed no more.
        """
        with self._change() as base:
            row = base.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()
            if row is None or row["state"] in OPEN:
                return False, []
            base.execute("DELETE FROM uses WHERE job = ?", (job_id,))
            base.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
            made = base.execute(
                "SELECT id FROM pictures WHERE job = ? AND id NOT IN (SELECT picture FROM uses)",
                (job_id,),
            ).fetchall()
            dropped = [_drop_picture(base, entry["id"]) for entry in made]
        return True, [entry for entry in dropped if entry is not None]

    def overdue(self, most: int, most_bytes: int) -> list[str]:
        """Jobs that are over the quota, the oldest first."""
        closed = self._rows(
            "SELECT jobs.id, coalesce(sum(pictures.bytes), 0) AS bytes FROM jobs "
            "LEFT JOIN pictures ON pictures.job = jobs.id "
            "WHERE jobs.state NOT IN ('queued', 'running', 'paused') "
            "GROUP BY jobs.id ORDER BY jobs.number"
        )
        total = sum(row["bytes"] for row in closed)
        found = []
        for place, row in enumerate(closed):
            if len(closed) - place <= most and total <= most_bytes:
                break
            total -= row["bytes"]
            found.append(row["id"])
        return found

    def idle_uploads(self, most_bytes: int) -> list[str]:
        """Uploads that no job uses, the oldest first, as many as are over ``most_bytes``."""
        rows = self._rows(
            "SELECT id, bytes FROM pictures WHERE job IS NULL "
            "AND id NOT IN (SELECT picture FROM uses) ORDER BY created"
        )
        total = sum(row["bytes"] for row in rows)
        found = []
        for row in rows:
            if total <= most_bytes:
                break
            total -= row["bytes"]
            found.append(row["id"])
        return found

    def bytes_kept(self) -> int:
        """Bytes of all pictures."""
        found: int = self._rows("SELECT coalesce(sum(bytes), 0) FROM pictures")[0][0]
        return found


def _update(base: sqlite3.Connection, job_id: str, changes: Mapping[str, Any]) -> None:
    names = ", ".join(f"{name} = ?" for name in changes)
    values = [json.dumps(v) if k in _JSON and v is not None else v for k, v in changes.items()]
    base.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*values, job_id))


def _insert_picture(base: sqlite3.Connection, row: PictureRow) -> None:
    base.execute(
        "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET created = excluded.created",
        (
            row.id,
            row.sha256,
            row.ending,
            row.bytes,
            row.kind,
            row.name,
            row.width,
            row.height,
            None if row.settings is None else json.dumps(row.settings),
            row.created or time.time(),
            row.job,
        ),
    )


def _drop_picture(base: sqlite3.Connection, picture_id: str) -> PictureRow | None:
    row = base.execute("SELECT * FROM pictures WHERE id = ?", (picture_id,)).fetchone()
    if row is None:
        return None
    base.execute("DELETE FROM pictures WHERE id = ?", (picture_id,))
    same = (row["sha256"], row["ending"])
    if base.execute("SELECT 1 FROM pictures WHERE sha256 = ? AND ending = ?", same).fetchone():
        return None
    return _picture(row)


def _picture(row: sqlite3.Row) -> PictureRow:
    values = dict(row)
    settings = values["settings"]
    return PictureRow(**{**values, "settings": None if settings is None else json.loads(settings)})


def _job(row: sqlite3.Row) -> JobRow:
    values = dict(row)
    for name in _JSON:
        values[name] = None if values[name] is None else json.loads(values[name])
    return JobRow(**values)
