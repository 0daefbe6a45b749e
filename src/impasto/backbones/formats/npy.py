"""NumPy files that hold a pickled dict of arrays, as the TensorFlow VGGs come.

A pickle is a program. This reader runs none of it: the machine that rebuilds objects knows
numpy's arrays and nothing else, and refuses the file at the first other name.
"""

from __future__ import annotations

import codecs
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from impasto.backbones.formats.named import oriented
from impasto.backbones.model import Weights
from impasto.errors import WeightsError

_MAGIC = b"\x93NUMPY"
_DTYPE = re.compile(r"[<>|=]?(f[248]|i[1248]|u[1248]|b1|O8?)")


def read(path: Path) -> Weights:
    """Canonical weights out of ``{"conv1_1": (weight HWIO, bias), "fc6": ...}``.

    Raises:
        WeightsError: The file is damaged, is not such a dict, or wants to run something.
    """
    try:
        with path.open("rb") as file:
            content = _load(file)
    except WeightsError as error:
        raise WeightsError(f"{path} is refused: {error.message}", hint=error.hint) from error
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from error
    except Exception as error:
        # A damaged pickle fails in any way it likes.
        raise WeightsError(f"{path} is damaged, or not a dict of arrays") from error
    if not isinstance(content, Mapping):
        raise WeightsError(f"{path} holds a {type(content).__name__}, not a dict of layers")
    return _weights(content, path)


def _load(file: BinaryIO) -> Any:
    """The object inside a .npy file, or a bare pickle of it."""
    start = file.read(len(_MAGIC))
    file.seek(0)
    if start == _MAGIC:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            header = np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
        if dtype != np.dtype(object) or shape != ():
            raise WeightsError(f"it holds an array of {dtype}, not a dict of layers")
    # Python 2 wrote these files; latin-1 keeps the bytes of its arrays.
    loaded = _ArraysOnly(file, encoding="latin1").load()
    return loaded.item() if isinstance(loaded, np.ndarray) and loaded.shape == () else loaded


def _array(kind: object, shape: object, typecode: object) -> Any:
    if kind is not np.ndarray or shape != (0,) or typecode not in (b"b", "b"):
        raise WeightsError("it rebuilds something that is not an array")
    return np.ndarray((0,), dtype=np.int8)


def _dtype(code: object, *_: object) -> np.dtype[Any]:
    if not isinstance(code, str) or not _DTYPE.fullmatch(code):
        raise WeightsError(f"it holds arrays of {code!r:.40}, not of numbers")
    return np.dtype(code)


def _buffer(content: object, dtype: object, shape: object, order: object) -> Any:
    if not isinstance(content, bytes | bytearray) or not isinstance(dtype, np.dtype):
        raise WeightsError("it rebuilds something that is not an array")
    return np.frombuffer(content, dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def _encode(text: object, encoding: object = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise WeightsError("it encodes something that is not text")
    return codecs.encode(text, "latin1")


def _allowed() -> dict[tuple[str, str], Callable[..., Any] | type]:
    cores = ("numpy.core.multiarray", "numpy._core.multiarray")
    names: dict[tuple[str, str], Callable[..., Any] | type] = {
        (core, "_reconstruct"): _array for core in cores
    }
    names |= {(c.replace("multiarray", "numeric"), "_frombuffer"): _buffer for c in cores}
    names[("numpy", "ndarray")] = np.ndarray
    names[("numpy", "dtype")] = _dtype
    names[("_codecs", "encode")] = _encode
    return names


class _ArraysOnly(pickle.Unpickler):
    """Rebuilds containers, text, numbers and arrays of numbers."""

    _names = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        """What a name in the pickle stands for; anything but arrays ends the reading."""
        try:
            return self._names[(module, name)]
        except KeyError:
            raise WeightsError(
                f"it wants {module}.{name}, which is no array",
                hint="such a file could run programs; get the weights elsewhere",
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        """References to things outside the file are refused."""
        raise WeightsError(f"it refers to {pid!r:.40} outside the file")


def _weights(content: Mapping[Any, Any], path: Path) -> Weights:
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for key, value in content.items():
        name = key.decode("latin1") if isinstance(key, bytes) else str(key)
        if isinstance(value, Mapping):
            value = [value[k] for k in ("weights", "biases") if k in value]
        parts = list(value) if isinstance(value, list | tuple | np.ndarray) else []
        arrays = [a for a in parts if isinstance(a, np.ndarray) and a.dtype.kind in "fiu"]
        if len(parts) != 2 or len(arrays) != 2:
            raise WeightsError(f"{path}: layer {name[:60]!r} is not a weight and a bias")
        weight, bias = (torch.from_numpy(np.array(a, dtype=np.float32)) for a in arrays)
        found[name] = (weight, bias)
    return oriented(found)
