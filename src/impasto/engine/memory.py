"""How much memory a run needs, and how much there is."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import torch

from impasto.backbones import Backbone
from impasto.engine.objective import IMAGE
from impasto.engine.optimise import Optimiser
from impasto.errors import ResourceError

#: Interpreter, torch and the default backbone's weights, in bytes.
BASE = 600_000_000
#: Share of the free memory that a run may take.
SHARE = 0.9


def activation_bytes(backbone: Backbone, layers: Iterable[str]) -> float:
    """Bytes per pixel that a forward and backward pass through ``layers`` holds at its peak.

    Every convolution and pooling keeps its float32 output for the backward pass (ReLUs work in
    place). On top of these, the gradient of the widest activation exists twice at one moment.
    """
    wanted = {backbone.resolve(n) for n in layers if n != IMAGE}
    held = widest = 0.0
    for name, tap in backbone.table.items():
        if not wanted:
            break
        size = 4 * tap.channels / tap.stride**2
        held += 0 if name.startswith("relu") else size
        widest = max(widest, size)
        wanted.discard(name)
    return held + 2 * widest


def optimiser_bytes(optimiser: Optimiser) -> float:
    """Bytes per pixel of parameters, gradient and the optimiser's state."""
    plane = 3 * 4
    state = 2 if optimiser.name == "adam" else 2 * optimiser.history + 5
    return plane * (4 + state + bool(optimiser.average))


def estimate(backbone: Backbone, layers: Iterable[str], optimiser: Optimiser, pixels: int) -> float:
    """Peak bytes of a run on a picture of ``pixels`` pixels, untiled."""
    per_pixel = activation_bytes(backbone, layers) + optimiser_bytes(optimiser)
    return BASE + per_pixel * pixels


def available(device: torch.device) -> float | None:
    """Free bytes on ``device``, or None where the system does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    if not sys.platform.startswith("linux"):
        return None
    free = _field(Path("/proc/meminfo"), "MemAvailable:")
    limit = _number(Path("/sys/fs/cgroup/memory.max"))
    used = _number(Path("/sys/fs/cgroup/memory.current"))
    if limit is not None and used is not None:
        free = min(free, limit - used) if free is not None else limit - used
    return free


def check_fits(need: float, free: float | None, pixels: int, longest: int) -> None:
    """Refuse a run that cannot fit.

    Args:
        need: Bytes it would take at its peak.
        free: Bytes there are, or None when unknown.
        pixels: Of the picture.
        longest: Its longest side, px.

    Raises:
        ResourceError: It does not fit; the hint names the largest size that does.
    """
    if free is None or need <= SHARE * free:
        return
    per_pixel = (need - BASE) / pixels
    fits = max(0.0, (SHARE * free - BASE) / per_pixel)
    size = int(longest * (fits / pixels) ** 0.5) // 16 * 16
    raise ResourceError(
        f"this needs about {need / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free",
        hint=f"--size {size} fits" if size >= 32 else "close other programs",
    )


def _field(path: Path, name: str) -> float | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    row = next((line for line in lines if line.startswith(name)), None)
    return float(row.split()[1]) * 1024 if row else None


def _number(path: Path) -> float | None:
    try:
        return float(path.read_text())
    except (OSError, ValueError):
        return None
