"""Instance normalisation that belongs to a style."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.native import normalise
from impasto.networks.layers import moments_of

#: Added to variances before the root (Ulyanov et al. 2016).
EPS = 1e-5


class ConditionalNorm(nn.Module):
    """Instance normalisation whose scale and shift belong to the style.

    ``gamma (x - mean) / sqrt(var + eps) + beta`` with the mean and the (biased) variance of each
    channel over the picture, and gamma, beta mixed by the shares of the styles.

    Source: Dumoulin, Shlens & Kudlur 2017, section 2.2.

    Args:
        channels: Of the features.
        styles: How many styles there are.
    """

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(styles, channels))
        self.beta = nn.Parameter(torch.zeros(styles, channels))

    def forward(
        self,
        x: Tensor,
        shares: Tensor,
        moments: tuple[Tensor, Tensor] | None = None,
        *,
        relu: bool = False,
        besides: Tensor | None = None,
    ) -> Tensor:
        """Normalise.

        Args:
            x: (B, C, H, W).
            shares: (B or 1, S) weights of the styles.
            moments: Variance and mean, (B, C, 1, 1), of a whole of which ``x`` is a part.
            relu: Whether what is below 0 becomes 0.
            besides: Added before that, like ``x``.
        """
        gamma, beta = self._mixed(self.gamma, shares), self._mixed(self.beta, shares)
        x = x.float() if x.dtype == torch.bfloat16 else x  # moments of so few digits are none
        if moments is None:
            whole = normalise(x, gamma, beta, EPS, relu=relu, besides=besides)
            if whole is not None:
                return whole
        var, mean = moments or moments_of(x)
        scale = gamma[..., None, None] * torch.rsqrt(var + EPS)
        made: Tensor = torch.addcmul(beta[..., None, None] - mean * scale, x, scale)
        made = made if besides is None else made + besides
        return F.relu(made, inplace=True) if relu else made

    @staticmethod
    def _mixed(rows: Tensor, shares: Tensor) -> Tensor:
        """The rows of the styles by their shares, (B or 1, C); as exact under autocast."""
        return (shares[..., None] * rows).sum(1)
