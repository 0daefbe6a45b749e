"""Routes of jobs: queue, history, events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from pydantic import ConfigDict, Field

from impasto.errors import UsageError
from impasto.studio import forms, worker
from impasto.studio.guard import Refused
from impasto.studio.house import House
from impasto.studio.store import OPEN, Full, JobRow
from impasto.studio.views import JobPage, JobView, Refusal, Shape, job_view

router = APIRouter(prefix="/api/jobs", tags=["jobs"])
#: Seconds after which a silent stream says that it is alive.
HEARTBEAT = 15.0
#: Seconds after which a client may ask again when the queue is full.
RETRY_AFTER = 5


def the_house(request: Request) -> House:
    """The studio that this request came to."""
    house: House = request.app.state.house
    return house


TheHouse = Annotated[House, Depends(the_house)]
JobId = Annotated[UUID, Path(description="Of the job.")]
ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"model": Refusal, "description": text}
    for code, text in {
        400: "Not understood.",
        401: "The token is missing.",
        403: "Not from our page.",
        404: "Not here.",
        408: "Too slow.",
        409: "Not in this state.",
        413: "Too large.",
        415: "Not a picture.",
        422: "A value makes no sense.",
        429: "Too many at once.",
        507: "The disk is full.",
    }.items()
}


def only(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route can answer with, besides those that all have."""
    return {code: ERRORS[code] for code in (400, 401, 403, 422, *codes)}


class JobRequest(Shape):
    """What to do."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"verb": "filter", "spec": {"name": "kuwahara"}}]},
    )

    verb: str = Field(description="One of /api/catalogue.", max_length=40)
    spec: dict[str, Any] = Field(
        description="The fields of the verb; pictures are given by their ids."
    )


@router.post("", status_code=201, response_model=JobView, responses=only(404, 429, 507))
def add_job(
    house: TheHouse,
    request: JobRequest,
    response: Response,
    idempotency_key: Annotated[
        UUID | None, Header(description="Asked twice with one key, there is one job.")
    ] = None,
) -> dict[str, Any]:
    """Put a job into the queue."""
    spec, uses = forms.checked(request.verb, request.spec, house.kind_of)
    house.vault.check_space()
    key = None if idempotency_key is None else str(idempotency_key)
    try:
        job, new = house.store.add_job(request.verb, spec, uses, key, house.settings.limits.waiting)
    except Full as error:
        wait = {"retry-after": str(RETRY_AFTER)}
        raise Refused(429, error.message, error.hint, wait, kind="Full") from None
    if new:
        house.crew.wake()
    else:
        response.headers["x-impasto-known"] = "1"
    return job_view(job, house.store.ahead(job))


@router.get("", response_model=JobPage, responses=only())
def list_jobs(
    house: TheHouse,
    most: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
) -> dict[str, Any]:
    """The history, the newest first."""
    rows = house.store.jobs(most, before)
    views = [job_view(job, house.store.ahead(job)) for job in rows]
    return {"jobs": views, "waiting": sum(job.state == "queued" for job in rows)}


@router.get("/{job_id}", response_model=JobView, responses=only(404))
def get_job(house: TheHouse, job_id: JobId) -> dict[str, Any]:
    """A job as it is now."""
    return viewed(house, found(house, job_id))


@router.delete("/{job_id}", status_code=204, responses=only(404, 409))
def remove_job(house: TheHouse, job_id: JobId) -> None:
    """Remove a job that is over, with its pictures."""
    found(house, job_id)
    if not house.crew.forget(str(job_id)):
        raise Refused(409, "this job waits or runs", "stop it first")


@router.post("/{job_id}/cancel", response_model=JobView, responses=only(404))
def cancel_job(house: TheHouse, job_id: JobId) -> dict[str, Any]:
    """Stop a job; the picture so far is kept."""
    return viewed(house, _present(house.crew.halt(str(job_id), "stop")))


@router.post("/{job_id}/pause", response_model=JobView, responses=only(404))
def pause_job(house: TheHouse, job_id: JobId) -> dict[str, Any]:
    """Stop a job in order to go on later; others may run meanwhile."""
    return viewed(house, _present(house.crew.halt(str(job_id), "pause")))


@router.post("/{job_id}/continue", response_model=JobView, responses=only(404, 409))
def continue_job(house: TheHouse, job_id: JobId) -> dict[str, Any]:
    """Go on where a job stopped."""
    try:
        return viewed(house, _present(house.crew.resume(str(job_id))))
    except UsageError as error:
        raise Refused(409, error.message, kind="UsageError") from None


@router.get("/{job_id}/losses", responses=only(404))
def losses(house: TheHouse, job_id: JobId) -> list[dict[str, float]]:
    """The losses of every step so far; at most 2000 rows, evenly spaced."""
    found(house, job_id)
    path = house.vault.job(str(job_id)) / worker.LOSSES
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError:
        return []
    rows = [json.loads(line) for line in lines if line.endswith(b"\n")]
    stride = 1 + len(rows) // 2000
    return rows[::stride] + (rows[-1:] if rows and (len(rows) - 1) % stride else [])


@router.get(
    "/{job_id}/preview",
    response_class=FileResponse,
    responses=only(404)
    | {
        200: {"content": {"image/webp": {}}, "description": "The picture."},
        307: {"description": "The job is over: to its result."},
    },
)
def preview(house: TheHouse, job_id: JobId) -> Response:
    """The picture so far; of a job that is over, which has no preview any more, its result."""
    found(house, job_id)
    try:
        data = (house.vault.job(str(job_id)) / worker.PREVIEW).read_bytes()
    except OSError:
        result = found(house, job_id).result  # asked for after the file was gone
        if result is None:
            raise Refused(404, "there is no preview yet") from None
        return RedirectResponse(f"/api/pictures/{result}?size=view")
    return Response(data, media_type="image/webp")


@router.get(
    "/{job_id}/events",
    response_class=StreamingResponse,
    responses=only(404, 429)
    | {
        200: {"content": {"text/event-stream": {}}, "description": "Events until the job is over."},
        204: {"description": "The job is over, and all has been heard."},
    },
)
async def events(
    house: TheHouse,
    job_id: JobId,
    last_event_id: Annotated[str, Header(description="The last event heard.")] = "",
) -> Response:
    """What happens to a job, as server-sent events: the state at first, then every event."""
    job = await asyncio.to_thread(found, house, job_id)
    last = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 17 else -1
    if job.state not in OPEN and last >= house.hub.latest(job.id) > 0:
        return Response(status_code=204)
    if house.hub.listeners >= house.settings.limits.listeners:
        wait = {"retry-after": str(RETRY_AFTER)}
        raise Refused(429, "too many listen already", headers=wait)
    return StreamingResponse(_stream(house, job.id, last), media_type="text/event-stream")


async def _stream(house: House, job_id: str, last: int) -> AsyncIterator[bytes]:
    house.hub.listeners += 1
    try:
        yield b"retry: 2000\n\n"
        while not house.hub.closed:
            heard = house.hub.since(job_id, last)
            if heard is None:  # too far behind, or from before this start: the state as a whole
                number = house.hub.latest(job_id)
                job = await asyncio.to_thread(house.store.job, job_id)
                if job is None:
                    return
                view = await asyncio.to_thread(viewed, house, job)
                yield line(number, "snapshot", view)
                last, state = number, job.state
            else:
                state = ""
                for event in heard:
                    yield line(event.number, event.kind, event.data)
                    last = event.number
                    state = event.data["state"] if event.kind == "state" else state
            if state and state not in OPEN:
                return
            if not await house.hub.wait(job_id, last, HEARTBEAT):
                yield b": still here\n\n"
    finally:
        house.hub.listeners -= 1


def line(number: int, kind: str, data: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def found(house: House, job_id: UUID) -> JobRow:
    """The job of this id.

    Raises:
        Refused: There is none.
    """
    return _present(house.store.job(str(job_id)))


def viewed(house: House, job: JobRow) -> dict[str, Any]:
    """A job for clients, with its place in the queue."""
    return job_view(job, house.store.ahead(job))


def _present(job: JobRow | None) -> JobRow:
    if job is None:
        raise Refused(404, "this job is not here")
    return job


__all__ = ["router"]
