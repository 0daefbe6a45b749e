"""What the other rooms see of a picture: values, their source, and the limits of reading."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Kept:
    """What of a photo's file may go with its result.

    Attributes:
        artist: Who made it; empty where the file does not say.
        notice: The copyright; empty where the file does not say.
        profile: ICC profile of its RGB colours; empty for sRGB, or where it cannot be used.
    """

    artist: str = ""
    notice: str = ""
    profile: bytes = b""


@dataclass(frozen=True)
class Source:
    """Where a picture came from.

    Attributes:
        name: Display name; ``"-"`` for standard input, ``"<bytes>"`` and the like for memory.
        sha256: Hex digest of the file's bytes; of the pixel bytes for arrays.
        format: Format of the file (``"PNG"``, ``"JPEG"`` ...) or ``"array"``.
        mode: Pixel mode in the file, in Pillow's spelling (``"RGB"``, ``"CMYK"``, ``"RGB;16"``).
        notes: What was done to the picture on reading that its owner may want to know.
        kept: What may go with a result.
    """

    name: str
    sha256: str
    format: str
    mode: str
    notes: tuple[str, ...] = ()
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture. Treat the arrays as read-only; they are marked so where it is cheap.

    Attributes:
        rgb: ``(H, W, 3)`` float32, sRGB-encoded, in [0, 1], upright.
        alpha: ``(H, W)`` float32 coverage in [0, 1], not premultiplied; ``None`` if all is opaque.
        source: Where it came from.
    """

    rgb: FloatArray
    alpha: FloatArray | None
    source: Source

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.rgb.shape[1])

    @property
    def size(self) -> tuple[int, int]:
        """``(height, width)``."""
        return self.height, self.width


@dataclass(frozen=True)
class Limits:
    """What is refused before a picture is decoded.

    Attributes:
        max_pixels: Most pixels, from the header.
        max_edge: Longest edge in pixels, from the header.
        max_bytes: Largest file in bytes; ``None`` for no limit.
        profile_bytes: Largest ICC profile that is used; larger ones are ignored with a note.
    """

    max_pixels: int = 64_000_000
    max_edge: int = 16_384
    max_bytes: int | None = None
    profile_bytes: int = 4_000_000
