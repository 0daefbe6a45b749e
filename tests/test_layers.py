"""Which room may import which: the arrows of docs/architecture.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "src" / "impasto"

GROUND = {"errors", "registry", "events", "__version__"}
ALLOWED = {
    "errors": set(),
    "registry": {"errors"},
    "events": {"errors"},
    "specs": GROUND,
    "samples": GROUND,
    "images": GROUND,
    "losses": GROUND | {"native"},
    "native": GROUND,
    "backbones": GROUND | {"native"},
    "recipes": GROUND,
    "filters": GROUND | {"images"},
    "engine": GROUND | {"losses", "backbones", "images", "native"},
    "filtering": GROUND | {"specs", "images", "engine", "filters"},
    "styling": GROUND
    | {"specs", "images", "losses", "backbones", "engine", "recipes", "filters", "universal"}
    | {"networks"},
    "universal": GROUND | {"images", "backbones", "engine", "networks"},
    "networks": GROUND | {"backbones", "images", "native"},
    "training": GROUND
    | {"specs", "images", "losses", "backbones", "engine", "networks", "recipes"},
    "applying": GROUND | {"specs", "images", "engine", "networks"},
    "enhancing": GROUND | {"specs", "images", "losses", "backbones", "engine", "networks"},
    "inspecting": GROUND | {"specs", "images", "losses", "backbones", "engine"},
    "dreaming": GROUND | {"specs", "images", "losses", "backbones", "engine"},
    "visualizing": GROUND | {"specs", "images", "losses", "backbones", "engine"},
    "testing": GROUND | {"losses", "backbones"},
    "records": GROUND,
    "plots": GROUND | {"records"},
    "estimate": set(),
    "outputs": GROUND | {"specs", "images"},
    "protocols": GROUND,
    "jobs": GROUND | {"specs", "images", "engine", "records", "plots", "outputs", "protocols"},
    "api": GROUND | {"specs", "images", "jobs", "backbones"},
    "cli": GROUND | {"specs", "jobs", "outputs", "estimate"},
    "studio": GROUND | {"specs", "jobs", "outputs", "estimate"},
}
#: Rooms whose names commands may list, besides what their row allows.
LISTINGS = {
    "cli": {
        "native",
        "recipes",
        "backbones",
        "engine",
        "images",
        "samples",
        "losses",
        "filters",
        "networks",
    },
    "studio": {"recipes", "backbones", "images", "samples", "filters", "records", "networks"},
}


def rooms() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        first = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if not first.startswith("__"):
            found.setdefault(first, []).append(path)
    return found


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{a.name}" for a in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "impasto" and rest:
                found.add(rest.split(".")[0])
    return found


def test_every_room_has_a_row() -> None:
    assert set(rooms()) <= set(ALLOWED), "a new room needs a row of arrows"


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_arrows(room: str) -> None:
    allowed = ALLOWED[room] | LISTINGS.get(room, set()) | {room}
    for path in rooms().get(room, []):
        extra = imported_rooms(path) - allowed
        assert not extra, f"{path.relative_to(ROOT)} imports {sorted(extra)}"
