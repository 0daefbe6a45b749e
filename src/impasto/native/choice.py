"""Whose convolution a layer takes, ours or torch's: measured once on each machine.

The first time that a layer of some numbers of channels meets pictures of some size (in powers of
two), both are timed on what is there, which takes about as long as ten calls. The answer is kept in
a file beside the compiled kernels. So a machine decides once: runs there repeat each other exactly,
and so do resumed ones. Where nothing can be written, ours are taken without measuring.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.native.build import Library
from impasto.native.packing import splits

if TYPE_CHECKING:
    from impasto.native.convolution import Filters

#: torch's is taken where ours takes more than this many times as long.
MARGIN = 1.1
#: Rounds of measurement; the fastest counts.
ROUNDS = 5


def ours(lib: Library, x: Tensor, filters: Filters, pad: int) -> bool:
    """Whether our kernel is the one for ``x`` (B, I, H, W) and ``filters``."""
    known = _table(lib.path)
    key = _key(lib, x, filters, pad)
    if key not in known:
        known[key] = not _writable(lib.path) or _measured(lib, x, filters, pad)
        _remember(lib.path, known)
    return known[key]


def _key(lib: Library, x: Tensor, filters: Filters, pad: int) -> str:
    tiles = x.shape[0]
    for edge in x.shape[-2:]:
        tiles *= -(-(edge + 2 * pad - 2) // 4)
    outputs, inputs = filters.weight.shape[:2]
    kind = "parts" if splits(lib, inputs, outputs) else "vectors"
    return f"{inputs}-{outputs}-{tiles.bit_length()}-{torch.get_num_threads()}-{kind}"


def _measured(lib: Library, x: Tensor, filters: Filters, pad: int) -> bool:
    from impasto.native.convolution import run

    packed = filters.packed(lib, turned=False)
    with torch.no_grad():
        mine, theirs = _fastest(
            lambda: run(lib, x, packed, pad, bias=filters.bias, relu=True),
            lambda: F.conv2d(x, filters.weight, filters.bias, padding=pad).relu_(),
        )
    return mine <= MARGIN * theirs


def _fastest(*ways: Callable[[], Tensor]) -> list[float]:
    """Seconds of the fastest round of each way; the first round does not count."""
    times = [[_seconds(way) for way in ways] for _ in range(ROUNDS + 1)]
    return [min(column) for column in zip(*times[1:], strict=True)]


def _seconds(way: Callable[[], Tensor]) -> float:
    begun = time.perf_counter()
    way()
    return time.perf_counter() - begun


@cache
def _table(library: Path) -> dict[str, bool]:
    """What has been measured with ``library``, here or in an earlier process."""
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(_file(library).read_text(encoding="utf-8"))
        if isinstance(known, dict):
            return {str(key): bool(value) for key, value in known.items()}
    return {}


def _remember(library: Path, known: dict[str, bool]) -> None:
    """Write the table; other processes may have added to it meanwhile."""
    _table.cache_clear()
    known.update({k: v for k, v in _table(library).items() if k not in known})
    _table(library).update(known)
    part = _file(library).with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(known, indent=0, sort_keys=True), encoding="utf-8")
        part.replace(_file(library))


def _file(library: Path) -> Path:
    return library.with_suffix(".json")


def _writable(library: Path) -> bool:
    return os.access(library.parent, os.W_OK)
