"""Starting a studio: what is refused before anything listens, and where it listens."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from impasto.errors import ImpastoError, UsageError
from impasto.studio.config import EVERYWHERE, TOKEN_LENGTH, Settings

#: Most connections at once.
CONNECTIONS = 1000


def default_root() -> Path:
    """Where the pictures and the history are, unless another folder is named."""
    import platformdirs

    return Path(platformdirs.user_data_dir("impasto", appauthor=False)) / "studio"


def check(settings: Settings) -> None:
    """Refuse what would expose the studio.

    Raises:
        UsageError: Others could reach it without a token, or the token is too short.
    """
    if not settings.local and not settings.token:
        raise UsageError(
            f"--host {settings.host} lets other machines in; that needs a --token",
            hint="choose a long secret, such as the output of: openssl rand -hex 16",
        )
    if settings.token and len(settings.token) < TOKEN_LENGTH:
        raise UsageError(f"the token has {len(settings.token)} characters; {TOKEN_LENGTH} or more")
    if not settings.token.isascii() or not settings.token.isprintable() or " " in settings.token:
        raise UsageError("the token must be plain letters, digits and signs")


def serve(settings: Settings, announce: Callable[[str], None] = lambda _: None) -> None:
    """Run a studio until Ctrl-C.

    Args:
        settings: Of the studio.
        announce: Called with the address when it listens.

    Raises:
        UsageError: It would be exposed, the port is taken, another studio uses the folder.
        ImpastoError: A package is missing.
    """
    check(settings)
    try:
        import fastapi  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise ImpastoError(
            f"the studio needs {error.name}", hint="pip install 'impasto[studio]'"
        ) from None
    from impasto.studio.app import create_app
    from impasto.studio.guard import HEADER_BYTES

    bell = _listening(settings)
    settings = replace(settings, port=bell.getsockname()[1])
    try:
        config = uvicorn.Config(
            create_app(settings),
            http="h11",
            ws="none",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            h11_max_incomplete_event_size=HEADER_BYTES,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=3,
        )
        announce(address(settings))
        uvicorn.Server(config).run(sockets=[bell])
    except KeyboardInterrupt:  # the usual way to end it
        return
    finally:
        bell.close()


def address(settings: Settings) -> str:
    """What to type into a browser."""
    name = f"[{settings.host}]" if ":" in settings.host else settings.host
    shown = "127.0.0.1" if settings.host in EVERYWHERE else name
    return f"http://{shown}:{settings.port}/"


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bell = socket.socket(family, socket.SOCK_STREAM)
    bell.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bell.bind((settings.host, settings.port))
        bell.listen(512)
    except OSError as error:
        bell.close()
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used: {error}"
        raise UsageError(f"port {settings.port} {reason}", hint="--port chooses another") from None
    return bell
