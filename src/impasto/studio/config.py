"""Settings of a studio, and what it refuses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

#: Names of this machine that no other can reach.
LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Addresses that mean all of this machine's.
EVERYWHERE = ("0.0.0.0", "::")
#: Fewest characters of a token.
TOKEN_LENGTH = 16


@dataclass(frozen=True)
class Limits:
    """What is refused; sizes in bytes, times in seconds.

    Attributes:
        max_pixels: Most pixels of a picture, from its header.
        upload: Largest file.
        body: Largest body of any request.
        text: Largest body of a request that is not a file.
        decoding: Longest time that a picture may take to decode.
        decoding_memory: Memory for decoding.
        waiting: Most jobs in the queue.
        wall: Longest time that a job may run before it is stopped; its picture is kept.
        job_memory: Memory for a job; 0 leaves it to the system.
        history: Most finished jobs that are kept.
        history_bytes: Most space that pictures may take before the oldest go.
        free_disk: With less free space nothing new is taken.
        chunk_wait: Longest silence within a body.
        upload_wait: Longest time that one file may take to arrive.
        listeners: Most open event streams.
        crashes: A job that ends its process so often without progress has failed.
    """

    max_pixels: int = 64_000_000
    upload: int = 50_000_000
    body: int = 110_000_000
    text: int = 1_000_000
    decoding: float = 20.0
    decoding_memory: int = 4_000_000_000
    waiting: int = 200
    wall: float = 7200.0
    job_memory: int = 0
    history: int = 500
    history_bytes: int = 5_000_000_000
    free_disk: int = 500_000_000
    chunk_wait: float = 30.0
    upload_wait: float = 600.0
    listeners: int = 400
    crashes: int = 3


@dataclass(frozen=True)
class Settings:
    """One studio.

    Attributes:
        root: Folder of the queue, the history and the pictures.
        host: Address to listen on.
        port: Port to listen on.
        token: What whoever asks must know, or empty where only this machine can ask.
        names: Further names under which it may be asked for, where others can reach it.
        devices: One job runs at a time on each; ``"auto"`` is the best there is.
        limits: What is refused.
        checkpoint_seconds: Least time between two checkpoints of a job.
        preview_seconds: Least time between two previews of a job.
        idle_seconds: A worker without work is ended after this.
        stop_grace: How long a job may take to stop before its process is ended.
    """

    root: Path
    host: str = "127.0.0.1"
    port: int = 7860
    token: str = ""
    names: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("auto",)
    limits: Limits = field(default_factory=Limits)
    checkpoint_seconds: float = 20.0
    preview_seconds: float = 0.7
    idle_seconds: float = 600.0
    stop_grace: float = 60.0

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the studio."""
        return self.host in LOOPBACK

    def answers_to(self, host: str) -> bool:
        """Whether this value of the Host header means us: name and port.

        A name that anyone may point at this machine is not ours, unless it is one of
        :attr:`names`. Where the studio listens on every address, any address is: pages of other
        sites come under names.
        """
        name, _, port = host.lower().rpartition(":")
        if port != str(self.port):
            return False
        own = {"127.0.0.1", "localhost", "[::1]", *(n.lower() for n in self.names)}
        own |= {f"[{self.host}]" if ":" in self.host else self.host}
        return name in own or (self.host in EVERYWHERE and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") else name)
    except ValueError:
        return False
    return True
