"""Runs a studio with settings from the command line: ``python host.py '{"root": "/tmp/x"}'``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from impasto.studio.config import Limits, Settings
from impasto.studio.server import serve


def main(values: dict[str, Any]) -> None:
    limits = Limits(**values.pop("limits", {}))
    root = Path(values.pop("root"))
    serve(Settings(root=root, limits=limits, **values), announce)


def announce(address: str) -> None:
    sys.stdout.write(address + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
