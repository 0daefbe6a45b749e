"""Who may ask for what: every request passes here before anything else sees it.

Against pages of other sites: the Host header must be ours (DNS rebinding), the Origin too where
there is one, and every change carries a token that no other page can read. Against floods: caps on
bodies, and no waiting for silent clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from impasto.studio.config import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER, COOKIE = "x-impasto-token", "impasto_token"
CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
READS = frozenset({"GET", "HEAD"})
#: What can be seen without the token where one was set: the door, and what it is made of.
OPEN_PATHS = ("/", "/static/")
UPLOADS = "/api/uploads"
#: Most bytes of all headers of a request.
HEADER_BYTES = 16_384
#: What is still read of a body that is too large, and for how long.
LINGER_BYTES, LINGER_SECONDS = 4_000_000, 1.0

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Refused(Exception):
    """A request that is answered with an error.

    Args:
        status: Of HTTP.
        message: One line.
        hint: What to do next.
        headers: More of them.
    """

    def __init__(
        self,
        status: int,
        message: str,
        hint: str = "",
        headers: dict[str, str] | None = None,
        kind: str = "Refused",
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.hint, self.kind = status, message, hint, kind
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The one shape of all errors."""
        return {"error": {"type": self.kind, "message": self.message, "hint": self.hint}}


class Guard:
    """The outermost layer of the server.

    Args:
        app: What is guarded.
        settings: Of the studio.
        token: That changes must carry.
    """

    def __init__(self, app: App, settings: Settings, token: str) -> None:
        self._app, self._settings, self._token = app, settings, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no websockets here
        send = _sealed(send, str(scope["path"]))
        try:
            self._check(scope)
            body = _Body(receive, scope, self._settings)
        except Refused as error:
            await _refuse(receive, send, error)
            return
        try:
            await self._app(scope, body.receive, send)
        except Refused as error:
            await _refuse(receive, send, error)

    def _check(self, scope: Scope) -> None:
        headers = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in scope["headers"]]
        if sum(len(k) + len(v) for k, v in headers) > HEADER_BYTES:
            raise Refused(431, f"headers may have {HEADER_BYTES} bytes")
        host = self._host(headers)
        _check_origin(headers, host)
        method = scope["method"]
        if method not in READS | CHANGES:
            raise Refused(405, f"{method[:16]} is not understood here")
        if method in CHANGES and not self._knows(_all(headers, TOKEN_HEADER)):
            raise Refused(
                403, "this needs the token of the page", f"send it as {TOKEN_HEADER}; reload"
            )
        if method in READS and not self._may_read(scope["path"], headers):
            raise Refused(401, "this studio needs its token", "open the page and enter it")

    def _host(self, headers: list[tuple[str, str]]) -> str:
        hosts = _all(headers, "host")
        if len(hosts) != 1 or not self._settings.answers_to(hosts[0]):
            raise Refused(403, "this studio does not go by that name", "use the printed address")
        return hosts[0].lower()

    def _knows(self, tokens: list[str]) -> bool:
        return len(tokens) == 1 and secrets.compare_digest(
            tokens[0].encode("utf-8", "replace"), self._token.encode()
        )

    def _may_read(self, path: str, headers: list[tuple[str, str]]) -> bool:
        if not self._settings.token or path == OPEN_PATHS[0] or path.startswith(OPEN_PATHS[1]):
            return True
        return self._knows(_all(headers, TOKEN_HEADER)) or self._knows(cookies(headers))


def cookies(headers: list[tuple[str, str]]) -> list[str]:
    """The tokens in cookies."""
    found = []
    for text in _all(headers, "cookie"):
        try:
            morsel = SimpleCookie(text).get(COOKIE)
        except CookieError:
            continue
        if morsel is not None:
            found.append(morsel.value)
    return found[:1]


def _check_origin(headers: list[tuple[str, str]], host: str) -> None:
    origins = _all(headers, "origin")
    if origins and origins != [f"http://{host}"]:
        raise Refused(403, "requests of other sites are not answered")
    sites = _all(headers, "sec-fetch-site")
    if any(site not in ("same-origin", "none") for site in sites):
        raise Refused(403, "requests of other sites are not answered")


def _all(headers: list[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in headers if key == name]


class _Body:
    """The body of a request: not more of it than is allowed, and not slower."""

    def __init__(self, receive: Receive, scope: Scope, settings: Settings) -> None:
        limits = settings.limits
        uploading = scope["path"].rstrip("/") == UPLOADS and scope["method"] == "POST"
        self._most = limits.upload if uploading else limits.text
        self._most = min(self._most, limits.body)
        self._wait, self._receive, self._got, self._over = limits.chunk_wait, receive, 0, False
        sizes = _all(
            [(k.decode("latin-1"), v.decode("latin-1")) for k, v in scope["headers"]],
            "content-length",
        )
        if any(not s.isdecimal() or int(s[:20]) > self._most for s in sizes):
            raise self._too_large()

    async def receive(self) -> Message:
        """The next piece."""
        if self._over:  # what comes now is the end of the connection, and that may take long
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._wait)
        except TimeoutError:
            raise Refused(408, "the rest of the request did not come") from None
        self._got += len(message.get("body", b""))
        if self._got > self._most:
            raise self._too_large()
        self._over = not message.get("more_body", False)
        return message

    def _too_large(self) -> Refused:
        return Refused(413, f"at most {self._most} bytes are taken", "make the picture smaller")


def _sealed(send: Send, path: str) -> Send:
    """``send`` with the headers of every answer."""

    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            have = {key.lower() for key, _ in message.get("headers", [])}
            more = dict(HEADERS)
            if not path.startswith("/static/"):
                more["cache-control"] = "no-store"
            added = [(k.encode(), v.encode()) for k, v in more.items() if k.encode() not in have]
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return sealed


async def _refuse(receive: Receive, send: Send, error: Refused) -> None:
    """Answer; where a body is too large, read on a little before.

    A connection that is closed upon unread bytes is reset, and the answer may be lost with it.
    """
    if error.status == 413:
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while read < LINGER_BYTES:
                    message = await receive()
                    read += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        break
    await _answer(send, error)


async def _answer(send: Send, error: Refused) -> None:
    data = json.dumps(error.body()).encode()
    headers = {"content-type": "application/json", "content-length": str(len(data))}
    if error.status in (408, 413):
        headers["connection"] = "close"
    headers |= error.headers
    await send(
        {
            "type": "http.response.start",
            "status": error.status,
            "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": data})
