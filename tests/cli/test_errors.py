"""Any exception becomes a line, a hint and a code."""

from __future__ import annotations

import json
import sys

import pytest

from impasto import errors as tree
from impasto.cli import errors
from impasto.cli.interrupts import Interrupts
from impasto.cli.session import Session, split


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (tree.ImpastoError("m"), 1, "error: m"),
        (tree.UsageError("m", hint="h"), 2, "error: m"),
        (tree.WeightsError("m"), 3, "error: m"),
        (tree.InputError("two\nlines"), 4, "error: two lines"),
        (tree.ResourceError("m"), 5, "error: m"),
        (tree.Cancelled("stopped"), 130, "stopped"),
        (KeyboardInterrupt(), 130, "stopped at once; nothing more was saved"),
        (MemoryError(), 5, "error: out of memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate"), 5, "error: out of memory"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you"),
            5,
            "error: out of memory",
        ),
        (RuntimeError("something"), 1, "error: unexpected RuntimeError: something"),
        (KeyError("x"), 1, "error: unexpected KeyError: 'x'"),
    ],
)
def test_code_and_line(capsys, error, code, message):
    assert errors.report(error, Session(Interrupts())) == code
    out, err = capsys.readouterr()
    assert err.splitlines()[0] == message
    assert len(err.splitlines()) <= 2
    assert out == ""


def test_torch_runs_out_of_memory_in_these_words():
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert errors.explain(caught.value).exit_code == 5
    assert errors.explain(torch.OutOfMemoryError("CUDA out of memory.")).exit_code == 5


def test_json_names_the_kind_of_an_unexpected_error(capfdbinary):
    assert errors.report(ValueError("odd"), Session(Interrupts(), json=True)) == 1
    error = json.loads(capfdbinary.readouterr().out)["error"]
    assert error["type"] == "ValueError"
    assert error["message"] == "unexpected ValueError: odd"
    assert error["hint"] == "--debug shows where"


def test_debug_shows_the_traceback(capsys):
    try:
        raise tree.UsageError("m")
    except tree.UsageError as error:
        errors.report(error, Session(Interrupts(), debug=True))
    assert "test_errors.py" in capsys.readouterr().err


def test_red_only_on_a_terminal_that_wants_it(monkeypatch):
    error = tree.UsageError("m")
    assert "\x1b" not in errors.lines(error)[0]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[1;31m" in errors.lines(error)[0]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in errors.lines(error)[0]


def test_session_flags_are_found_anywhere_but_after_two_dashes():
    tokens, found = split(["--debug", "stylize", "a", "--json", "--", "--quiet", "json"])
    assert tokens == ["stylize", "a", "--", "--quiet", "json"]
    assert found == {"json": True, "quiet": False, "debug": True}
