"""safetensors: tensors and text, nothing that could run."""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto.errors import ResourceError, WeightsError

MAX_HEADER = 10_000_000
MAX_TENSORS = 2000
_FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file, after its limits have been checked.

    Raises:
        WeightsError: The file is not safetensors, or its header is over 10 MB or names more than
            2000 tensors.
    """
    header = _header(path)
    about = header.pop("__metadata__", {})
    if len(header) > MAX_TENSORS:
        raise WeightsError(f"{path} has {len(header)} tensors; at most {MAX_TENSORS} are read")
    return {str(k): str(v) for k, v in about.items()} if isinstance(about, dict) else {}


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, on the CPU, and its metadata.

    Raises:
        WeightsError: The file is damaged, over the limits, or has numbers that are not finite.
    """
    about = read_metadata(path)
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            for key in file.keys():  # noqa: SIM118
                tensors[key] = file.get_tensor(key)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is damaged: {_first_line(error)}") from error
    for key, tensor in tensors.items():
        if tensor.dtype in _FLOATS and not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"{path} has numbers in {key} that are not finite")
    return tensors, about


def write(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file, whole or not at all.

    Raises:
        ResourceError: The disk or folder does not take it.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: t.contiguous() for k, t in tensors.items()}, part, dict(metadata))
        part.chmod(0o644)  # a shared folder serves other users, too
        part.replace(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise ResourceError(
            f"could not write {path}: {_first_line(error)}",
            hint="set IMPASTO_WEIGHTS to a folder that can be written",
        ) from error


def _header(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            (size,) = struct.unpack("<Q", file.read(8))
            if size > MAX_HEADER:
                raise WeightsError(
                    f"{path} has a header of {size:.3g} bytes; at most {MAX_HEADER} are read"
                )
            header = json.loads(file.read(size))
    except (struct.error, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not a safetensors file, or is damaged") from error
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from error
    if not isinstance(header, dict):
        raise WeightsError(f"{path} is not a safetensors file, or is damaged")
    return header


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
