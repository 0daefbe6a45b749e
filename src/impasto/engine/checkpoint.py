"""Runs on disk: written whole or not at all, read back exactly.

A checkpoint is a file of torch's. Where it holds tensors of :data:`impasto.engine.store.LARGE`
bytes or more, these are written behind the rest as they are, a piece at a time, and read into a
store, so that neither takes memory: the state of a giant picture is larger than that.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from impasto.engine.store import IN_MEMORY, LARGE, Store
from impasto.errors import InputError, ResourceError

FORMAT = 2
#: How a file begins whose large tensors lie behind the rest; then the length of the rest.
MAGIC = b"impasto checkpoint\n"
#: The key of what stands for a large tensor: its number.
_NUMBER = "large tensor"


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write ``content`` (tensors, numbers, strings, lists, dicts) to ``path``, atomically.

    Raises:
        ResourceError: The disk did not take it; what was there before is untouched.
    """
    part = path.with_name(path.name + ".part")
    large: list[Tensor] = []
    head = {"format": FORMAT, **_without_large(content, large)}
    try:
        with part.open("wb") as file:
            if large:
                _write_parts(file, head, large)
            else:
                torch.save(head, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise ResourceError(f"could not write checkpoint {path}: {error.strerror}") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote, on the CPU; large tensors are in files.

    Raises:
        InputError: There is none, or it is damaged.
    """
    if not path.exists():
        raise InputError(
            f"no checkpoint {path}", hint="start without --resume; a stopped run leaves one"
        )
    try:
        with path.open("rb") as file:
            content = _read_parts(file)
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
        raise InputError(f"checkpoint {path} is damaged", hint="start without --resume") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint of this version")
    return content


def _write_parts(file: BinaryIO, head: dict[str, Any], large: list[Tensor]) -> None:
    buffer = io.BytesIO()
    torch.save(head, buffer)
    file.write(MAGIC + len(buffer.getvalue()).to_bytes(8, "little") + buffer.getvalue())
    for tensor in large:
        for (piece,) in IN_MEMORY.pieces(tensor.view(-1)):
            file.write(piece.view(torch.uint8).numpy().data)


def _read_parts(file: BinaryIO) -> Any:
    if file.read(len(MAGIC)) != MAGIC:
        file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True)
    head = io.BytesIO(file.read(int.from_bytes(file.read(8), "little")))
    return _with_large(torch.load(head, map_location="cpu", weights_only=True), file)


def _without_large(value: Any, large: list[Tensor]) -> Any:
    """``value`` with descriptions of large tensors in their places; they are added to ``large``."""
    if isinstance(value, dict):
        return {key: _without_large(each, large) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without_large(each, large) for each in value)
    if isinstance(value, Tensor) and value.device.type == "cpu" and value.nbytes >= LARGE:
        large.append(value.detach().contiguous())
        dtype = str(value.dtype).removeprefix("torch.")
        return {_NUMBER: len(large) - 1, "shape": list(value.shape), "dtype": dtype}
    return value


def _with_large(value: Any, file: BinaryIO) -> Any:
    """The inverse of :func:`_without_large`; tensors are read in the order of their numbers."""
    if isinstance(value, list | tuple):
        return type(value)(_with_large(each, file) for each in value)
    if not isinstance(value, dict):
        return value
    if _NUMBER not in value:
        return {key: _with_large(each, file) for key, each in value.items()}
    kind = torch.empty(0, dtype=getattr(torch, value["dtype"]))
    tensor, store = Store(LARGE).empty(value["shape"], kind), IN_MEMORY
    for (piece,) in store.pieces(tensor.view(-1)):
        rest = piece.view(torch.uint8).numpy().data
        if file.readinto(rest) != len(rest):  # type: ignore[attr-defined]
            raise EOFError("the file ends too early")
    return tensor
