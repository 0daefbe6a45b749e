"""What a running job tells those who watch it: frozen values, the same for every verb.

A job is an iterator of events. Closing the iterator cancels the job. Pictures in events are
callables, so that only those who draw pay for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True)
class Started:
    """The job has been checked and begins.

    Attributes:
        verb: ``"stylize"`` and so on.
        scales: Height, width and steps of every scale to come.
        settings: All numbers, explicit; what the output will carry.
        notes: What a person should know ("the painting is enlarged 2.3 times").
    """

    verb: str
    scales: tuple[tuple[int, int, int], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScaleStarted:
    """A scale begins. ``index`` counts from 0; sizes in pixels."""

    index: int
    count: int
    height: int
    width: int
    steps: int


@dataclass(frozen=True)
class Step:
    """One step was taken.

    Attributes:
        scale: Index of the scale, from 0.
        index: Within the scale, from 1.
        steps: Of the scale.
        terms: Weighted value of each term before the step; scalar tensors.
        image: Call for the picture so far, (1, 3, H, W) in [0, 1].
        figures: What was measured after the step besides its terms; mostly nothing.
        note: What a person should know of the step; mostly nothing.
    """

    scale: int
    index: int
    steps: int
    terms: Mapping[str, Tensor]
    image: Callable[[], Tensor]
    figures: Mapping[str, float] = field(default_factory=dict)
    note: str = ""

    @property
    def loss(self) -> float:
        """Sum of the terms. Waits for the device."""
        return float(sum(float(v) for v in self.terms.values()))


@dataclass(frozen=True)
class Saved:
    """A file was written: a numbered picture, a checkpoint, a log. ``what`` says which."""

    path: str
    what: str


@dataclass(frozen=True)
class Table:
    """Numbers for a person to read.

    Attributes:
        title: What they are.
        columns: Heads of the columns; the first column is text, the others are set flush right.
        rows: Cells as text.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Finished:
    """The job is done or was stopped.

    Attributes:
        image: (H, W, 3) float32 sRGB in [0, 1].
        alpha: (H, W) or None.
        settings: What the output carries.
        seconds: Wall time of the job.
        path: Where it was saved, if it was.
        complete: False when the job was stopped early.
        metadata: All that is saved in the picture: spec, settings, inputs, versions.
        report: What the job found besides pictures, ready for JSON.
        tables: The same for people.
        others: Further pictures (H, W, 3), by the ending of their files' names ("-invert").
        frame_ms: Milliseconds for each where they are the frames of a sequence; else 0.
        pages: Files of web pages that were written, that at ``path`` first.
    """

    image: np.ndarray
    alpha: np.ndarray | None
    settings: Mapping[str, Any]
    seconds: float
    path: str | None = None
    complete: bool = True
    metadata: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    others: Mapping[str, np.ndarray] = field(default_factory=dict)
    frame_ms: float = 0.0
    pages: tuple[str, ...] = ()


Event = Started | ScaleStarted | Step | Saved | Finished

__all__ = ["Event", "Finished", "Saved", "ScaleStarted", "Started", "Step", "Table"]
