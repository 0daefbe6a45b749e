"""Where in a picture a position of a layer looks: its receptive field, clipped to the picture."""

from __future__ import annotations

from dataclasses import dataclass

from impasto.backbones import Backbone
from impasto.backbones.chain import Chain
from impasto.backbones.operations import Shape, Window


@dataclass(frozen=True)
class Box:
    """Pixels from ``top`` to before ``bottom`` and from ``left`` to before ``right``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def scaled(self, seen: tuple[int, int], size: tuple[int, int]) -> Box:
        """The same box in a copy of the picture: from ``seen`` to ``size`` (height, width).

        Rounded outwards, so that nothing that was seen is lost.
        """
        (h, w), (to_h, to_w) = seen, size
        return Box(
            self.top * to_h // h,
            self.left * to_w // w,
            min(to_h, -(-self.bottom * to_h // h)),
            min(to_w, -(-self.right * to_w // w)),
        )


def windows(backbone: Backbone, layer: str) -> tuple[Window, ...] | None:
    """The windows between the picture and ``layer``, the first of the network first.

    Where branches meet it is the branch that reaches farthest. None where one position stands for
    the whole picture, and for networks that are no chains.
    """
    if not isinstance(backbone, Chain) or not backbone.table[layer].stride:
        return None
    shape = Shape()
    for stage in backbone.stages:
        for name, shape in stage.shapes(shape):  # type: ignore[operator]  # noqa: B020
            if name == layer:
                return tuple(shape.path)
    return None


def seen_box(backbone: Backbone, layer: str, place: tuple[int, int], size: tuple[int, int]) -> Box:
    """The pixels that one position can depend on.

    From the position back through every window: ``first = first * stride - padding`` and ``last =
    last * stride - padding + size - 1``, where TensorFlow's padding depends on the size of what
    is padded. The result is exact for any size of picture.

    Args:
        backbone: The network.
        layer: Canonical name.
        place: Row and column in the layer's maps.
        size: Height and width of the picture.

    Returns:
        Clipped to the picture; all of it where the windows are not known.
    """
    path = windows(backbone, layer)
    if path is None:
        return Box(0, 0, *size)
    (top, bottom), (left, right) = (
        _interval(path, at, extent) for at, extent in zip(place, size, strict=True)
    )
    return Box(top, left, bottom, right)


def _interval(path: tuple[Window, ...], place: int, extent: int) -> tuple[int, int]:
    """First pixel and the one after the last, along one axis of ``extent`` px."""
    extents = [extent]
    for window in path[:-1]:
        extents.append(_count(window, extents[-1]))
    first = last = place
    for window, n in zip(reversed(path), reversed(extents), strict=True):
        before = window.pads(n)[0]
        first = first * window.stride - before
        last = min(last * window.stride - before + window.size - 1, n - 1)
    return max(first, 0), min(last + 1, extent)


def _count(window: Window, n: int) -> int:
    """How many windows lie on ``n`` pixels."""
    before, after = window.pads(n)
    room = n + before + after - window.size
    if not window.ceil or window.padding == "circular":
        return room // window.stride + 1
    count = -(-room // window.stride) + 1
    # A last window must begin inside the picture or its first padding (torch's rule).
    return count - 1 if (count - 1) * window.stride >= n + before else count
