"""What can go wrong, as a tree, each with the exit code of the command line.

::

    ImpastoError                 1  the job failed
    ├── UsageError               2  the request makes no sense
    │   └── UnknownName          2  a name that no registry holds (did you mean ...)
    ├── WeightsError             3  weights missing, broken or not what they claim to be
    ├── InputError               4  a picture that cannot be used
    ├── ResourceError            5  the job does not fit in memory or on the disk
    ├── Diverged                 1  the optimisation left the finite numbers and did not come back
    └── Cancelled              130  stopped on request; the picture so far is kept

Every message is one line: what happened, the value got, what is allowed. ``hint`` says what to
type next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ImpastoError(Exception):
    """Base of all errors that impasto raises on purpose.

    Args:
        message: One line for a person.
        hint: What to do next, or the empty string.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(ImpastoError):
    """The request makes no sense: a value out of range, or options that exclude each other."""

    exit_code = 2


class UnknownName(UsageError):
    """A name that is not in a registry.

    Args:
        kind: What was looked up, such as ``"recipe"``.
        name: The name that was asked for.
        known: The names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(close)}?" if close else f"known: {', '.join(names)}"
        super().__init__(f"unknown {kind} {name!r}", hint=hint)
        self.kind = kind
        self.name = name


class WeightsError(ImpastoError):
    """Weights are missing, damaged, or not the ones that were asked for."""

    exit_code = 3


class InputError(ImpastoError):
    """A picture cannot be used: not a picture, truncated, too large, too small, unreadable."""

    exit_code = 4


class ResourceError(ImpastoError):
    """The job needs more memory or disk than there is."""

    exit_code = 5


class Diverged(ImpastoError):
    """The optimisation left the finite numbers and did not come back."""


class Cancelled(ImpastoError):
    """The job was stopped on request; what was finished has been saved."""

    exit_code = 130
