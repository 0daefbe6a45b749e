"""Errors as a person sees them: one line, a hint, an exit code."""

from __future__ import annotations

import json
import os
import re
import sys
import traceback
from typing import Any

from impasto.cli.session import Session, write
from impasto.errors import Cancelled, ImpastoError, ResourceError

_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)


def report(error: BaseException, session: Session) -> int:
    """Print ``error`` and return the exit code.

    With ``--json`` the same comes as one object on stdout, whatever the error:
    ``{"error": {"type", "message", "hint", "exit_code"}}``.
    """
    if isinstance(error, BrokenPipeError | SystemExit):  # rich exits when the pipe is broken
        _close_stdout()
        return ImpastoError.exit_code
    if session.debug:
        traceback.print_exception(error)
    known = explain(error)
    try:
        if session.json:
            write(json.dumps(as_json(known)))
        else:
            sys.stderr.write("".join(f"{line}\n" for line in lines(known)))
            sys.stderr.flush()
    except (OSError, ImpastoError):  # nobody listens
        _close_stdout()
    return known.exit_code


def explain(error: BaseException) -> ImpastoError:
    """Any exception as one of ours."""
    if isinstance(error, ImpastoError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled("stopped at once; nothing more was saved")
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))
    ):
        return ResourceError("out of memory", hint="a smaller --size needs less")
    text = str(error).strip() or "no message"
    unexpected = ImpastoError(
        f"unexpected {type(error).__name__}: {text}", hint="--debug shows where"
    )
    unexpected.__cause__ = error
    return unexpected


def as_json(error: ImpastoError) -> dict[str, Any]:
    """The one shape that errors have in JSON."""
    kind = type(error.__cause__) if type(error) is ImpastoError and error.__cause__ else type(error)
    return {
        "error": {
            "type": kind.__name__,
            "message": _one_line(error.message),
            "hint": error.hint,
            "exit_code": error.exit_code,
        }
    }


def lines(error: ImpastoError) -> list[str]:
    """What goes to stderr."""
    prefix = "" if isinstance(error, Cancelled) else _paint("error:") + " "
    first = prefix + _one_line(error.message)
    return [first, f"  hint: {_one_line(error.hint)}"] if error.hint else [first]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _paint(text: str) -> str:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not sys.stderr.isatty() else f"\x1b[1;31m{text}\x1b[0m"


def _close_stdout() -> None:
    """Whoever read our output has gone: keep Python from complaining on the way out."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
