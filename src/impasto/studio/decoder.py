"""The server's side of decoding: one process at work, ended where it takes too long."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from impasto.errors import InputError, ResourceError
from impasto.studio.child import Child, Ended
from impasto.studio.config import Settings


class Decoder:
    """Asks the decoding process, one question at a time.

    Args:
        settings: Of the studio.
        folder: Where the process runs.
    """

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._limits, self._folder = settings.limits, folder
        self._child: Child | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="decoder")

    async def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request of :mod:`impasto.studio.decoding` and wait for the answer.

        Raises:
            InputError: The picture cannot be used, or takes too long to decode.
            ResourceError: The process ended in the middle, twice.
        """
        request = {k: str(v) if isinstance(v, Path) else v for k, v in request.items()}
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, request)

    @property
    def pid(self) -> int | None:
        """Number of the process, if there is one."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End the process."""
        self._thread.shutdown(wait=True, cancel_futures=True)
        if self._child is not None:
            self._child.end(grace=1)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._asked(request)
        except Ended:  # ended by someone else; if it was the picture, it happens again
            pass
        try:
            return self._asked(request)
        except Ended:
            raise ResourceError("the picture could not be decoded: its process ended") from None

    def _asked(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._child is None or not self._child.alive:
            about = {"memory": self._limits.decoding_memory, "pixels": self._limits.max_pixels}
            self._child = Child("impasto.studio.decoding", self._folder, about)
        self._child.send(request)
        answer = self._child.receive(self._limits.decoding)
        if answer is None:
            self._child.end()
            raise InputError(f"the picture took more than {self._limits.decoding:g} s to decode")
        if not answer.pop("ok"):
            raise InputError(answer["message"], hint=answer["hint"])
        return answer
