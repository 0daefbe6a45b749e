"""Gradients other than the true one, where the true one is blocked or badly scaled."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

_RELU = {F.relu, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}


def _top(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
    """Where a kind of ReLU stops growing; None for every other function."""
    if func in _RELU:
        return math.inf
    if func is F.relu6:
        return 6.0
    if func is F.hardtanh:  # torch.nn.ReLU6 is one
        low = args[1] if len(args) > 1 else kwargs.get("min_val", -1.0)
        high = args[2] if len(args) > 2 else kwargs.get("max_val", 1.0)
        return float(high) if low == 0 else None
    return None


class _Redirected(torch.autograd.Function):
    """max(0, min(top, x)); blocked gradients pass where they lead back to where x matters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, top: float) -> Tensor:
        """``x`` between 0 and ``top``."""
        ctx.save_for_backward(x)
        ctx.top = top
        return x.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """A descent step against the gradient moves x up where it is negative."""
        (x,), (grad,) = ctx.saved_tensors, grads
        below, above = (x <= 0) & (grad < 0), (x >= ctx.top) & (grad > 0)
        return grad * (((x > 0) & (x < ctx.top)) | below | above), None


class Redirected(TorchFunctionMode):
    """While this is on, ReLUs let gradients pass that lead out of where they are flat.

    From noise, a unit behind ReLUs may be silent for every small change: its gradient is exactly
    0 and nothing ever happens. For the first steps it helps to pretend that a silent unit can be
    woken. Networks are not changed: torch's functions are, in this thread, inside the ``with``.

    Source: the redirected ReLU gradients of Olah, Mordvintsev & Schubert's lucid, 2018.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace ReLU and ReLU6; everything else is as it is."""
        del types
        top = _top(func, args, kwargs or {})
        if top is None or not args:
            return func(*args, **(kwargs or {}))
        return _Redirected.apply(args[0], top)  # type: ignore[no-untyped-call]


class _Reshaped(torch.autograd.Function):
    """Identity; the gradient on its way back goes through a function."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
        """``image`` as it is."""
        ctx.change = change
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """The gradient, changed."""
        return ctx.change(grads[0]), None


def with_gradient(image: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """``image``, with the gradient ``change(g)`` in place of g."""
    out: Tensor = _Reshaped.apply(image, change)  # type: ignore[no-untyped-call]
    return out


def even(gradient: Tensor) -> Tensor:
    """``gradient`` (B, C, H, W), each picture's scaled so that its mean magnitude is 1 / (C H W).

    Then its inner product with its own signs is 1: a weight of 1 means the same at every layer
    and size. 0 stays 0.
    """
    total = gradient.abs().sum((1, 2, 3), keepdim=True)
    return gradient / total.clamp_min(torch.finfo(gradient.dtype).tiny)
