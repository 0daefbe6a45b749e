"""How much memory a run needs, and how much there is."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.objective import IMAGE
from impasto.engine.optimise import Optimiser
from impasto.errors import ResourceError

#: Interpreter, torch and the default backbone's weights, in bytes.
BASE = 600_000_000
#: Share of the free memory that a run may take.
SHARE = 0.9
#: Edge of the picture on which activations are measured, px.
PROBE = 128


def activation_bytes(backbone: Backbone, layers: Iterable[str]) -> float:
    """Bytes per pixel that a forward and backward pass through ``layers`` holds at its peak.

    What the forward pass keeps for the backward pass is measured, on a small picture: it depends
    on the network's blocks and doubles where padding makes copies. On top of it, the gradient of
    the widest activation exists twice at one moment.
    """
    wanted = {backbone.resolve(n) for n in layers if n != IMAGE}
    if not wanted:
        return 0.0
    size = max(PROBE, backbone.min_size(wanted))
    widest = 0.0
    left = set(wanted)
    for name, tap in backbone.table.items():
        # One value per channel for the whole picture weighs nothing per pixel.
        widest = max(widest, 4 * tap.channels / tap.stride**2 if tap.stride else 0.0)
        left.discard(name)
        if not left:
            break
    return _held_bytes(backbone, wanted, size) / size**2 + 2 * widest


def _held_bytes(backbone: Backbone, layers: Iterable[str], size: int) -> int:
    """Bytes that autograd keeps for a picture of ``size`` x ``size``, weights not counted."""
    weights = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor

    parameter = next(backbone.parameters())
    picture = torch.zeros(1, 3, size, size, device=parameter.device, dtype=parameter.dtype)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        taps = backbone.taps(picture.requires_grad_(), layers)
    del taps
    return sum(held.values())


def optimiser_bytes(optimiser: Optimiser) -> float:
    """Bytes per pixel of parameters, gradient and the optimiser's state."""
    plane = 3 * 4
    states = {"adam": 2, "rmsprop": 1, "sgd": 0, "lbfgs": 2 * optimiser.history + 5}
    state = states[optimiser.name]
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
