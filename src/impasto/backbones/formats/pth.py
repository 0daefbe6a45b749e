"""torch's own files: loaded as data only, never as programs."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.errors import WeightsError

#: Where training programs put the state dict inside what they save.
_NESTED = ("state_dict", "model", "model_state_dict", "network")


def read(path: Path) -> dict[str, Tensor]:
    """The state dict of a .pth or .pt file, on the CPU; not copied into memory where possible.

    Raises:
        WeightsError: The file is damaged, holds no state dict, or is a pickle that wants to run
            something.
    """
    try:
        # Old files are a bare pickle, which cannot be mapped into memory.
        mapped = zipfile.is_zipfile(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is refused: it holds more than tensors, or is damaged",
            hint="save only the state dict: torch.save(model.state_dict(), FILE)",
        ) from error
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path} is damaged") from error
    return state_of(content, path)


def state_of(content: Any, path: Path) -> dict[str, Tensor]:
    """The names and tensors in what a file holds, freed of wrappers and prefixes."""
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a state dict")
    state = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if state and all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): v for key, v in state.items()}
    return state
