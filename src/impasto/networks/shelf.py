"""Where trained networks are found by name: those that install with impasto, and one's own."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_data_path

from impasto.errors import InputError, UnknownName

if TYPE_CHECKING:
    from impasto.networks.files import Model

#: A folder of one's own models, in place of the usual one of the system.
VARIABLE = "IMPASTO_MODELS"
ENDING = ".safetensors"


def shipped() -> Path:
    """The folder of the models that install with impasto."""
    return Path(__file__).resolve().parents[1] / "models"


def own() -> Path:
    """The folder of one's own; it need not exist."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else user_data_path("impasto", appauthor=False) / "models"


def names() -> dict[str, Path]:
    """Every model by name; one's own come before shipped ones of the same name."""
    found: dict[str, Path] = {}
    for folder in (shipped(), own()):
        if folder.is_dir():
            found |= {p.stem: p for p in sorted(folder.glob(f"*{ENDING}"))}
    return found


def locate(name: str) -> Path:
    """The file of a model.

    Args:
        name: A name in :func:`names`, or the path of a .safetensors file.

    Raises:
        InputError: There is no such file.
        UnknownName: No model has this name.
    """
    if name.lower().endswith(ENDING) or os.sep in name:
        if not Path(name).is_file():
            raise InputError(f"there is no model {name}")
        return Path(name)
    known = names()
    if name not in known:
        raise UnknownName("model", name, known)
    return known[name]


def loaded(name: str) -> Model:
    """A model, ready for fast passes and kept for the next job until its file changes.

    Args:
        name: See :func:`locate`.

    Raises:
        InputError: There is no such file.
        UnknownName: No model has this name.
        WeightsError: The file is damaged.
    """
    path = locate(name)
    return _loaded(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _loaded(path: Path, changed: int) -> Model:
    import torch

    from impasto.networks.files import load

    del changed
    model = load(path)
    model.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model
