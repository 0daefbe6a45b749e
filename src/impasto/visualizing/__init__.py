"""What the units of a network look for: activation maximisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from impasto.images import Picture
from impasto.specs import VisualizeSpec

if TYPE_CHECKING:
    from impasto.visualizing.run import Visualization


class Sources(Protocol):
    """What a request names: pictures, and a network if it is one of the user's."""

    def __call__(self, name: str) -> Picture:
        """The picture ``name``."""

    def given(self, name: str) -> Any:
        """What the caller gave in place of ``name``, as it is; None where there is nothing."""


def prepare(spec: VisualizeSpec, read: Sources) -> Visualization:
    """A job for ``spec``, checked: pictures read, weights verified, units found."""
    start = None if spec.init is None else read(spec.init)
    example = None
    if spec.direction is not None:
        from impasto.visualizing.units import is_weights

        example = None if is_weights(spec.direction) else read(spec.direction)
    from impasto.visualizing.run import Visualization

    module = None if spec.backbone is None else read.given(spec.backbone)
    return Visualization(spec, start, example, module)


__all__ = ["prepare"]
