"""Pictures of what units look for, found by their names in a folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from impasto.errors import InputError
from impasto.inspecting.photos import EXTENSIONS

#: The end of a name: the layer, then the unit: ``atlas-relu4_1-017.png``, ``relu4_1-c17.png``.
_UNIT = re.compile(r"[-_. ](?:unit|channel|c)?[-_]?0*(\d{1,6})$")


def atlas_pictures(folder: str | Path, layers: Iterable[str]) -> dict[tuple[str, int], Path]:
    """The pictures in ``folder`` whose names end in one of ``layers`` and the number of a unit.

    Returns:
        Paths by layer and unit; of several for one unit the first by name.

    Raises:
        InputError: There is no such folder, or no such picture in it.
    """
    root, names = Path(folder), sorted(layers, key=len, reverse=True)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder", hint="--atlas takes a folder of pictures")
    found: dict[tuple[str, int], Path] = {}
    for path in sorted(root.iterdir()):
        match = _UNIT.search(path.stem)
        if match is None or path.suffix.lower() not in EXTENSIONS or not path.is_file():
            continue
        before = path.stem[: match.start()]
        layer = next((n for n in names if _ends(before, n)), None)
        if layer is not None:
            found.setdefault((layer, int(match[1])), path)
    if not found:
        raise InputError(
            f"no picture in {root} has a name that ends in {names[-1]}-N",
            hint="such as atlas-relu4_1-17.png",
        )
    return found


def _ends(text: str, layer: str) -> bool:
    before = text.removesuffix(layer)
    return text.endswith(layer) and (not before or not before[-1].isalnum())
