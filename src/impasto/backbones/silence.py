"""Channels that are 0 whatever the picture shows.

Networks have channels that training has left dead. Interval arithmetic finds those that cannot be
anything but 0 after their ReLU for any picture in [0, 1], zero padding included: 25 of 64 in the
first layer of the default backbone, and 2, 13, 3 and 4 in the next four. Leaving them out of the
next layer's sums, and out of the gradient, is exact.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: How far a preprocessed picture may lie outside the range for which the bounds were computed.
RANGE_SLACK = 1e-4
#: A bound must be this far below 0, relative to the sum of all magnitudes: rounding is far less.
MARGIN = 1e-5


def silent_outputs(
    weight: Tensor, bias: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Which outputs of a convolution and its ReLU are surely 0, and the range of all.

    Args:
        weight: (O, I, k, k).
        bias: (O,).
        low: Least value of each input channel, (I,).
        high: Largest value of each.

    Returns:
        (O,), bool; and least and largest value of each output, (O,) each.
    """
    weight, bias = weight.detach(), bias.detach()
    # Zeros beside the picture belong to the range, and pictures may leave it by the slack.
    low, high = low.clamp(max=0) - RANGE_SLACK * (low < 0), high.clamp(min=0) + RANGE_SLACK
    above, below = weight.clamp(min=0).sum((2, 3)), weight.clamp(max=0).sum((2, 3))
    most = above @ high + below @ low + bias
    least = above @ low + below @ high + bias
    size = (above - below) @ torch.maximum(high, -low) + bias.abs()
    silent = most < -MARGIN * size
    return silent, (least.clamp(min=0), most.clamp(min=0))
