"""The verb ``train``: photos, and paintings where a task has any, in; a trained network out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import TrainSpec

if TYPE_CHECKING:
    from impasto.training.run import TrainingJob


def prepare(spec: TrainSpec, read: Callable[[str], Picture]) -> TrainingJob:
    """A job for ``spec``, checked: paintings and photos read, network built.

    The paintings are read before torch is loaded, so that a bad one is reported at once.
    """
    paintings = tuple(read(name) for name in spec.style)
    from impasto.training.run import TrainingJob

    return TrainingJob(spec, paintings)


__all__ = ["prepare"]
