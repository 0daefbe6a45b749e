"""The studio: a local web page where a person plays with pictures.

``config`` settings and limits · ``guard`` who may ask for what · ``vault`` pictures by the digest
of their content · ``store`` queue and history in sqlite · ``child`` processes that do the work,
``decoding`` for uploads and ``worker`` for jobs · ``crew`` who gives jobs to workers · ``hub`` what
listeners hear · ``forms`` pages from specs · ``routes_*`` and ``app`` the server · ``static`` the
page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impasto.studio.config import Settings

__all__ = ["Settings", "serve"]


def __getattr__(name: str) -> Any:
    """Nothing is loaded before it is needed; workers need no server."""
    if name == "serve":
        from impasto.studio.server import serve

        return serve
    if name == "Settings":
        from impasto.studio.config import Settings

        return Settings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
