"""Normalised weights: every channel fires with a mean of 1.

Gatys, Ecker & Bethge (2015, footnote; 2016, section 2) rescale VGG-19 so that the mean activation
of each filter over images and positions is one. A ReLU passes positive factors through,
``relu(a x) = a relu(x)``, and so do both poolings; so dividing a filter and its bias by the mean
m of its channel, and multiplying the weights that read this channel by m, changes the scale of
the features and nothing else: what comes out at the end of the network is the same.

The means depend on the weights, on the kind of pooling and on the pictures they are taken over.
They are measured once: for the default backbone they come with impasto (over 263 photographs and
paintings), for others they are kept in impasto's folder.

Deviations: a channel whose mean is below a thousandth of its layer's mean is left as it is. It
fires on next to nothing, and dividing by next to nothing would let it rule the style.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import Tensor

from impasto.backbones.base import Backbone
from impasto.backbones.formats import safe
from impasto.backbones.model import Weights
from impasto.backbones.weights import weights_dir
from impasto.errors import ResourceError, UsageError

_log = logging.getLogger(__name__)
#: Channels below this share of their layer's mean activation count as dead.
DEAD = 1e-3


def relus(backbone: Backbone) -> list[str]:
    """The layers whose channels are normalised: the ReLU behind each convolution.

    Raises:
        UsageError: The network is not a plain chain of convolutions, ReLUs and poolings.
    """
    body = [n for n, tap in backbone.table.items() if tap.stride]
    if not all(name.startswith(("conv", "relu", "pool")) for name in body):
        raise UsageError(
            f"{backbone.name} cannot be normalised", hint="VGG and AlexNet can; they are chains"
        )
    return [name for name in body if name.startswith("relu")]


@torch.no_grad()
def measure(backbone: Backbone, pictures: Iterable[Tensor]) -> dict[str, Tensor]:
    """Mean activation of every channel, over all pictures and positions.

    Args:
        backbone: Not normalised.
        pictures: Each (B, 3, H, W) in [0, 1]; sizes may differ.

    Returns:
        By convolution (``conv1_1``): (C,), float32.

    Raises:
        UsageError: There are no pictures, or the network cannot be normalised.
    """
    layers = relus(backbone)
    sums: dict[str, Tensor] = {}
    counts = dict.fromkeys(layers, 0)
    for picture in pictures:
        # One walk, each activation reduced before the next is made.
        for name, x in backbone.walk(backbone.preprocessing(picture), frozenset()):
            if name in counts:
                found = x.double().sum(dim=(0, 2, 3))
                sums[name] = sums[name] + found if name in sums else found
                counts[name] += x.shape[0] * x.shape[2] * x.shape[3]
            if name == layers[-1]:
                break
    if not sums:
        raise UsageError("no pictures to measure mean activations on")
    return {n.replace("relu", "conv"): (sums[n] / counts[n]).float() for n in layers}


def factors(means: Tensor) -> Tensor:
    """What each channel is divided by: its mean, or 1 where it is dead. (C,)."""
    alive = means > DEAD * means.mean()
    return torch.where(alive, means, torch.ones_like(means))


def scaled(weights: Weights, means: Mapping[str, Tensor]) -> Weights:
    """Canonical weights whose channels have a mean activation of 1.

    Args:
        weights: Of a VGG or AlexNet; not changed.
        means: From :func:`measure`.

    Returns:
        New weights; the first layer that has no mean takes its input back to the old scale.
    """
    done: Weights = {}
    before: Tensor | None = None
    for name, (weight, bias) in weights.items():
        # fc6 sees each channel at several positions, which lie beside each other.
        if before is not None:
            spread = weight.flatten(1).shape[1] // before.numel()
            gain = before.repeat_interleave(spread).view(1, -1)
            weight = (weight.flatten(1) * gain).view(weight.shape)
        before = factors(means[name]) if name in means else None
        if before is not None:
            weight = weight / before.view(-1, *(1,) * (weight.ndim - 1))
            bias = bias / before
        done[name] = weight, bias
    return done


def cached(name: str, digest: str, pooling: str) -> dict[str, Tensor] | None:
    """Means that were measured before for the file with sha256 ``digest``, or None."""
    shipped = files("impasto.backbones").joinpath(f"data/{name}.{pooling}.means.safetensors")
    with as_file(shipped) as packaged:
        for path in (packaged, _path(name, pooling)):
            if path.is_file():
                tensors, about = safe.read(path)
                if about.get("sha256") == digest:
                    return tensors
    return None


def remember(means: Mapping[str, Tensor], name: str, digest: str, pooling: str) -> None:
    """Keep ``means`` in impasto's folder; a folder that is read-only is no error."""
    try:
        safe.write(_path(name, pooling), means, {"sha256": digest, "pooling": pooling})
    except ResourceError as error:
        _log.warning("mean activations are not kept: %s", error)


def _path(name: str, pooling: str) -> Path:
    return weights_dir() / "means" / f"{name}.{pooling}.safetensors"
