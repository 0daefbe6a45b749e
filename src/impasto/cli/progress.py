"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from impasto import events
from impasto.cli.session import Session
from impasto.estimate import Estimate, clock

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

#: Least seconds between two looks at the losses: reading a value waits for the device.
LOOK = 0.25
#: Without a terminal: a line after this part of the work, but not more often than each second,
LINE_SHARE, LINE_LEAST = 0.1, 1.0
#: and after this many seconds in any case.
LINE_SECONDS = 10.0


class Progress:
    """Follows the events of a job; this one is silent, the others draw.

    Attributes:
        notes: What the job had to say, for the summary.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._estimate = Estimate(())
        self._count = 0
        self._size = ""
        self._last: events.Step | None = None

    def show(self, event: events.Event) -> None:
        """Take note of ``event`` and draw, if it is time to."""
        now = time.monotonic()
        if isinstance(event, events.Started):
            self._estimate, self._count = Estimate(event.scales), len(event.scales)
            for text in event.notes:
                self.note(text)
        elif isinstance(event, events.ScaleStarted):
            self._estimate.begin(event.index, now)
            self._size = f"{event.width} x {event.height}"
        elif isinstance(event, events.Step):
            self._estimate.update(event.scale, event.index, now)
            self._last = event
            if event.figures:
                self.note(figures_text(event))
            self.step(event, now)
            if event.note:
                self.note(event.note)
        elif isinstance(event, events.Saved):
            self.note(f"wrote {event.path}")

    def note(self, text: str) -> None:
        """A line for the person."""
        self.notes.append(text)

    def step(self, event: events.Step, now: float) -> None:
        """Draw a step, if it is time to."""

    def close(self) -> None:
        """Leave the terminal as it was."""

    def losses(self) -> dict[str, float]:
        """Weighted terms of the last step."""
        return {} if self._last is None else {k: float(v) for k, v in self._last.terms.items()}

    def place(self, event: events.Step) -> str:
        """Scale and size: ``"2/3  256 x 192"``."""
        return f"{event.scale + 1}/{self._count}  {self._size}"


class Lines(Progress):
    """For pipes, logs and dumb terminals."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._printed = (0.0, -1.0)  # share and time of the last line

    def note(self, text: str) -> None:
        """A line at once."""
        super().note(text)
        print_note(self._console, text)

    def step(self, event: events.Step, now: float) -> None:
        """A line every ten percent, or every ten seconds."""
        share, at = self._printed
        grown, waited = self._estimate.share - share, now - at
        final = self._estimate.share >= 1.0
        if not (final or waited >= LINE_SECONDS or (grown >= LINE_SHARE and waited >= LINE_LEAST)):
            return
        self._printed = (self._estimate.share, now)
        self._console.print(
            f"{self._estimate.share:4.0%}  scale {self.place(event)}  "
            f"step {event.index}/{event.steps}  {terms_text(event)}  "
            f"{clock(self._estimate.left)} left",
            soft_wrap=True,
        )


class Bar(Progress):
    """For terminals."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._bar, self._task = _make_bar(console)
        self._looked = -1.0
        self._terms = ""
        self._bar.start()

    def note(self, text: str) -> None:
        """A line above the bar."""
        super().note(text)
        print_note(self._console, text)

    def step(self, event: events.Step, now: float) -> None:
        """Move the bar; look at the losses a few times a second only."""
        if now - self._looked < LOOK and event.index < event.steps:
            return
        self._looked = now
        self._bar.update(
            self._task,
            completed=self._estimate.share,
            place=self.place(event),
            step=f"{event.index}/{event.steps}",
            terms=terms_text(event),
            left=clock(self._estimate.left),
        )

    def close(self) -> None:
        """The bar goes; what it said last is of no use any more."""
        self._bar.stop()


def print_note(console: Console, text: str) -> None:
    """A dim line; a style given to ``print`` itself would dim the bar below, too."""
    from rich.text import Text

    console.print(Text(text, style="dim"), soft_wrap=True)


def terms_text(event: events.Step) -> str:
    """``"content 0.12  style 0.034"``. Waits for the device."""
    return "  ".join(f"{name} {float(value):.3g}" for name, value in event.terms.items())


def figures_text(event: events.Step) -> str:
    """``"step 500: psnr 28.3  error 0.021"``."""
    found = "  ".join(f"{name} {value:.4g}" for name, value in event.figures.items())
    return f"step {event.index}: {found}"


def make_progress(session: Session) -> Progress:
    """What fits the session and the terminal."""
    if session.quiet:
        return Progress()
    console = session.console()
    if console.is_terminal and not console.is_dumb_terminal:
        return Bar(console)
    return Lines(console)


def _make_bar(console: Console) -> tuple[RichProgress, Any]:
    """A line that fits the terminal: narrow ones lose the losses, then the size."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    def text(field: str) -> TextColumn:
        return TextColumn(f"{{task.fields[{field}]}}", table_column=Column(no_wrap=True))

    width = console.width
    columns: list[Any] = [text("place")] if width >= 50 else []
    columns += [text("step"), BarColumn(bar_width=max(4, min(30, width // 5)))]
    columns += [text("left")] if width >= 30 else []
    columns += [text("terms")] if width >= 80 else []
    bar = RichProgress(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=4,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    return bar, bar.add_task("", total=1.0, place="preparing", step="", left="", terms="")
