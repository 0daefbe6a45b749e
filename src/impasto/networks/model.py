"""Kinds of networks by name."""

from __future__ import annotations

from collections.abc import Callable, Collection

from torch import nn

from impasto.errors import UsageError
from impasto.registry import Registry

#: From an architecture to an untrained network. All that a network needs to work must be
#: parameters or persistent buffers: it is built without memory when it is loaded from a file.
NETWORKS: Registry[Callable[[str], nn.Module]] = Registry("kind of network")

#: Longest architecture, in characters, and largest number in one.
LONGEST, LARGEST = 200, 4096


def build(kind: str, architecture: str) -> nn.Module:
    """An untrained network.

    Args:
        kind: A name in :data:`NETWORKS`.
        architecture: As that kind writes it.

    Raises:
        UnknownName: No such kind.
        UsageError: The architecture makes no sense.
    """
    if len(architecture) > LONGEST:
        raise UsageError(
            f"an architecture of {len(architecture)} characters", hint=f"{LONGEST} or fewer"
        )
    return NETWORKS.get(kind)(architecture)


def numbers(
    architecture: str, defaults: dict[str, int], zero: Collection[str] = ()
) -> dict[str, int]:
    """The settings ``name=number`` of an architecture such as ``width=64,blocks=3``.

    Raises:
        UsageError: A name is not in ``defaults``, or a value is no number from 1 to 4096; those in
            ``zero`` may also be 0.
    """
    found = dict(defaults)
    for part in filter(None, (p.strip() for p in architecture.split(","))):
        name, _, value = part.partition("=")
        if name not in defaults:
            raise UsageError(
                f"architecture {architecture!r}: {part!r} is not known",
                hint=f"it has {', '.join(f'{k}={v}' for k, v in defaults.items())}",
            )
        least = 0 if name in zero else 1
        if not (value.isdecimal() and least <= int(value) <= LARGEST):
            raise UsageError(f"architecture {architecture!r}: {name} is {least} to {LARGEST}")
        found[name] = int(value)
    return found
