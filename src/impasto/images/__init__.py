"""Pictures: reading, writing, resampling, colour and masks.

Reading and writing load no torch, so that a bad picture is reported at once; the names that
work on tensors are resolved when they are first used.

A picture is ``(H, W, 3)`` float32, sRGB-encoded, in [0, 1]; see ``docs/pictures.md``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from impasto.images.metadata import read_metadata
from impasto.images.model import FloatArray, Kept, Limits, Picture, Source
from impasto.images.reading import load
from impasto.images.writing import Saved, check_writable, save, save_bytes

if TYPE_CHECKING:
    from impasto.images.resize import fit_size, resize_map
    from impasto.images.tensors import from_tensor, to_tensor

_LAZY = {
    "fit_size": "resize",
    "resize_map": "resize",
    "from_tensor": "tensors",
    "to_tensor": "tensors",
}

__all__ = [
    "FloatArray",
    "Kept",
    "Limits",
    "Picture",
    "Saved",
    "Source",
    "check_writable",
    "fit_size",
    "from_tensor",
    "load",
    "read_metadata",
    "resize_map",
    "save",
    "save_bytes",
    "to_tensor",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"impasto.images.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
