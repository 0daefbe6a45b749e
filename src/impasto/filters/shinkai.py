"""The anime-landscape look: luminous skies, vivid greens, bloom, clean edges."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, param, pixels
from impasto.filters.kernels import domain_transform, gaussian, gradients, guided, smoothstep
from impasto.filters.kuwahara import Kuwahara
from impasto.images.spaces import linear_to_srgb, luma, oklab_to_rgb, rgb_to_oklab, srgb_to_linear

# Oklab of the sky from the zenith to the horizon: deep blue, azure, pale, warm.
_SKY = (
    (0.0, (0.52, -0.025, -0.165)),
    (0.45, (0.68, -0.055, -0.115)),
    (0.8, (0.87, -0.035, -0.03)),
    (1.0, (0.93, 0.025, 0.055)),
)
_LEAF = 2.30  # hue of sunlit leaves in Oklab, radians


@FILTERS.register("shinkai")
@dataclass(frozen=True)
class Shinkai(Filter):
    """Anime landscape: deep blue to warm sky, luminous greens, bloom, soft contrast, clean edges.

    The look named after Makoto Shinkai's films. A soft mask finds the sky (high in the picture,
    smooth, light, not green or red); its hue goes from deep blue above to warm at the horizon,
    its lightness stays, so clouds remain. Foliage turns to a fresh green with more chroma;
    shadows turn blue; highlights bleed light; fine texture is painted over.
    """

    name: ClassVar[str] = "shinkai"
    title: ClassVar[str] = "Anime landscape (Shinkai)"
    source: ClassVar[str] = "The look of Makoto Shinkai's backgrounds; this formulation is our own"

    sky: float = param(0.8, 0.0, 1.0, "how far the sky goes from deep blue to warm")
    foliage: float = param(0.8, 0.0, 1.0, "how far leaves turn to a luminous green")
    bloom: float = param(0.6, 0.0, 1.5, "light that bleeds out of highlights")
    contrast: float = param(0.5, 0.0, 1.0, "soft contrast, with lifted blue shadows")
    clean: float = param(6.0, 0.0, 40.0, "size of the texture painted over, px at 1024")

    def render(self, image: Tensor) -> Tensor:
        """Clean, grade sky, leaves and shadows, bloom."""
        mask = sky_mask(image)
        size = pixels(self.clean, image)
        flat = image
        if size > 0:
            flat = domain_transform(image, image, 2.0 * size, 0.2, passes=2)
            flat = Kuwahara(radius=max(1.0, 0.6 * self.clean), passes=1).render(flat)
        lab = rgb_to_oklab(flat)
        lab = self._toned(lab, mask)
        lab = self._leaves(lab, mask)
        lab = self._sky(lab, mask)
        return self._bloomed(oklab_to_rgb(lab).clamp(0.0, 1.0))

    def _toned(self, lab: Tensor, mask: Tensor) -> Tensor:
        """Soft contrast around the middle, shadows lifted and blue, lights warm, more chroma."""
        light, chroma = lab[:, :1].clamp(0.0, 1.0), lab[:, 1:]
        amount = self.contrast
        curve = smoothstep(0.0, 1.0, light)
        lifted = light + amount * (0.35 * (curve - light) + 0.16 * (1.0 - light) ** 2 + 0.08)
        tint = torch.tensor([0.0, 1.0], device=lab.device).view(1, 2, 1, 1)
        cold = -0.05 * (1.0 - light) ** 2 + 0.02 * light**2 * (1.0 - mask)
        return torch.cat([lifted, chroma * (1.0 + 0.4 * amount) + 2.0 * amount * cold * tint], 1)

    def _leaves(self, lab: Tensor, mask: Tensor) -> Tensor:
        """Turn greens and olive tones to one fresh green, brighter and richer."""
        light, a, b = (lab[:, k : k + 1] for k in range(3))
        chroma = torch.sqrt(a * a + b * b)
        hue = torch.atan2(b, a)
        green = smoothstep(1.5, 1.95, hue) * smoothstep(3.0, 2.6, hue)
        share = self.foliage * green * smoothstep(0.01, 0.05, chroma) * (1.0 - mask)
        # Lit leaves are yellow-green, shaded ones turn to blue-green.
        wanted = _LEAF - 0.18 * (light - 0.5)
        turned = hue + 0.7 * share * (wanted - hue)
        richer = chroma * (1.0 + 0.45 * share) + 0.015 * share
        brighter = light + 0.06 * share * (1.0 - light)
        return torch.cat([brighter, richer * torch.cos(turned), richer * torch.sin(turned)], 1)

    def _sky(self, lab: Tensor, mask: Tensor) -> Tensor:
        """Lay the gradient under the sky: colour from the height, clouds stay white."""
        light, chroma = lab[:, :1], lab[:, 1:]
        depth = _depth(mask)
        wanted = _blend(depth)
        # A cloud is lighter and greyer than the air around it.
        grey = smoothstep(0.09, 0.02, chroma.square().sum(1, True).sqrt())
        cloud = grey * smoothstep(0.62, 0.86, light)
        share = self.sky * mask
        air = share * (1.0 - 0.8 * cloud)
        shaded = light + 0.5 * air * (wanted[:, :1] - light) + 0.05 * share * cloud
        return torch.cat([shaded, chroma + 0.8 * air * (wanted[:, 1:] - chroma)], 1)

    def _bloomed(self, image: Tensor) -> Tensor:
        """Screen the blurred highlights over the picture, in linear light."""
        if self.bloom == 0:
            return image
        linear = srgb_to_linear(image)
        bright = linear * smoothstep(0.55, 1.0, luma(image))
        halo = 0.5 * gaussian(bright, pixels(8.0, image)) + 0.5 * gaussian(
            bright, pixels(40.0, image)
        )
        halo = (0.55 * self.bloom * halo).clamp(0.0, 1.0)
        return linear_to_srgb(1.0 - (1.0 - linear) * (1.0 - halo))


def sky_mask(image: Tensor) -> Tensor:
    """How likely each pixel is sky, ``(1, 1, H, W)`` in [0, 1].

    Colour (blue, or light and grey; not green), smoothness, and being joined to the top of the
    picture by a path of such pixels; the guided filter then takes the borders from the picture.
    """
    lab = rgb_to_oklab(image)
    light, a, b = (lab[:, k : k + 1] for k in range(3))
    blue = smoothstep(0.0, -0.05, b + 0.4 * a.clamp_min(0.0))
    pale = smoothstep(0.6, 0.85, light) * smoothstep(0.10, 0.04, torch.sqrt(a * a + b * b))
    # Dark blues (water, roofs) are sky only if they are lighter than a night.
    colour = torch.maximum(blue * smoothstep(0.25, 0.45, light), pale)
    dx, dy = gradients(gaussian(luma(image), pixels(1.5, image)))
    rough = gaussian((dx.abs() + dy.abs()), pixels(4.0, image)) * pixels(1.0, image)
    likely = colour * smoothstep(0.03, 0.008, rough)
    soft = gaussian(likely, pixels(3.0, image))
    joined = _flooded(soft)
    top = smoothstep(1.0, 0.7, torch.linspace(0.0, 1.0, image.shape[-2], device=image.device))
    raw = smoothstep(0.3, 0.7, torch.minimum(soft, joined)) * top.view(1, 1, -1, 1)
    fine = guided(raw, luma(image), max(1, round(pixels(20.0, image))), 1e-3)
    return smoothstep(0.25, 0.75, fine)


def _flooded(likely: Tensor) -> Tensor:
    """For each pixel the weakest link of its best path to the top row, on a grid of 96 cells."""
    height, width = likely.shape[-2:]
    scale = min(1.0, 96.0 / max(height, width))
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    small = F.interpolate(likely, size=size, mode="area")
    reached = torch.zeros_like(small)
    reached[:, :, 0] = small[:, :, 0]
    for _ in range(size[0] + size[1]):
        reached = torch.minimum(small, F.max_pool2d(reached, 3, 1, 1))
    # A cell on a border is partly sky: the pixels in it decide, not their mean.
    reached = F.max_pool2d(reached, 3, 1, 1)
    return F.interpolate(reached, size=(height, width), mode="bilinear", align_corners=False)


def _depth(mask: Tensor) -> Tensor:
    """0 at the top of the sky, 1 at the horizon; one value a row, ``(1, 1, H, 1)``."""
    rows = mask.mean(3, keepdim=True)
    total = rows.sum(2, keepdim=True)
    return (rows.cumsum(2) / total.clamp_min(1e-6)).clamp(0.0, 1.0)


def _blend(depth: Tensor) -> Tensor:
    """Oklab of clear sky by depth, ``(1, 3, H, 1)``."""
    result = (
        torch.tensor(_SKY[0][1], device=depth.device)
        .view(1, 3, 1, 1)
        .expand(1, 3, *depth.shape[2:])
    )
    for (low, _), (high, colour) in itertools.pairwise(_SKY):
        stop = torch.tensor(colour, device=depth.device).view(1, 3, 1, 1)
        result = result + smoothstep(low, high, depth) * (stop - result)
    return result
