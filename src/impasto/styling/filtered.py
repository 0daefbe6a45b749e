"""Classical filters around a stylization: of the photo before it, of the picture after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.filters import Filter, apply, numbers, parse
from impasto.images.resize import resize
from impasto.images.tensors import to_tensor
from impasto.specs import StylizeSpec
from impasto.styling.inputs import Inputs


@dataclass(frozen=True, eq=False)
class Filters:
    """The two chains; either may be empty.

    Attributes:
        before: Prepare the photo.
        after: Finish the picture.
        reference: (1, 3, H, W), for the filters that need a second picture; None where none does.
    """

    before: tuple[Filter, ...] = ()
    after: tuple[Filter, ...] = ()
    reference: Tensor | None = None

    @classmethod
    def of(cls, spec: StylizeSpec, inputs: Inputs, device: torch.device) -> Filters:
        """Those that ``spec`` asks for; the reference is the first painting.

        Raises:
            UnknownName: No such filter, or no such parameter of it.
            UsageError: A parameter is out of range.
        """
        before = () if spec.before is None else tuple(parse(spec.before))
        after = () if spec.after is None else tuple(parse(spec.after))
        needed = any(step.needs_reference for step in (*before, *after))
        return cls(before, after, to_tensor(inputs.paintings[0], device) if needed else None)

    def prepared(self, photo: Tensor, size: tuple[int, int]) -> Tensor:
        """The photo that the stylization begins with.

        Args:
            photo: (1, 3, H, W) in [0, 1].
            size: Of the result: filters work there, where their marks have the size meant.
        """
        if not self.before:
            return photo
        return apply(self.before, resize(photo, size).clamp(0, 1), self.reference)

    def completed(self, image: Tensor) -> Tensor:
        """The picture (1, 3, H, W) that is saved in place of ``image``."""
        return apply(self.after, image, self.reference) if self.after else image

    def settings(self) -> dict[str, Any]:
        """All numbers, for the record; nothing of a chain that is empty."""
        chains = {"before": self.before, "after": self.after}
        return {name: numbers(chain) for name, chain in chains.items() if chain}
