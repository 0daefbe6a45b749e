"""How the tests start commands."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: A run that takes a second or two besides the start of torch.
SMALL = ("--size", "64", "--quality", "draft", "--device", "cpu")


def environment(**more: str) -> dict[str, str]:
    """Of the commands: our sources, one thread, no colours by accident."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"} | more


def default_signals() -> None:
    """A shell that runs the tests in the background would hand down an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "impasto", *arguments]
