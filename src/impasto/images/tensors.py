"""Pictures to tensors and back. Importing this module imports torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from impasto.images.model import FloatArray, Picture


def to_tensor(
    picture: Picture,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """The colours of a picture as a batch of one.

    Args:
        picture: A decoded picture.
        device: Where the tensor goes.
        dtype: A floating-point type.

    Returns:
        ``(1, 3, H, W)``, contiguous, sRGB in [0, 1]; shares no memory with the picture.
    """
    planes = np.array(picture.rgb.transpose(2, 0, 1)[None], order="C", copy=True)
    return torch.from_numpy(planes).to(device=device, dtype=dtype)


def from_tensor(t: Tensor) -> FloatArray:
    """A tensor as an array for :func:`impasto.images.save`.

    Args:
        t: ``(1, 3, H, W)`` or ``(3, H, W)``, any device and floating type. Values outside [0, 1]
            are kept; saving clamps them.

    Returns:
        ``(H, W, 3)`` float32, contiguous; shares no memory with ``t``.

    Raises:
        ValueError: Another shape.
    """
    batch = t[None] if t.ndim == 3 else t
    if batch.ndim != 4 or batch.shape[0] != 1 or batch.shape[1] != 3:
        raise ValueError(f"expected a (1, 3, H, W) tensor, got {tuple(t.shape)}")
    planes = batch[0].detach().to(device="cpu", dtype=torch.float32)
    return np.array(planes.permute(1, 2, 0).numpy(), order="C", copy=True)
