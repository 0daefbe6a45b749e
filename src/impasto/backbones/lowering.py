"""A network in fewer bits between a picture and features in float32.

What a network computes in is the dtype of its weights. A picture that is given to one in bfloat16
or float16 is shifted and scaled as it is, rounded, passed through, and the activations that were
asked for come back in the picture's dtype: whatever is summed over positions afterwards would
overflow float16, or lose its digits.

On the way back gradients are rounded likewise. Those of a mean over positions are about one over
their number, too small for float16; so inside the network all of them are multiplied by one power
of two, which brings the largest to :data:`TOP`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

#: Dtypes of weights with fewer bits than pictures have.
LOW = (torch.bfloat16, torch.float16)
#: Where the largest gradient is inside a network in float16: a thousandth of the largest number.
TOP = 64.0


class Lowered:
    """One passage through a network in fewer bits.

    Args:
        dtype: Of the network's weights.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.gain: Tensor | None = None

    def lower(self, x: Tensor) -> Tensor:
        """``x`` in the network's dtype."""
        low: Tensor = _Lower.apply(x, self)  # type: ignore[no-untyped-call]
        return low

    def lift(self, found: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
        """Activations by name in ``dtype``."""
        high: tuple[Tensor, ...] = _Lift.apply(self, dtype, *found.values())  # type: ignore[no-untyped-call]
        return dict(zip(found, high, strict=True))


class _Lower(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, passage: Lowered) -> Tensor:
        """See :meth:`Lowered.lower`."""
        ctx.passage, ctx.dtype = passage, x.dtype
        return x.to(passage.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        """The gradient in the dtype of the picture, at its own size."""
        high, gain = slope.to(ctx.dtype), ctx.passage.gain
        return high if gain is None else high / gain, None


class _Lift(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, passage: Lowered, dtype: torch.dtype, *found: Tensor
    ) -> tuple[Tensor, ...]:
        """See :meth:`Lowered.lift`."""
        ctx.passage = passage
        ctx.set_materialize_grads(False)
        return tuple(x.to(dtype) for x in found)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *slopes: Tensor | None) -> tuple[Tensor | None, ...]:
        """The gradients in the network's dtype, all times one number in float16."""
        passage, there = ctx.passage, [s for s in slopes if s is not None]
        passage.gain = gain_for(there) if passage.dtype == torch.float16 and there else None
        low = (
            None
            if s is None
            else (s if passage.gain is None else s * passage.gain).to(passage.dtype)
            for s in slopes
        )
        return None, None, *low


def gain_for(slopes: list[Tensor]) -> Tensor:
    """The power of two that brings the largest of all values near :data:`TOP`; no device waits.

    Returns:
        A scalar, 1 where all values are 0 or some are not finite.
    """
    largest = torch.stack([s.abs().amax().float() for s in slopes]).amax()
    gain = torch.exp2((TOP / largest).log2().floor().clamp(-100, 100))
    return torch.where(torch.isfinite(largest) & (largest > 0), gain, torch.ones_like(gain))
