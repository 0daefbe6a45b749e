"""``impasto studio``: the local web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from impasto import jobs
from impasto.cli.session import Session
from impasto.errors import UsageError

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def studio(
    session: Session,
    *,
    port: int = 7860,
    host: str = "127.0.0.1",
    token: str | None = None,
    name: str | None = None,
    data: str | None = None,
    browser: Flag = False,
) -> None:
    """Open the studio: a page on this machine to play with pictures. Ctrl-C ends it.

    Args:
        session: Where to talk.
        port: Port to listen on; 0 takes a free one.
        host: Address to listen on; any but this machine's own needs a token.
        token: What others must know to come in, 16 characters or more.
        name: A further name under which others reach it, such as studio.lan.
        data: Folder of the pictures and the history.
        browser: Open the page in the browser.
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"port must be 0 to 65535, not {port}")
    # By name, as jobs finds verbs: the studio knows nothing of the command line, nor this of it.
    root = Path(data) if data else jobs.imported("impasto.studio.server:default_root")()
    settings: Any = jobs.imported("impasto.studio.config:Settings")(
        root=root.absolute(),
        host=host,
        port=port,
        token=token or "",
        names=(name,) if name else (),
    )

    def announce(address: str) -> None:
        session.answer(address, {"address": address, "data": str(settings.root)})
        session.note("Ctrl-C ends it; what runs goes on with the next start")
        if browser:
            import webbrowser

            webbrowser.open(address)

    jobs.imported("impasto.studio.server:serve")(settings, announce)
