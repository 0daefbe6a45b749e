"""Optimisations from coarse to fine, each from the picture of the one before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor

from impasto.engine.optimise import Optimisation
from impasto.engine.scales import Scale
from impasto.errors import UsageError
from impasto.events import Event, ScaleStarted, Step


class CoarseToFine:
    """The optimisation at the current scale, and the way to the next; resumes exactly.

    Args:
        scales: From coarse to fine.
        make: From the number of a scale (from 0) and the picture to begin with to its
            optimisation. There is no picture at the first scale.
        resample: From what has the size of the scale before, and the number of a scale, to the
            same at that scale: pictures, and moments of Adam's.
    """

    def __init__(
        self,
        scales: Sequence[Scale],
        make: Callable[[int, Tensor | None], Optimisation],
        resample: Callable[[Tensor, int], Tensor],
    ) -> None:
        self.scales = scales
        self.index = 0
        self._make = make
        self._resample = resample
        self._run: Optimisation | None = None
        self._resumed: dict[str, Any] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a picture."""
        return self._run is not None

    @property
    def run(self) -> Optimisation:
        """The optimisation at the current scale.

        Raises:
            UsageError: None has begun.
        """
        if self._run is None:
            raise UsageError("the job has not begun")
        return self._run

    def events(self, image: Callable[[], Tensor]) -> Iterator[Event]:
        """Run what is left.

        Args:
            image: For the events: the picture so far as people should see it.
        """
        for index in range(self.index, len(self.scales)):
            scale = self.scales[index]
            run = self.begin(index)
            yield ScaleStarted(index, len(self.scales), scale.height, scale.width, scale.steps)
            for step in run.steps():
                yield Step(index, step.index, scale.steps, step.terms, image, note=step.note)

    def begin(self, index: int) -> Optimisation:
        """Make the optimisation of a scale, with what it takes over."""
        coarser = self._run

        def resampled(canvas: Tensor) -> Tensor:
            return self._resample(canvas, index)

        run = self._make(index, None if coarser is None else resampled(coarser.image()))
        if self._resumed is not None:
            run.load(self._resumed)
            self._resumed = None
        elif coarser is not None:
            run.inherit(coarser, resampled)
        self._run, self.index = run, index
        return run

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs to go on exactly here."""
        return {"scale": self.index, "run": self.run.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        self.index, self._resumed = state["scale"], state["run"]
