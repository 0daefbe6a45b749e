"""Which units a request means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from impasto.backbones import CLASSIFIER, Backbone, class_ids, class_names
from impasto.backbones.module import ModuleTaps
from impasto.engine.wishes import (
    Channel,
    Class,
    Direction,
    Energy,
    Neuron,
    Wanted,
    Wish,
    interpolated,
)
from impasto.errors import UnknownName, UsageError
from impasto.specs import VisualizeSpec

Network = Backbone | ModuleTaps
#: ``3:1,40:-0.5``: channels with their weights.
_WEIGHTS = re.compile(r"\d+:-?[\d.]+(e-?\d+)?(,\d+:-?[\d.]+(e-?\d+)?)*")
#: ``0.5 * `` before a unit.
_FACTOR = re.compile(r"\s*([\d.]+(?:e-?\d+)?)\s*\*\s*(.*)")
_UNIT = re.compile(
    r"(?P<layer>[^:\s]+)(:(?P<channel>\d+)(?P<at>@((?P<row>\d+),(?P<column>\d+))?)?)?"
)


def wanted(
    spec: VisualizeSpec, network: Network, rivals: float, features: Tensor | None
) -> list[Wanted]:
    """The units, in the order in which they are shown; mixtures between them included.

    Args:
        spec: The request.
        network: Where they are.
        rivals: How much other classes count against a class.
        features: Of the layer, (1, C, H, W), of the picture that gives a direction.

    Raises:
        UnknownName: A layer or class does not exist.
        UsageError: A direction or objective makes no sense.
    """
    ends = _ends(spec, network, rivals, features)
    if not spec.between:
        return ends
    if len(ends) < 2:
        raise UsageError("between needs two units or more", hint="--objective A B --between 3")
    found = ends[:1]
    for one, other in pairwise(ends):
        found += interpolated(one, other, spec.between)[1:]
    return found


def _ends(
    spec: VisualizeSpec, network: Network, rivals: float, features: Tensor | None
) -> list[Wanted]:
    if spec.class_:
        return [class_unit(network, name, rivals) for name in spec.class_]
    if spec.objective:
        return [parsed(text, network, rivals) for text in spec.objective]
    layer = network.resolve(spec.layer or "")
    if spec.channels:
        return [Channel(layer, n) for n in spec.numbers(channels_of(network, layer, spec.size))]
    if spec.channel is not None:
        return [Channel(layer, spec.channel)]
    if spec.neuron is not None:
        return [Neuron(layer, *(int(n) for n in spec.neuron.split(",")))]
    if spec.direction is not None:
        return [_direction(spec.direction, layer, network, spec.size, features)]
    return [Energy(layer)]


def channels_of(network: Network, layer: str, size: int) -> int:
    """How many channels ``layer`` has; a foreign module has to be run for it, at ``size`` px."""
    if isinstance(network, Backbone):
        return network.table[network.resolve(layer)].channels
    with torch.no_grad():
        seen = network.taps(torch.full((1, 3, size, size), 0.5, device=network.device), [layer])
    return seen[layer].shape[1]


def is_weights(direction: str) -> bool:
    """Whether a direction is given as channels with weights; otherwise it is a picture."""
    return _WEIGHTS.fullmatch(direction) is not None


def _direction(
    text: str, layer: str, network: Network, size: int, features: Tensor | None
) -> Direction:
    """A direction from weights of channels, or from the mean features of a picture."""
    count = channels_of(network, layer, size)
    if features is not None:
        return Direction(layer, tuple(features.mean((0, 2, 3)).tolist()), 1.0, "picture")
    vector = [0.0] * count
    for item in text.split(","):
        channel, _, weight = item.partition(":")
        if int(channel) >= count:
            raise UsageError(f"{layer} has channels 0 to {count - 1}, not {channel}")
        vector[int(channel)] = float(weight)
    if not any(vector):
        raise UsageError(f"direction {text!r} has no length")
    return Direction(layer, tuple(vector), 1.0, text)


def parsed(text: str, network: Network, rivals: float = 0.0) -> Wanted:
    """``"0.7 * relu4_1:3 + relu5_1:40@ - class:goldfish"`` as units.

    Raises:
        UsageError: It cannot be read.
        UnknownName: A layer or class does not exist.
    """
    parts: list[tuple[float, Wanted]] = []
    words = re.split(r"\s([+-])\s", text.strip())
    for sign, word in zip(["+", *words[1::2]], words[::2], strict=True):
        factor = -1.0 if sign == "-" else 1.0
        times = _FACTOR.fullmatch(word)
        if times:
            factor, word = factor * _number(times[1], text), times[2]
        parts.append((factor, _unit(word.strip(), text, network, rivals)))
    if len(parts) == 1 and parts[0][0] == 1:
        return parts[0][1]
    return Wish(tuple((f * w, unit) for f, part in parts for w, unit in part.terms()))


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"objective {whole!r}: {text!r} is no number") from None


def _unit(word: str, whole: str, network: Network, rivals: float) -> Wanted:
    if word.startswith("class:"):
        return class_unit(network, word.removeprefix("class:"), rivals)
    match = _UNIT.fullmatch(word)
    if match is None:
        raise UsageError(
            f"objective {whole!r}: {word!r} is no unit",
            hint="LAYER, LAYER:CHANNEL, LAYER:CHANNEL@ROW,COLUMN or class:NAME",
        )
    layer = network.resolve(match["layer"])
    if match["channel"] is None:
        return Energy(layer)
    if match["at"] is None:
        return Channel(layer, int(match["channel"]))
    if match["row"] is None:
        return Neuron(layer, int(match["channel"]))
    return Neuron(layer, int(match["channel"]), int(match["row"]), int(match["column"]))


def class_unit(network: Network, name: str, rivals: float = 0.0) -> Class:
    """A class of ImageNet by name, number or WordNet id.

    Raises:
        UsageError: The network has no classes.
        UnknownName: There is no such class.
    """
    if not isinstance(network, Backbone):
        raise UsageError(
            f"the classes of {network.name} are not known", hint="name its last layer and a channel"
        )
    layers = list(network.table)
    if not network.has_classifier:
        raise UsageError(f"{network.name} has no classifier", hint=f"--backbone {CLASSIFIER}")
    index = class_index(name)
    return Class(layers[layers.index("prob") - 1], index, rivals, class_names()[index])


def class_index(name: str) -> int:
    """The number of a class.

    Raises:
        UnknownName: There is no such class, or several.
    """
    names, wanted = class_names(), " ".join(name.split()).lower()
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    if wanted in class_ids():
        return class_ids().index(wanted)
    lowered = [n.lower() for n in names]
    exact = [i for i, n in enumerate(lowered) if wanted in [n, *map(str.strip, n.split(","))]]
    if len(exact) == 1:
        return exact[0]
    raise UnknownName("class", name, [f"{i} ({names[i]})" for i in exact] or lowered)


def titles(units: Sequence[Wanted]) -> list[str]:
    """What to write below each picture: without what all have in common."""
    full = [str(unit) for unit in units]
    layers = {n for unit in units for n in unit.layers()}
    if len(layers) == 1 and len(full) > 1 and all(isinstance(u, Channel | Class) for u in units):
        return [text.partition(":")[2] for text in full]
    return full
