"""The server: routes, errors, the page."""

from __future__ import annotations

import asyncio
import html
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

import impasto
from impasto.errors import ImpastoError, InputError, ResourceError, UnknownName, UsageError
from impasto.studio import catalogue, routes_jobs, routes_pictures
from impasto.studio.config import Settings
from impasto.studio.guard import COOKIE, Guard, Refused, cookies
from impasto.studio.house import House
from impasto.studio.routes_jobs import TheHouse, only
from impasto.studio.views import Shape

_STATUS: tuple[tuple[type[ImpastoError], int], ...] = (
    (UnknownName, 422),
    (UsageError, 422),
    (InputError, 422),
    (ResourceError, 507),
)


class Entered(Shape):
    """The token was right."""

    entered: bool


def create_app(settings: Settings) -> FastAPI:
    """A studio as an ASGI application.

    Raises:
        UsageError: Another server uses the same folder.
    """
    house = House(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        del app
        async with house.open():
            yield

    app = FastAPI(
        title="impasto studio",
        version=impasto.__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    app.state.house = house
    app.include_router(routes_jobs.router)
    app.include_router(routes_pictures.router)
    app.add_api_route("/api/catalogue", _catalogue, methods=["GET"], responses=only())
    app.add_api_route(
        "/api/session", _enter, methods=["POST"], responses=only(), response_model=Entered
    )
    app.add_api_route("/", _page, methods=["GET"], include_in_schema=False)
    app.mount("/static", StaticFiles(directory=catalogue.STATIC), name="static")
    _add_errors(app)
    app.add_middleware(Guard, settings=settings, token=house.token)
    return app


async def _catalogue(house: TheHouse) -> dict[str, Any]:
    """All that there is to choose from, and a page for every verb."""
    del house
    found = await asyncio.to_thread(catalogue.everything)
    return found | {"instant": await asyncio.to_thread(catalogue.instant_request)}


async def _enter(house: TheHouse, response: Response) -> dict[str, bool]:
    """Remember the token that this request carries, so that pictures can be shown."""
    response.set_cookie(
        COOKIE, house.token, httponly=True, samesite="strict", max_age=30 * 24 * 3600
    )
    return {"entered": True}


async def _page(request: Request) -> HTMLResponse:
    """The page; where a token was set, the door until it is known."""
    house: House = request.app.state.house
    headers = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in request.headers.raw]
    known = not house.settings.token or cookies(headers) == [house.token]
    name = "index.html" if known else "door.html"
    text = (catalogue.STATIC / name).read_text(encoding="utf-8")
    return HTMLResponse(text.replace("{{token}}", html.escape(house.token) if known else ""))


def _add_errors(app: FastAPI) -> None:
    """One shape for all errors."""

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        del request
        return JSONResponse(error.body(), error.status, headers=error.headers)

    @app.exception_handler(ImpastoError)
    async def ours(request: Request, error: ImpastoError) -> JSONResponse:
        del request
        status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
        return _problem(status, type(error).__name__, error.message, error.hint)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        del request
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return _problem(422, "UsageError", f"{where}: {first['msg']}".strip(": "))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        del request
        message = "nothing is here" if error.status_code == 404 else str(error.detail)
        return _problem(error.status_code, "Refused", message, headers=error.headers)

    @app.exception_handler(sqlite3.Error)
    async def base(request: Request, error: sqlite3.Error) -> JSONResponse:
        del request
        return _problem(507, "ResourceError", f"the history cannot be read or written: {error}")


def _problem(
    status: int, kind: str, message: str, hint: str = "", headers: Any = None
) -> JSONResponse:
    text = json.dumps(message)[1:-1] if any(ord(c) < 32 for c in message) else message
    return JSONResponse(
        {"error": {"type": kind, "message": text[:500], "hint": hint[:500]}},
        status,
        headers=dict(headers or {}),
    )
