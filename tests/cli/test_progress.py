"""What is drawn, how often, and how often the device is waited for."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from impasto import events
from impasto.cli import progress


class Value:
    """A loss that counts how often it is read."""

    reads = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        Value.reads += 1
        return self.value


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def ticking(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    Value.reads = 0
    return clock


def console(width: int = 100, *, terminal: bool = False, **options) -> Console:
    return Console(
        file=io.StringIO(), width=width, force_terminal=terminal, legacy_windows=False, **options
    )


def feed(watcher, clock, *, steps: int, seconds: float) -> str:
    """A job of one scale; returns what was drawn."""
    watcher.show(events.Started("stylize", ((30, 40, steps),), {}, ("a note",)))
    watcher.show(events.ScaleStarted(0, 1, 30, 40, steps))
    for index in range(1, steps + 1):
        clock.now += seconds
        terms = {"content": Value(1.5), "style": Value(0.25)}
        watcher.show(events.Step(0, index, steps, terms, lambda: None))
    watcher.close()
    return watcher._console.file.getvalue()


def test_lines_come_every_tenth_of_a_long_job(ticking):
    lines = feed(progress.Lines(console()), ticking, steps=1000, seconds=0.05).splitlines()
    assert lines[0] == "a note"
    assert len(lines) == pytest.approx(12, abs=1)
    assert "scale 1/1  40 x 30  step" in lines[5]
    assert "content 1.5  style 0.25" in lines[5]
    assert lines[-1].startswith("100%")
    assert lines[-1].endswith("0:00 left")
    shares = [int(line.split("%")[0]) for line in lines[1:]]
    assert shares == sorted(shares)


def test_lines_come_every_ten_seconds_of_a_slow_job(ticking):
    lines = feed(progress.Lines(console()), ticking, steps=100, seconds=5.0).splitlines()
    assert len(lines) == pytest.approx(52, abs=2)


def test_a_quick_job_is_not_chatty(ticking):
    lines = feed(progress.Lines(console()), ticking, steps=100, seconds=0.001).splitlines()
    assert len(lines) == 3  # the note, the first step, the last


def test_long_lines_are_not_broken(ticking):
    text = feed(progress.Lines(console(width=20)), ticking, steps=2, seconds=1.0)
    assert len(text.splitlines()) == 3


def test_the_device_is_waited_for_four_times_a_second_at_most(ticking):
    feed(progress.Bar(console(terminal=True)), ticking, steps=1000, seconds=0.01)
    looks = Value.reads / 2
    assert 30 <= looks <= 41  # ten seconds


@pytest.mark.parametrize("width", [1, 10, 29, 49, 79, 200])
def test_the_bar_fits(ticking, width):
    text = feed(progress.Bar(console(width, terminal=True)), ticking, steps=4, seconds=1.0)
    assert ("style" in text) == (width >= 80)
    assert ("40 x 30" in text) == (width >= 50)


def test_the_cursor_comes_back(ticking):
    text = feed(progress.Bar(console(terminal=True)), ticking, steps=2, seconds=1.0)
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_no_color(ticking):
    bar = progress.Bar(console(terminal=True, no_color=True))
    text = feed(bar, ticking, steps=2, seconds=1.0)
    assert "\x1b[3" not in text
    assert "\x1b[9" not in text


def test_quiet_reads_nothing_and_knows_the_losses(ticking):
    watcher = progress.Progress()
    watcher.show(events.Started("stylize", ((3, 4, 1),), {}, ("a note",)))
    watcher.show(events.ScaleStarted(0, 1, 3, 4, 1))
    watcher.show(events.Step(0, 1, 1, {"content": Value(1.5)}, lambda: None))
    assert Value.reads == 0
    assert watcher.losses() == {"content": 1.5}
    assert watcher.notes == ["a note"]


@pytest.mark.parametrize(
    ("terminal", "term", "expected"),
    [(True, "xterm", "Bar"), (True, "dumb", "Lines"), (False, "xterm", "Lines")],
)
def test_the_terminal_decides(monkeypatch, terminal, term, expected):
    from impasto.cli.interrupts import Interrupts
    from impasto.cli.session import Session

    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(
        Session, "console", lambda self: console(terminal=terminal, _environ={"TERM": term})
    )
    made = progress.make_progress(Session(Interrupts()))
    assert type(made).__name__ == expected
    made.close()
    assert type(progress.make_progress(Session(Interrupts(), quiet=True))) is progress.Progress


def test_what_happened_at_a_step_is_told_at_once_and_kept(ticking):
    watcher = progress.Lines(console())
    watcher.show(events.Started("stylize", ((30, 40, 2),)))
    watcher.show(events.ScaleStarted(0, 1, 30, 40, 2))
    watcher.show(events.Step(0, 1, 2, {"style": Value(1.0)}, lambda: None, note="taken back"))
    assert watcher.notes == ["taken back"]
    assert "taken back" in watcher._console.file.getvalue()
