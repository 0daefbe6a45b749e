"""Ink lines from a picture: the flow-based extended difference of Gaussians."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.filters.kernels import along, gaussian, orientation, structure_tensor


def xdog(
    grey: Tensor,
    sigma: float,
    sensitivity: float = 0.98,
    sharpness: float = 60.0,
    flow: float = 4.0,
) -> Tensor:
    """Lines where the picture is darker than its surroundings, smoothed along the edges.

    ``D = G_sigma - tau G_1.6sigma`` (Winnemöller, Kyprianidis, Olsen 2012), blurred
    along the edge tangents, then the soft threshold ``1`` if ``D >= 0``, else ``1 + tanh(phi D)``.

    Args:
        grey: Lightness in [0, 1], ``(1, 1, H, W)``.
        sigma: Of the smaller Gaussian, in pixels; lines are about twice as wide.
        sensitivity: ``tau``; nearer to 1 finds fainter lines.
        sharpness: ``phi``; how abruptly ink begins.
        flow: Standard deviation along the line, in units of ``sigma``.

    Returns:
        1 where there is paper, 0 where there is ink, ``(1, 1, H, W)``.
    """
    tx, ty, _ = orientation(structure_tensor(grey, 2.0 * sigma + 0.5))
    response = gaussian(grey, sigma) - sensitivity * gaussian(grey, 1.6 * sigma)
    response = along(response, tx, ty, flow * sigma)
    return torch.where(response >= 0.0, 1.0, 1.0 + torch.tanh(sharpness * response))
