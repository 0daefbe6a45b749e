"""What clients see of rows: the shapes of the answers."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from impasto import jobs
from impasto.studio.store import HELD, OPEN, JobRow, PictureRow

Json = dict[str, Any]


class Shape(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid")


class Problem(Shape):
    """Why something was refused."""

    type: str
    message: str
    hint: str = ""


class Refusal(Shape):
    """The one shape of all errors."""

    error: Problem


class PictureView(Shape):
    """A picture that the studio has."""

    id: str
    kind: str = Field(description="upload, sample, result or model")
    name: str = Field(description="For display.")
    width: int | None
    height: int | None
    bytes: int
    format: str
    created: float
    settings: Json | None = Field(None, description="A request that can be made again.")
    notes: list[str] = []


class JobView(Shape):
    """A job as it is now."""

    id: str
    number: int
    verb: str
    spec: Json
    state: str = Field(
        description="queued, running, paused, stopped, done, failed or cancelled (nothing kept)"
    )
    wanted: str = Field(description="stop or pause, while that has been asked for")
    ahead: int = Field(description="How many jobs come first.")
    share: float
    created: float
    started: float | None
    finished: float | None
    seconds: float
    product: str = Field(description="picture or model")
    result: str | None = Field(description="Id of the picture or model.")
    others: list[dict[str, str]] = Field(description="Further pictures, by name.")
    report: Json
    notes: list[str]
    error: Problem | None
    resumable: bool = Field(description="Whether it can go on where it stopped.")


class JobPage(Shape):
    """A part of the history, the newest first."""

    jobs: list[JobView]
    waiting: int


def job_view(job: JobRow, ahead: int = 0) -> Json:
    """A job for clients."""
    view = JobView(
        id=job.id,
        number=job.number,
        verb=job.verb,
        spec=job.spec,
        state=job.state,
        wanted=job.wanted,
        ahead=ahead,
        share=job.share,
        created=job.created,
        started=job.started,
        finished=job.finished if job.state not in OPEN else None,
        seconds=round(job.seconds, 3),
        product=jobs.spec_type(job.verb).product,
        result=job.result,
        others=job.others,
        report=job.report,
        notes=job.notes,
        error=None if job.error is None else Problem(**job.error),
        resumable=bool(job.resumable) and job.state in HELD,
    )
    return view.model_dump()


def picture_view(
    row: PictureRow, settings: Json | None = None, notes: list[str] | None = None
) -> Json:
    """A picture for clients."""
    view = PictureView(
        id=row.id,
        kind=row.kind,
        name=row.name,
        width=row.width,
        height=row.height,
        bytes=row.bytes,
        format=row.ending,
        created=row.created,
        settings=settings,
        notes=notes or [],
    )
    return view.model_dump()
