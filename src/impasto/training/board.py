"""TensorBoard, for those who have it."""

from __future__ import annotations

from typing import Any

from impasto.errors import UsageError
from impasto.events import Step

#: Steps between previews.
PICTURES = 250


class Board:
    """Takes the steps of a training.

    Args:
        writer: TensorBoard's.
    """

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def add(self, step: Step) -> None:
        """Losses always, figures where there are any, a preview now and then."""
        terms = {name: float(value) for name, value in step.terms.items()}
        for name, value in {**terms, "loss": sum(terms.values())}.items():
            self._writer.add_scalar(f"loss/{name}", value, step.index)
        for name, value in step.figures.items():
            self._writer.add_scalar(f"held out/{name}", value, step.index)
        if step.index % PICTURES == 0 or step.index == step.steps:
            self._writer.add_image("preview", step.image()[0].cpu(), step.index)
            self._writer.flush()


def board(folder: str | None) -> Board | None:
    """A board in ``folder``; None without.

    Raises:
        UsageError: The package is not installed.
    """
    if folder is None:
        return None
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError(
            "--tensorboard needs a further package", hint="pip install tensorboard"
        ) from None
    return Board(SummaryWriter(folder))
