"""Routes of pictures: uploads, samples, results, copies for the screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse

from impasto.errors import InputError, ResourceError
from impasto.studio.guard import Refused
from impasto.studio.house import FORMATS, House
from impasto.studio.routes_jobs import TheHouse, only
from impasto.studio.store import PictureRow
from impasto.studio.views import PictureView, picture_view

router = APIRouter(prefix="/api", tags=["pictures"])
PictureId = Annotated[UUID, Path(description="Of the picture.")]
_BINARY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/uploads",
    status_code=201,
    response_model=PictureView,
    responses=only(408, 413, 415, 507),
    openapi_extra=_BINARY,
)
async def upload(
    house: TheHouse,
    request: Request,
    name: Annotated[str, Query(max_length=400, description="For display.")] = "picture",
) -> dict[str, Any]:
    """Bring a picture (or a .safetensors model): the body is the file.

    The same file brought twice is one picture. ``settings`` tells how it was made, where impasto
    made it.
    """
    try:
        async with asyncio.timeout(house.settings.limits.upload_wait):
            row = await house.keep_upload(_chunks(request), name)
    except InputError as error:
        raise Refused(415, error.message, error.hint, kind="InputError") from None
    except TimeoutError:
        raise Refused(408, "the file took too long to arrive") from None
    request_in = await asyncio.to_thread(house.request_in, row.settings)
    return picture_view(row, request_in)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


@router.get("/uploads", response_model=list[PictureView], responses=only())
def uploads(
    house: TheHouse, most: Annotated[int, Query(ge=1, le=200)] = 60
) -> list[dict[str, Any]]:
    """What was brought, the newest first."""
    return [picture_view(row) for row in house.store.uploads(most)]


@router.delete("/uploads/{picture_id}", status_code=204, responses=only(404, 409))
def remove_upload(house: TheHouse, picture_id: PictureId) -> None:
    """Remove a picture that no job uses."""
    if found(house, picture_id).job is not None:
        raise Refused(409, "this is the result of a job", "remove the job")
    try:
        row = house.store.remove_picture(str(picture_id))
    except ResourceError as error:
        raise Refused(409, error.message, error.hint) from None
    if row is not None:
        house.vault.remove(row.sha256, row.ending)


@router.post(
    "/samples/{name}", status_code=201, response_model=PictureView, responses=only(404, 507)
)
async def take_sample(
    house: TheHouse, name: Annotated[str, Path(max_length=60, pattern=r"^[a-z_]+$")]
) -> dict[str, Any]:
    """Take one of the sample pictures."""
    try:
        return picture_view(await house.keep_sample(name))
    except InputError as error:
        raise Refused(404, error.message, error.hint) from None


@router.get(
    "/pictures/{picture_id}",
    response_class=FileResponse,
    responses=only(404) | {200: {"content": {"image/webp": {}}, "description": "The picture."}},
)
async def picture(
    house: TheHouse, picture_id: PictureId, size: Literal["thumb", "view"] = "view"
) -> Response:
    """A copy of any picture for the screen: at most 320 or 2048 px, nothing but pixels."""
    row = await asyncio.to_thread(found, house, picture_id)
    if row.kind == "model":
        raise Refused(404, "a model cannot be shown")
    return _kept(await house.view(row, size), "image/webp")


@router.get("/pictures/{picture_id}/about", response_model=PictureView, responses=only(404))
def about(house: TheHouse, picture_id: PictureId) -> dict[str, Any]:
    """Name, size and settings of a picture."""
    row = found(house, picture_id)
    return picture_view(row, house.request_in(row.settings))


@router.get(
    "/results/{picture_id}",
    response_class=FileResponse,
    responses=only(404, 507)
    | {200: {"content": {m: {} for m in FORMATS.values()}, "description": "The picture."}},
)
async def result(
    house: TheHouse,
    picture_id: PictureId,
    format: Literal["png", "jpg", "webp", "avif", "tif"] | None = None,
    download: bool = False,
) -> Response:
    """A result at its full size, with its settings inside where the format can hold them."""
    row = await asyncio.to_thread(found, house, picture_id)
    if row.job is None:
        raise Refused(404, "this is no result")
    if row.kind == "model" and format is not None:
        raise Refused(404, "a model has no other format")
    ending = format or row.ending
    response = _kept(
        await house.converted(row, ending), FORMATS.get(ending, "application/octet-stream")
    )
    if download:
        name = f"impasto-{row.id[:8]}.{ending}"
        response.headers["content-disposition"] = f'attachment; filename="{name}"'
    return response


def found(house: House, picture_id: UUID) -> PictureRow:
    """The picture of this id.

    Raises:
        Refused: There is none.
    """
    row = house.store.picture(str(picture_id))
    if row is None:
        raise Refused(404, "this picture is not here")
    return row


def _kept(path: str, media: str) -> FileResponse:
    """A file that never changes: its id follows from its content."""
    return FileResponse(path, media_type=media, headers={"cache-control": "private, max-age=86400"})
