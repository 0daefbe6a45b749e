"""From the names that a file uses to the architecture and to canonical weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from impasto.backbones.model import ARCHITECTURES, Architecture, Weights
from impasto.backbones.vgg import craft_state
from impasto.errors import WeightsError


def from_state(state: Mapping[str, Tensor], arch: str = "") -> tuple[Architecture, Weights]:
    """Canonical weights out of a state dict of torchvision's or a related layout.

    Args:
        state: Names to tensors.
        arch: The architecture; recognised from names and shapes when empty.

    Raises:
        WeightsError: It is of none of our architectures, not of ``arch``, or has numbers that
            are not finite before the classifier. A classifier with such numbers, as in
            ``vgg16_features-amdegroot``, is left out.
    """
    trunk = craft_state(state)
    tidy = trunk or _vgg_head(state)
    found = _find("vgg16_bn" if trunk else arch, tidy)
    weights = found.read(tidy, partial=bool(trunk))
    if trunk and len(weights) < 12:
        raise WeightsError(f"the detector's trunk has {len(weights)} of 12 convolutions")
    return found, finite(found, weights)


def from_named(named: Weights) -> tuple[Architecture, Weights]:
    """The architecture of weights whose layers have VGG's names.

    Raises:
        WeightsError: They are of none of our architectures.
    """
    for _, arch in ARCHITECTURES:
        # The batch norms of the others have no place in these formats.
        if arch.name.startswith("vgg") and not arch.name.endswith("_bn"):
            try:
                arch.check(named, partial=False)
            except WeightsError:
                continue
            return arch, finite(arch, named)
    raise WeightsError(f"no network of ours has these layers: {_outline(named)}")


def from_ours(arch: Architecture, tensors: Mapping[str, Tensor], *, thin: int = 1) -> Weights:
    """Canonical weights out of ``{"conv1_1.weight": ..., "conv1_1.bias": ...}``.

    Args:
        arch: Whose weights they are.
        tensors: In any order.
        thin: Divisor of the numbers of channels.

    Returns:
        In the order of the network.

    Raises:
        WeightsError: They are not those of ``arch``.
    """
    names = {key.rpartition(".")[0] for key in tensors}
    order = [layer.name for layer in arch.layers]
    places = sorted(names, key=lambda n: order.index(n) if n in order else len(order))
    try:
        found = {n: (tensors[f"{n}.weight"].float(), tensors[f"{n}.bias"].float()) for n in places}
    except KeyError as error:
        raise WeightsError(f"not a {arch.name}: no tensor {error.args[0]}") from None
    arch.check(found, thin=thin)
    return found


def to_ours(weights: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """The inverse of :func:`from_ours`."""
    return {
        f"{name}.{part}": tensor
        for name, pair in weights.items()
        for part, tensor in zip(("weight", "bias"), pair, strict=True)
    }


def finite(arch: Architecture, weights: Weights) -> Weights:
    """``weights`` without a classifier that holds NaN or infinities.

    Raises:
        WeightsError: Other layers hold such numbers.
    """
    heads = {layer.name for layer in arch.layers if layer.head}
    bad = {n for n, pair in weights.items() if not all(bool(torch.isfinite(t).all()) for t in pair)}
    if worst := sorted(bad - heads):
        raise WeightsError(f"the weights of {worst[0]} have numbers that are not finite")
    return {n: pair for n, pair in weights.items() if not (bad and n in heads)}


def _find(arch: str, state: Mapping[str, Tensor]) -> Architecture:
    if arch:
        return ARCHITECTURES.get(arch)
    for _, candidate in ARCHITECTURES:
        if candidate.recognises(state):
            return candidate
    raise WeightsError(
        f"no network of ours has these layers: {_outline(state)}",
        hint="impasto backbones lists the networks",
    )


def _vgg_head(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Caffe's VGGs in PyTorch have their fully connected layers at 1 and 4, not 0 and 3."""
    first = state.get("classifier.1.weight")
    if first is None or tuple(first.shape) != (4096, 512 * 7 * 7):
        return state
    moved = {"classifier.1.": "classifier.0.", "classifier.4.": "classifier.3."}
    return {moved.get(k[:13], k[:13]) + k[13:]: tensor for k, tensor in state.items()}


def _outline(things: Mapping[str, object]) -> str:
    return ", ".join(_rows(things)) or "none at all"


def _rows(things: Mapping[str, object]) -> Iterator[str]:
    for name, thing in list(things.items())[:3]:
        tensor = thing[0] if isinstance(thing, tuple) else thing
        yield f"{name[:60]} {tuple(tensor.shape) if isinstance(tensor, Tensor) else ''}".strip()
    if len(things) > 3:
        yield f"... ({len(things)} in all)"
