"""The command line.

Commands are derived from the specs of :mod:`impasto.jobs`; the few that are no jobs are functions
of their own. Nothing here loads torch or numpy before a command really needs them.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        argv: Arguments without the program's name; those of the process by default.
    """
    if sys.stderr is None:  # closed by whoever started us
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    # At its end a process would look for cycles in all that torch has loaded: half a second.
    atexit.unregister(gc.freeze)
    atexit.register(gc.freeze)
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        import impasto

        sys.stdout.write(f"impasto {impasto.__version__}\n")
        return 0
    from impasto.cli.interrupts import Interrupts

    with Interrupts() as interrupts:
        from impasto.cli.app import run

        return run(arguments, interrupts)
