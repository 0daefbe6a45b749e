"""The pictures that an optimisation can start from, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from impasto.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: ImageNet's mean pixel, RGB in 0-255, as the VGG authors subtracted it.
MEAN_PIXEL = (123.68, 116.779, 103.939)
#: Kinds of noise that take a spread.
SPREADS = ("uniform", "normal", "truncated")


@dataclass(frozen=True)
class Start:
    """A start, parsed.

    Attributes:
        kind: ``"content"``, ``"noise"``, ``"detail"``, ``"pixels"``, ``"quilting"``,
            ``"instant"`` or ``"picture"``.
        noise: Of noise: ``"flat"`` or one of :data:`SPREADS`.
        spread: Of noise, in 0-255.
        share: Part of noise; the rest is the photo.
    """

    kind: str
    noise: str = "flat"
    spread: float = 0.0
    share: float = 1.0


def parse(init: str) -> Start:
    """A start from its name.

    ===================== ===================================================================
    content               the photo
    noise                 uniform noise in [0, 1]
    noise:uniform:A       the mean pixel plus uniform noise from -A to A
    noise:normal:S        the mean pixel plus normal noise of deviation S
    noise:truncated:S     middle grey (127.5) plus normal noise of deviation S cut off at 2 S
    mix:R                 R parts of noise, 1 - R of the photo
    mix:R:uniform:A ...   likewise with one of the other kinds of noise
    detail                the painting's mean colour plus the photo's finest detail
    pixels                pixels of the painting, drawn at random
    quilting              the painting, cut up and laid out anew (textures)
    instant               the picture of the recipe ``instant``
    anything else         a picture of that name
    ===================== ===================================================================

    A and S are in units of 0-255.

    Raises:
        UsageError: A number is missing or out of range.
    """
    if init in ("content", "detail", "pixels", "quilting", "instant"):
        return Start(init)
    head, *rest = init.split(":")
    if head == "noise":
        return Start("noise", *_noise(init, rest))
    if head != "mix":
        return Start("picture")
    share = _number(rest[0] if rest else "")
    if share is None or not 0 <= share <= 1:
        raise UsageError(
            f"init {init!r}: the part of noise is a number from 0 to 1", hint="mix:0.5"
        )
    return Start("noise", *_noise(init, rest[1:]), share)


def draw(
    start: Start,
    photo: Tensor,
    paintings: list[Tensor],
    generator: torch.Generator,
    mean: tuple[float, float, float] | None = None,
) -> Tensor:
    """The picture to begin with.

    Args:
        start: Which; not a given picture, nor ``instant``.
        photo: (1, 3, H, W) in [0, 1], at the size of the start.
        paintings: Each (1, 3, h, w); ``detail``, ``pixels`` and ``quilting`` take the first.
        generator: Of the noise; on the CPU, so that devices agree.
        mean: Mean pixel, RGB in 0-255; default :data:`MEAN_PIXEL`.

    Returns:
        (1, 3, H, W); noise around a colour may leave [0, 1].
    """
    if start.kind == "content":
        return photo
    if start.kind == "detail":
        from impasto.engine.pixels import laplacian_levels

        return laplacian_levels(photo, 2)[0] + paintings[0].mean((2, 3), keepdim=True)
    if start.kind == "quilting":
        from impasto.filters.quilting import quilted

        size = (photo.shape[-2], photo.shape[-1])
        return quilted(paintings[0], size, seed=generator.initial_seed())
    if start.kind == "pixels":
        return _shuffled(paintings[0], photo, generator)
    pixel = photo.new_tensor(mean or MEAN_PIXEL).view(3, 1, 1) / 255
    noise = _sample(start, tuple(photo.shape), pixel.cpu(), generator).to(photo)
    return photo.lerp(noise, start.share)


def _shuffled(painting: Tensor, photo: Tensor, generator: torch.Generator) -> Tensor:
    """Pixels of ``painting``, drawn with replacement, in the size of ``photo``."""
    import torch

    flat = painting.flatten(2)
    count = photo.shape[-2] * photo.shape[-1]
    chosen = torch.randint(flat.shape[-1], (count,), generator=generator)
    return flat[..., chosen.to(flat.device)].reshape(photo.shape)


def _sample(
    start: Start, shape: tuple[int, ...], pixel: Tensor, generator: torch.Generator
) -> Tensor:
    import torch

    spread = start.spread / 255
    if start.noise in ("flat", "uniform"):
        flat = torch.rand(shape, generator=generator)
        return flat if start.noise == "flat" else pixel + spread * (2 * flat - 1)
    if start.noise == "normal":
        return pixel + spread * torch.randn(shape, generator=generator)
    noise = torch.empty(shape)
    torch.nn.init.trunc_normal_(noise, std=spread, a=-2 * spread, b=2 * spread, generator=generator)
    return 0.5 + noise


def _noise(init: str, words: list[str]) -> tuple[str, float]:
    if not words:
        return "flat", 0.0
    spread = _number(words[1]) if len(words) == 2 else None
    if words[0] not in SPREADS or spread is None or not 0 < spread <= 255:
        raise UsageError(
            f"init {init!r}: noise is {', '.join(SPREADS)} and a number from 0 to 255",
            hint="noise:uniform:20",
        )
    return words[0], spread


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
