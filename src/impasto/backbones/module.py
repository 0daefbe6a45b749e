"""Any torch module of the user's, read by the names of its submodules.

Here, and nowhere else, are forward hooks: a foreign network cannot be asked to yield what it
computes. They exist while a picture passes through and are removed whatever happens.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from impasto.backbones.base import Preprocessing
from impasto.errors import InputError, UnknownName, UsageError


class _Enough(Exception):
    """All layers that were asked for have been seen."""


class ModuleTaps:
    """Sees as a backbone does, through a module that takes pictures (B, 3, H, W).

    The module is left as it was: its mode, its weights and their gradients, its hooks. A pass
    ends at the last layer that was asked for; a layer that runs several times gives its first
    output.

    Args:
        module: The network; layers have the names of :meth:`torch.nn.Module.named_modules`.
        preprocessing: From sRGB in [0, 1] to what it expects; a :class:`Preprocessing` or any
            function of a tensor. ImageNet's mean and deviation if not given.
    """

    def __init__(
        self, module: nn.Module, preprocessing: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        self.module = module
        self.name = type(module).__name__
        self.preprocessing = preprocessing or Preprocessing()
        self._modules = {name: m for name, m in module.named_modules() if name}

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        held = next(self.module.parameters(), None)
        return torch.device("cpu") if held is None else held.device

    @property
    def layers(self) -> tuple[str, ...]:
        """The names that can be asked for."""
        return tuple(self._modules)

    def resolve(self, layer: str) -> str:
        """``layer``, if there is one of this name.

        Raises:
            UnknownName: There is none.
        """
        if layer in self._modules:
            return layer
        leaves = [n for n, m in self._modules.items() if not any(m.children())]
        close = difflib.get_close_matches(layer, self._modules, cutoff=0.5)
        raise UnknownName(f"layer of {self.name}", layer, close or leaves)

    def min_size(self, layers: Iterable[str]) -> int:
        """Not known beforehand: 1."""
        for layer in layers:
            self.resolve(layer)
        return 1

    def taps(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Outputs of ``layers`` for the pictures ``x``; see :meth:`Backbone.taps`.

        Outputs of fully connected layers become (B, C, 1, 1).

        Raises:
            UnknownName: A layer does not exist.
            UsageError: A layer did not run, or its output is no tensor of features.
            InputError: The module cannot take pictures of this size.
        """
        wanted = {layer: self._modules[self.resolve(layer)] for layer in dict.fromkeys(layers)}
        found: dict[str, Tensor] = {}
        if not wanted:
            return found
        with _evaluating(self.module), _hooked(wanted, found):
            self._pass(self.preprocessing(x))
        missing = [layer for layer in wanted if layer not in found]
        if missing:
            raise UsageError(f"layer {missing[0]} of {self.name} did not run")
        return {layer: found[layer] for layer in wanted}

    def _pass(self, x: Tensor) -> None:
        # Detached weights: a backward pass must not add to the user's gradients.
        state = {n: p.detach() for n, p in self.module.named_parameters()}
        try:
            functional_call(self.module, state, (x,))
        except _Enough:
            return
        except RuntimeError as error:
            size = f"{x.shape[-1]} x {x.shape[-2]} px"
            reason = str(error).splitlines()[0]
            raise InputError(f"{self.name} cannot take a picture of {size}: {reason}") from error


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode, and each part's own mode again afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextlib.contextmanager
def _hooked(wanted: dict[str, nn.Module], found: dict[str, Tensor]) -> Iterator[None]:
    """Hooks on the modules ``wanted`` that put their outputs into ``found``."""

    def hook(layer: str) -> Callable[..., None]:
        def keep(module: nn.Module, args: Any, output: Any) -> None:
            del module, args
            if layer in found:
                return
            # A copy: a ReLU that works in place may overwrite the output afterwards.
            found[layer] = features(layer, output).clone()
            if len(found) == len(wanted):
                raise _Enough

        return keep

    handles = []
    try:
        for layer, part in wanted.items():
            handles.append(part.register_forward_hook(hook(layer)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def features(layer: str, output: Any) -> Tensor:
    """``output`` as (B, C, H, W).

    Raises:
        UsageError: It is something else.
    """
    if isinstance(output, Tensor) and output.ndim in (2, 4) and torch.is_floating_point(output):
        return output[..., None, None] if output.ndim == 2 else output
    shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
    raise UsageError(f"the output of {layer} is {shape}, not (B, C, H, W) or (B, C)")
