"""What listeners hear: the latest events of each job, numbered, and a wake-up when there are more.

Numbers grow over all starts of the server, so that what a listener has heard can be told from what
it has not. Memory is bounded: a listener that is too far behind gets the state as a whole instead.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

#: Events kept per job, and jobs with events.
DEPTH, CHANNELS = 256, 64
#: Numbers that one start of the server may use; below 2^53 with any number of starts.
EPOCH = 1_000_000_000


@dataclass(frozen=True)
class Heard:
    """One event: its number, its kind, and what it says."""

    number: int
    kind: str
    data: dict[str, Any]


@dataclass
class _Channel:
    last: int
    events: deque[Heard] = field(default_factory=lambda: deque(maxlen=DEPTH))
    ears: set[asyncio.Event] = field(default_factory=set)


class Hub:
    """Passes events on from the threads of the crew to listeners in the event loop.

    Args:
        epoch: Number of this start of the server.
    """

    def __init__(self, epoch: int) -> None:
        self._lock = threading.Lock()
        self._channels: OrderedDict[str, _Channel] = OrderedDict()
        self._next = epoch * EPOCH
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False
        self.listeners = 0

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop in which listeners wait."""
        self._loop = loop

    def publish(self, job_id: str, kind: str, data: dict[str, Any]) -> None:
        """Say something about a job; from any thread."""
        with self._lock:
            channel = self._channel(job_id)
            self._next += 1
            channel.last = self._next
            channel.events.append(Heard(self._next, kind, data))
            ears = list(channel.ears)
        self._wake(ears)

    def latest(self, job_id: str) -> int:
        """The number of the last event of a job."""
        with self._lock:
            return self._channel(job_id).last

    def since(self, job_id: str, number: int) -> list[Heard] | None:
        """The events after ``number``; None where some of them are no longer known."""
        with self._lock:
            channel = self._channel(job_id)
            if number == channel.last:
                return []
            if not channel.events or number < channel.events[0].number - 1:
                return None
            return [event for event in channel.events if event.number > number]

    async def wait(self, job_id: str, number: int, seconds: float) -> bool:
        """Until there is an event after ``number``; False if none comes in time."""
        ear = asyncio.Event()
        with self._lock:
            channel = self._channel(job_id)
            if channel.last > number or self.closed:
                return True
            channel.ears.add(ear)
        try:
            await asyncio.wait_for(ear.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            with self._lock:
                channel.ears.discard(ear)
        return True

    def close(self) -> None:
        """Send all listeners home."""
        with self._lock:
            self.closed = True
            ears = [ear for channel in self._channels.values() for ear in channel.ears]
        self._wake(ears)

    def _wake(self, ears: list[asyncio.Event]) -> None:
        loop = self._loop
        if loop is None or not ears:
            return

        def ring() -> None:
            for ear in ears:
                ear.set()

        try:
            loop.call_soon_threadsafe(ring)
        except RuntimeError:
            return  # the loop has ended, and its listeners with it

    def _channel(self, job_id: str) -> _Channel:
        found = self._channels.get(job_id)
        if found is None:
            found = self._channels[job_id] = _Channel(self._next)
            self._forget()
        self._channels.move_to_end(job_id)
        return found

    def _forget(self) -> None:
        silent = [name for name, channel in self._channels.items() if not channel.ears]
        for name in silent[: max(0, len(self._channels) - CHANNELS)]:
            del self._channels[name]
