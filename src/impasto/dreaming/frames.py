"""The frames of a journey: kept in 8 bits, seen as pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from torch import Tensor

Bytes = npt.NDArray[np.uint8]


class Frames(Mapping[str, npt.NDArray[np.float32]]):
    """``{"-0001": picture, ...}``: each made a picture (H, W, 3) in [0, 1] when it is asked for.

    A float picture takes four times the memory of its bytes.
    """

    def __init__(self, frames: list[Bytes]) -> None:
        self._frames = {f"-{i:04d}": frame for i, frame in enumerate(frames, 1)}

    def __getitem__(self, ending: str) -> npt.NDArray[np.float32]:
        return self._frames[ending].astype(np.float32) / np.float32(255)

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)


def as_bytes(image: Tensor) -> Bytes:
    """(1, 3, H, W) in [0, 1] as (H, W, 3) of 8 bits, rounded half up."""
    scaled = (image.detach().clamp(0, 1) * 255 + 0.5).floor().byte()
    found: Bytes = scaled[0].permute(1, 2, 0).cpu().numpy()
    return found


def nearer(image: Tensor, scale: float, degrees: float) -> Tensor:
    """The middle of ``image`` (1, 3, H, W), ``scale`` times enlarged and turned clockwise.

    Bicubic; what is seen beyond the edges is mirrored.
    """
    height, width = image.shape[-2:]
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    # Coordinates run from -1 to 1 on both axes, whatever the sides' lengths.
    matrix = image.new_tensor([[cos, sin * height / width, 0.0], [-sin * width / height, cos, 0.0]])
    grid = F.affine_grid((matrix / scale)[None], [1, 3, height, width], align_corners=False)
    seen = F.grid_sample(
        image, grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )
    return seen.clamp(0, 1)
