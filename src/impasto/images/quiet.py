"""Running decoders written in C without their warnings reaching the terminal."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

# Warning filters, Pillow's pixel limit and file descriptor 2 belong to the whole process, so
# whoever changes them for a moment holds this.
_LOCK = threading.RLock()


@contextmanager
def calm(*, native: bool = False) -> Iterator[None]:
    """Hold back what Pillow says about odd files, one thread at a time.

    Pillow's own size check is off inside: it knows one limit for the process, while
    :class:`impasto.images.Limits` is an argument, and is checked from the same header.

    Args:
        native: Also hold back what libraries in C write to file descriptor 2 (libtiff does).
            Anything else that the process writes there meanwhile is lost too; keep it short.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            if native:
                with _stderr_aside():
                    yield
            else:
                yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _stderr_aside() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing can leak
        yield
        return
    try:
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, 2)
        os.close(sink)
        try:
            yield
        finally:
            os.dup2(kept, 2)
    finally:
        os.close(kept)
