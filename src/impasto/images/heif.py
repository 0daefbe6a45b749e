"""HEIC and HEIF through the optional package ``pi-heif`` (it decodes, and does not bundle x265)."""

from __future__ import annotations

import io
from collections.abc import Callable
from types import ModuleType

import numpy as np

from impasto.errors import InputError
from impasto.images.modes import Planes, split, unit


def read(data: bytes, check: Callable[[int, int], None]) -> tuple[Planes, bytes]:
    """The primary picture of a HEIF file, upright: libheif applies its turns itself.

    Args:
        data: The whole file.
        check: Called with width and height before anything is decoded; raises to refuse.

    Returns:
        Values, and the ICC profile or ``b""``.

    Raises:
        InputError: ``pi-heif`` is not installed.
        Exception: Whatever it raises on damaged files.
    """
    file = _library().open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    check(*file.size)
    values = unit(np.array(file))
    cube = values[:, :, None] if values.ndim == 2 else values
    profile = file.info.get("icc_profile") or b""
    return Planes(*split(cube), mode=str(file.mode)), bytes(profile)


def _library() -> ModuleType:
    try:
        import pi_heif
    except ImportError:
        raise InputError(
            "HEIC and HEIF need the package pi-heif", hint="pip install 'impasto[formats]'"
        ) from None
    module: ModuleType = pi_heif
    return module
