"""Ctrl-C in two steps: the first one finishes the step at hand, the second one stops at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

#: Seconds that a second signal leaves to Python before the process is ended hard.
GRACE = 1.0
EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR = b"\x1b[?25h"


class Interrupts:
    """Counts SIGINT and SIGTERM while it is entered.

    Python runs its signal handlers between two bytecodes only, and one step of a large picture
    spends seconds inside a single call of torch. So a thread is woken by the signal itself: it
    answers the first one at once, and ends the process if a second one finds Python busy.

    Attributes:
        requested: A signal has come.
        announce: Called once, from the thread, when the first signal of a graceful phase comes.
    """

    def __init__(self) -> None:
        self.requested = False
        self.announce: Callable[[], None] = lambda: None
        self._graceful = False
        self._old: dict[int, Any] = {}
        self._old_fd = -1
        self._bell: socket.socket | None = None

    def graceful(self) -> None:
        """From now on the first signal sets :attr:`requested` only; the job saves and stops.

        Before, while nothing is worth saving, it raises KeyboardInterrupt.
        """
        self._graceful = True

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is not threading.main_thread():
            return self  # Python gives signals to the main thread only
        ear, self._bell = socket.socketpair()
        self._bell.setblocking(False)
        for number in _SIGNALS:
            # Whoever started us with a signal ignored (nohup, a shell's &) means it.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._old[number] = signal.signal(number, self._handle)
        self._old_fd = signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(ear,), daemon=True, name="signals").start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bell is None:
            return
        signal.set_wakeup_fd(self._old_fd)
        for number, handler in self._old.items():
            # After a request to stop the process is on its way out: let it get there.
            signal.signal(number, signal.SIG_IGN if self.requested else handler)
        self._bell.close()  # ends the thread

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        second, self.requested = self.requested, True
        if second or not self._graceful:
            raise KeyboardInterrupt

    def _watch(self, ear: socket.socket) -> None:
        count = 0
        with ear:
            while data := ear.recv(16):
                count += sum(byte in _SIGNALS for byte in data)
                if count >= 2:
                    time.sleep(GRACE)
                    _end()
                if count and self._graceful:
                    self.announce()


def _end() -> None:
    """End the process without asking Python."""
    if os.isatty(2):
        os.write(2, _SHOW_CURSOR)
    os._exit(EXIT_CODE)
