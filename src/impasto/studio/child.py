"""A process of ours that is asked and answers in lines of JSON, and can be ended at any moment."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import impasto

Message = dict[str, Any]
#: How a child is told its limits.
ENVIRONMENT = "IMPASTO_STUDIO_CHILD"


class Ended(Exception):
    """The process is gone."""


class Child:
    """A running process.

    Args:
        module: What it runs, such as ``impasto.studio.worker``.
        folder: Where it starts.
        about: What it has to know before anything else.

    Attributes:
        ready: Whether it has said that it can begin; whoever listens to it sets this.
    """

    ready = False

    def __init__(self, module: str, folder: Path, about: Mapping[str, Any]) -> None:
        source = str(Path(impasto.__file__).resolve().parents[1])
        path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path, ENVIRONMENT: json.dumps(dict(about))},
        )
        self._heard: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._sending = threading.Lock()
        self._gone = False
        threading.Thread(target=self._listen, daemon=True, name=f"{module}-ear").start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None and not self._gone

    def send(self, message: Message) -> None:
        """Ask for something.

        Raises:
            Ended: The process is gone.
        """
        line = json.dumps(message).encode() + b"\n"
        stream = self._process.stdin
        assert stream is not None
        try:
            with self._sending:
                stream.write(line)
                stream.flush()
        except (OSError, ValueError):
            raise Ended from None

    def receive(self, seconds: float) -> Message | None:
        """What it says next, or None if it says nothing in time.

        Raises:
            Ended: The process is gone, and all it said has been heard.
        """
        if self._gone:
            raise Ended
        try:
            message = self._heard.get(timeout=seconds)
        except queue.Empty:
            return None
        if message is None:
            self._gone = True
            raise Ended
        return message

    def memory(self) -> int:
        """Bytes that it holds in memory; 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")

    def end(self, grace: float = 0.0) -> None:
        """End it: gently within ``grace`` seconds, otherwise at once."""
        stream = self._process.stdin
        if stream is not None:
            try:
                with self._sending:
                    stream.close()
            except OSError:
                pass  # it was gone before it had read everything
        try:
            if not grace:
                self._process.kill()
            self._process.wait(grace or None)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        with stream:
            for line in stream:
                try:
                    message = json.loads(line)
                except ValueError:
                    continue  # cut off in the middle by the end of the process
                if isinstance(message, dict):
                    self._heard.put(message)
        self._heard.put(None)


class Line:
    """The child's end: requests in, answers out; nothing else can write there.

    Standard input and output are put aside, so that a library that prints disturbs nothing.
    """

    def __init__(self) -> None:
        self.about: dict[str, Any] = json.loads(os.environ.pop(ENVIRONMENT, "{}"))
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb")
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def say(self, **message: Any) -> None:
        """Answer. Where nobody listens any more, nothing happens."""
        data = json.dumps(message).encode() + b"\n"
        try:
            with self._lock:
                self._out.write(data)
                self._out.flush()
        except OSError:
            return

    def hear(self) -> Message | None:
        """The next request, or None when the server is gone."""
        line = self._in.readline()
        if not line.endswith(b"\n"):
            return None
        message: Message = json.loads(line)
        return message


def limit_memory(size: int) -> None:
    """Let this process take no more than ``size`` bytes of its own; 0 sets no limit.

    What is only mapped (libraries, weights) does not count. Where the system has no such limit,
    there is none.
    """
    if size <= 0:
        return
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
