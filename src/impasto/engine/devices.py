"""Which device a job runs on."""

from __future__ import annotations

import torch

from impasto.errors import UsageError


def pick_device(name: str) -> torch.device:
    """``auto`` is CUDA, then MPS, then the CPU; other names must exist on this machine.

    Raises:
        UsageError: The device is unknown or not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    count = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in count or (index and not index.isdigit()):
        raise UsageError(f"device {name!r} is not known", hint="use auto, cpu, cuda, cuda:N or mps")
    if int(index or 0) >= count[kind]:
        there = [k for k, n in count.items() if n]
        raise UsageError(
            f"device {name!r} is not there", hint=f"this machine has {', '.join(there)}"
        )
    return torch.device(name)
