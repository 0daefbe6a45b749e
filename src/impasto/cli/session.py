"""How one run of the command line talks: what goes to stdout, what to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from impasto.errors import ImpastoError

if TYPE_CHECKING:
    from rich.console import Console

    from impasto.cli.interrupts import Interrupts

#: Options of every command, with their help.
FLAGS = {
    "json": "Print one JSON object on standard output: the result or the error.",
    "quiet": "No progress and no notes.",
    "debug": "Show the traceback of an error.",
}


@dataclass(frozen=True)
class Session:
    """The options that every command has.

    Attributes:
        interrupts: Counts Ctrl-C.
        json: One JSON object on stdout instead of text.
        quiet: Nothing on stderr but errors.
        debug: Tracebacks.
    """

    interrupts: Interrupts
    json: bool = False
    quiet: bool = False
    debug: bool = False

    def console(self) -> Console:
        """A console on stderr; respects NO_COLOR, dumb terminals and pipes."""
        from rich.console import Console

        return Console(stderr=True, highlight=False, emoji=False, markup=False)

    def note(self, text: str) -> None:
        """A dim line on stderr, unless quiet."""
        if not self.quiet:
            from rich.text import Text

            self.console().print(Text(text, style="dim"), soft_wrap=True)

    def answer(self, text: str, data: dict[str, Any]) -> None:
        """The result on stdout: ``text`` for people, ``data`` where JSON was asked for."""
        write(json.dumps(data) if self.json else text)


def split(argv: Sequence[str]) -> tuple[list[str], dict[str, bool]]:
    """``argv`` without the options of :data:`FLAGS`, and which of them were there.

    They are allowed anywhere, also before the command; after ``--`` all is positional.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    head, tail = argv[:end], argv[end:]
    found = {name: f"--{name}" in head for name in FLAGS}
    return [a for a in head if a.removeprefix("--") not in FLAGS or a[:2] != "--"] + [*tail], found


def write(text: str) -> None:
    """A line on stdout, in the bytes of the file system: names come out as they went in.

    Raises:
        BrokenPipeError: Nobody reads it.
        ImpastoError: It cannot be written for another reason.
    """
    if sys.stdout is None:
        raise ImpastoError("standard output is closed")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(os.fsencode(text) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ImpastoError(f"standard output: {error.strerror}") from error
