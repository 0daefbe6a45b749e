"""How far a job is, and how long it will still take."""

from __future__ import annotations

from collections.abc import Sequence

#: Steps of a scale after which its own speed is trusted.
TRUSTED = 2


class Estimate:
    """Progress over all scales; the cost of a step is its number of pixels.

    The speed is measured within the current scale, from its start; until that is known, the
    speed of the scale before serves.

    Args:
        scales: Height, width and steps of each.
    """

    def __init__(self, scales: Sequence[tuple[int, int, int]]) -> None:
        self._pixels = [height * width for height, width, _ in scales]
        self._costs = [height * width * steps for height, width, steps in scales]
        self._mark = (0.0, 0.0)  # time and cost at the start of the scale
        self._done = 0.0
        self._speed: float | None = None

    def begin(self, scale: int, now: float) -> None:
        """A scale begins at the time ``now``, in seconds of any clock."""
        self._done = float(sum(self._costs[:scale]))
        self._mark = (now, -1.0)

    def update(self, scale: int, step: int, now: float) -> None:
        """Step ``step`` (from 1) of ``scale`` (from 0) was finished at ``now``."""
        self._done = float(sum(self._costs[:scale]) + self._pixels[scale] * step)
        since, start = self._mark
        if start < 0:  # the first step; a resumed run does not begin with step 1
            start = self._done - self._pixels[scale]
            self._mark = (since, start)
        elapsed = now - since
        if elapsed > 0 and self._done - start >= TRUSTED * self._pixels[scale]:
            self._speed = (self._done - start) / elapsed

    @property
    def share(self) -> float:
        """Part of the work that is done, from 0 to 1."""
        total = sum(self._costs)
        return min(1.0, self._done / total) if total else 1.0

    @property
    def left(self) -> float | None:
        """Seconds still to go, or None while nothing is known."""
        if self._speed is None:
            return None
        return max(0.0, sum(self._costs) - self._done) / self._speed


def clock(seconds: float | None) -> str:
    """``"0:07"``, ``"12:34"``, ``"1:02:03"``; ``"-:--"`` for None."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
