"""How much memory a run needs, and how much there is."""

from __future__ import annotations

import bisect
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.backbones.lowering import LOW
from impasto.engine.allocator import keeps
from impasto.engine.objective import IMAGE
from impasto.engine.optimise import Optimiser
from impasto.engine.passes import ROOM
from impasto.engine.recompute import Stretch, stretches
from impasto.engine.store import LARGE
from impasto.engine.tiles import KEEPING, Tiling, keeps_ways, sections
from impasto.engine.way_back import holdings
from impasto.errors import ResourceError

#: Interpreter, torch and the default backbone's weights, in bytes.
BASE = 600_000_000
#: The same with the buffers of the kernels and what the allocator holds back, in a tiled run.
TILED_BASE = 900_000_000
#: Bytes per pixel of one picture.
PLANE = 12
#: Pictures that a job holds besides the optimiser's, whole and in tiles.
PICTURES, TILED_PICTURES = 8, 2
#: Process over need where freed memory is kept, in large tiles: those of each section have sizes of
#: their own, and blocks do not fit into each other's places.
TILED_KEPT = 1.8
#: Copies of the layers that losses look at; of those that they need whole.
COPIES, WHOLE_COPIES = 1.0, 4.0
#: Bytes that the curvature pairs of L-BFGS may take, and how many there are at least.
PAIRS, FEWEST = 16e9, 5
#: Bytes that are kept of a layer behind a ReLU, whose zeros are left out, over those that it has.
SPARSE = 0.22
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
    held, order = _held_behind(backbone, None, wanted)
    return held + 2 * _gradient_bytes(backbone, order)


def _probe(backbone: Backbone, channels: int, edge: int) -> Tensor:
    """What a backbone is given, in zeros."""
    weight = next(backbone.parameters())
    dtype = torch.float32 if weight.dtype in LOW else weight.dtype
    return torch.zeros(1, channels, edge, edge, device=weight.device, dtype=dtype)


def _gradient_bytes(backbone: Backbone, layers: Iterable[str]) -> float:
    """Bytes per pixel of the gradient of the widest of ``layers``, as the network computes it."""
    return _widest(backbone, layers) * next(backbone.parameters()).element_size() / 4


def _held_bytes(
    backbone: Backbone, probe: Tensor, run: Callable[[Tensor], dict[str, Tensor]]
) -> int:
    """Bytes that autograd and the taps hold when ``run`` is given ``probe``; no weights."""
    with torch.enable_grad(), holdings(backbone) as held:
        taps = run(probe.requires_grad_())
    storages = [t.untyped_storage() for t in taps.values()]
    return sum((held | {s.data_ptr(): s.nbytes() for s in storages}).values())


def optimiser_bytes(optimiser: Optimiser) -> float:
    """Bytes per pixel of parameters, gradient and the optimiser's state."""
    states = {"adam": 2, "rmsprop": 1, "sgd": 0, "lbfgs": 2 * optimiser.history + 5}
    state = states[optimiser.name]
    return PLANE * (4 + state + bool(optimiser.average))


def bounded(optimiser: Optimiser, pixels: int) -> Optimiser:
    """``optimiser`` with as many curvature pairs as :data:`PAIRS` bytes hold, but a few at least.

    A function of the picture's size alone, so that a resumed run goes the same way on any machine.
    """
    fitting = max(FEWEST, int(PAIRS // (2 * PLANE * pixels)))
    return replace(optimiser, history=min(optimiser.history, fitting))


def estimate(backbone: Backbone, layers: Iterable[str], optimiser: Optimiser, pixels: int) -> float:
    """Peak bytes of a run on a picture of ``pixels`` pixels, untiled.

    Besides what the network and the optimiser hold, losses make copies of the layers that they
    look at and of the picture, and the picture is held in several versions.
    """
    names = set(layers)
    per_pixel = activation_bytes(backbone, names) + optimiser_bytes(optimiser)
    per_pixel += _copies(backbone, names) + PICTURES * PLANE
    return fixed(backbone, names) + per_pixel * pixels


def fixed(backbone: Backbone, layers: Iterable[str]) -> float:
    """Bytes of a run that do not depend on the picture's size."""
    return BASE + backbone.filter_bytes({backbone.resolve(n) for n in layers if n != IMAGE})


def _copies(backbone: Backbone, layers: Iterable[str]) -> float:
    """Bytes per pixel that losses add to ``layers``, their gradients among them.

    The same for a network in fewer bits: losses see copies in float32, which gradients replace.
    """
    return COPIES * _bytes_of(backbone, layers)


def estimate_recomputed(
    backbone: Backbone,
    layers: Iterable[str],
    optimiser: Optimiser,
    pixels: int,
    *,
    whole: Iterable[str] = (),
) -> float:
    """As :func:`estimate`, with activation checkpointing.

    Kept are the maps at the borders and the layers that are wanted whole, with what losses make of
    them; on the way back there are the activations of one stretch more.

    Args:
        backbone: The network.
        layers: Those of all terms.
        optimiser: How pixels are moved.
        pixels: Of the picture.
        whole: Layers of losses that are no sums over positions.
    """
    names = [n for n in layers if n != IMAGE]
    parts = stretches(backbone, names)
    kept = _bytes_of(backbone, [p.border for p in parts])
    kept += (1 + COPIES) * _bytes_of(backbone, whole)
    peak = max(_stretch_bytes(backbone, part) for part in parts)
    per_pixel = kept + peak + optimiser_bytes(optimiser) + PICTURES * PLANE
    return fixed(backbone, names) + per_pixel * pixels


def _stretch_bytes(backbone: Backbone, part: Stretch) -> float:
    """Bytes per pixel of the picture that a stretch holds while it is gone back through."""
    if not part.ends:
        return 0.0
    held, order = _held_behind(backbone, part.after, part.ends)
    copies = _copies(backbone, part.layers)
    return held + _gradient_bytes(backbone, order) + copies


@dataclass(frozen=True)
class Need:
    """What a tiled run takes at its peak, in bytes.

    Attributes:
        memory: Of the process.
        scratch: Of files.
    """

    memory: float
    scratch: float


def estimate_tiled(
    backbone: Backbone,
    layers: Iterable[str],
    optimiser: Optimiser,
    size: tuple[int, int],
    tile: int,
    *,
    maps: Iterable[str] = (),
    whole: Iterable[str] = (),
    pictures: float = TILED_PICTURES,
) -> Need:
    """What a run on a picture of ``size`` (height, width) takes in tiles of ``tile`` px.

    Activations of one tile of the section that holds most, and the ways back of all tiles; in
    files the optimiser's state, the maps at the cuts with their gradients, and the layers that are
    wanted whole.

    Args:
        backbone: The network.
        layers: Those of all terms.
        optimiser: How pixels are moved.
        size: With the margin.
        tile: Edge of a tile of the first section.
        maps: Layers whose target is a map, such as that of content.
        whole: Layers of losses that are no sums over positions.
        pictures: How many are held in memory.
    """
    parts, pixels = sections(backbone, layers, tile), size[0] * size[1]
    working = max(_tile_bytes(section, size) for section in parts)
    cuts = sum(_bytes_of(backbone, [s.cut]) for s in parts if s.cut is not None)
    whole_bytes = _bytes_of(backbone, whole)
    filed = 2 * cuts + _bytes_of(backbone, maps) + 3 * whole_bytes + optimiser_bytes(optimiser)
    held = pictures * PLANE + WHOLE_COPIES * whole_bytes
    if optimiser.name != "lbfgs":  # torch's own keep their state in memory, and make copies
        held += optimiser_bytes(optimiser)
    # What is too small for a file stays in memory.
    small = min(filed * pixels, 3.0 * LARGE)
    kept = TILED_KEPT if tile >= KEEPING and keeps() else 1.0
    ways = min(ROOM, sum(map(_way_bytes, parts)) * pixels) if keeps_ways(backbone) else 0.0
    return Need(TILED_BASE + kept * (working + small) + ways + held * pixels, filed * pixels)


def _way_bytes(section: Tiling) -> float:
    """Bytes per pixel of the picture of the ways back from the cut to where ``section`` pauses."""
    backbone, (_, names) = section.backbone, section.divided()
    if not names:
        return 0.0
    behind = section.pause and backbone.resolve(section.pause)
    held, _ = _held_behind(backbone, behind or section.after, names)
    read = _bytes_of(backbone, [n for n in names if n in section.layers and section.lasting(n)])
    return held - _bytes_of(backbone, names) + SPARSE * read


def _tile_bytes(section: Tiling, size: tuple[int, int]) -> float:
    """Peak bytes of one tile of ``section``."""
    cells = [-(-edge // section.scale) for edge in size]
    seen = [max(s.last - s.first for s in section.spans(length)) for length in cells]
    return _section_bytes(section) * seen[0] * seen[1]


def _section_bytes(section: Tiling) -> float:
    """Bytes per cell that a forward and backward pass through ``section`` holds."""
    names = list(dict.fromkeys(n for n in (*section.layers, section.cut) if n not in (IMAGE, None)))
    if not names:
        return 8.0 * PLANE
    backbone = section.backbone
    held, order = _held_behind(backbone, section.after, names)
    copies = _copies(backbone, section.layers)
    return (held + 3 * _gradient_bytes(backbone, order) + copies) * section.scale**2


def _held_behind(
    backbone: Backbone, after: str | None, names: Iterable[str]
) -> tuple[float, list[str]]:
    """Bytes per pixel of the picture that autograd keeps from ``after`` to ``names``.

    Returns:
        They, measured; and the layers between.
    """
    wanted = {backbone.resolve(n) for n in names}
    order = list(backbone.table)
    last = max(order.index(n) for n in wanted)
    if after is None:
        edge = max(PROBE, backbone.min_size(wanted))
        held = _held_bytes(backbone, _probe(backbone, 3, edge), lambda x: backbone.taps(x, wanted))
        return held / edge**2, order[: last + 1]
    tap, edge = backbone.table[after], max(8, PROBE // 2)
    probe = _probe(backbone, tap.channels, edge)
    held = _held_bytes(backbone, probe, lambda x: backbone.taps_after(after, x, wanted))
    return held / (edge * tap.stride) ** 2, order[order.index(after) : last + 1]


def _bytes_of(backbone: Backbone, layers: Iterable[str | None]) -> float:
    """Bytes per pixel of ``layers``."""
    taps = [backbone.table[backbone.resolve(n)] for n in layers if n not in (None, IMAGE)]
    # One value per channel for the whole picture weighs nothing per pixel.
    return sum(4 * tap.channels / tap.stride**2 for tap in taps if tap.stride)


def _widest(backbone: Backbone, layers: Iterable[str]) -> float:
    return max((_bytes_of(backbone, [n]) for n in layers), default=0.0)


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


def resident() -> float:
    """Bytes that this process holds now; 0 where the system does not say."""
    used = _field(Path("/proc/self/status"), "VmRSS:")
    return used or 0.0


def check_fits(
    need: float, free: float | None, pixels: int, longest: int, least: float = BASE
) -> None:
    """Refuse a run that cannot fit, whose need grows with its pixels.

    Args:
        need: Bytes it would take at its peak.
        free: Bytes there are, or None when unknown.
        pixels: Of the picture.
        longest: Its longest side, px.
        least: Bytes that do not grow (:func:`fixed`).

    Raises:
        ResourceError: It does not fit; the hint names the largest size that does.
    """
    if free is not None and need > SHARE * free:
        per_pixel = (need - least) / pixels
        raise too_large(
            need, free, longest, lambda s: least + per_pixel * pixels * (s / longest) ** 2
        )


def too_large(
    need: float, free: float, longest: int, need_at: Callable[[int], float], hint: str = ""
) -> ResourceError:
    """The refusal of a run that does not fit.

    Args:
        need: Bytes it would take.
        free: Bytes there are.
        longest: Longest side of the picture, px.
        need_at: From a longest side to the bytes that it would take.
        hint: What else would help.
    """
    sizes = range(longest // 16 * 16, 31, -16)
    # The need grows with the size, so the first that fits can be found by halving.
    at = bisect.bisect_left(sizes, True, key=lambda size: need_at(size) <= SHARE * free)
    ways = [hint] if hint else []
    ways += [f"--size {sizes[at]} fits"] if at < len(sizes) else []
    return ResourceError(
        f"this needs about {need / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free",
        hint="; ".join(ways) or "close other programs",
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
