"""The process that decodes what clients bring: with little memory, little time and no torch.

One request at a time; whoever asked ends this process if an answer takes too long.
"""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import ImpastoError, InputError
from impasto.studio.child import Line, limit_memory
from impasto.studio.vault import write_whole

if TYPE_CHECKING:
    from impasto.images import Picture

#: Bytes of a safetensors header, and names in it.
MODEL_HEADER, MODEL_TENSORS = 10_000_000, 2000
_KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_PIECE = 1 << 22


def main() -> None:
    """Answer until the server is gone."""
    line = Line()
    limit_memory(line.about.get("memory", 0))
    while (request := line.hear()) is not None:
        try:
            line.say(ok=True, **_answer(request, line.about))
        except ImpastoError as error:
            line.say(ok=False, message=error.message, hint=error.hint)
        except MemoryError:
            line.say(ok=False, message="the picture needs too much memory to decode", hint="")


def _answer(request: dict[str, Any], about: dict[str, Any]) -> dict[str, Any]:
    kind = request.pop("do")
    if kind == "check":
        return check(Path(request["path"]), about["pixels"])
    if kind == "model":
        return check_model(Path(request["path"]))
    if kind == "view":
        return view(Path(request["path"]), Path(request["out"]), request["longest"], about)
    if kind == "convert":
        return convert(Path(request["path"]), Path(request["out"]), about["pixels"])
    return sample(request["name"], Path(request["out"]))


def check(path: Path, pixels: int) -> dict[str, Any]:
    """Decode a picture to its end: its size, its format, and the settings in it."""
    picture = _load(path, pixels)
    return {
        "width": picture.width,
        "height": picture.height,
        "format": picture.source.format,
        "notes": list(picture.source.notes),
        "settings": _settings(path),
    }


def view(path: Path, out: Path, longest: int, about: dict[str, Any]) -> dict[str, Any]:
    """A copy for the screen, without anything but pixels."""
    import io

    import numpy as np
    from PIL import Image

    picture = _load(path, about["pixels"])
    parts = [picture.rgb] + ([] if picture.alpha is None else [picture.alpha[:, :, None]])
    stack = np.concatenate(parts, axis=2)
    image = Image.fromarray(np.clip(stack * 255 + 0.5, 0, 255).astype(np.uint8))
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=88 if longest > 512 else 80, method=3)
    write_whole(out, stream.getvalue())
    return {}


def convert(path: Path, out: Path, pixels: int) -> dict[str, Any]:
    """The same picture in the format that the ending of ``out`` names, settings included."""
    from impasto import images

    images.save(_load(path, pixels), out, metadata=_settings(path), force=True)
    return {}


def sample(name: str, out: Path) -> dict[str, Any]:
    """Draw a sample picture."""
    from impasto import images, samples

    draw = samples.painting if name in samples.names() else samples.photo
    images.save(draw(name, (640, 800)), out, force=True)
    return {}


def check_model(path: Path) -> dict[str, Any]:
    """Whether a file is safetensors within the limits, and its numbers are finite.

    Raises:
        InputError: It is not.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            (length,) = struct.unpack("<Q", file.read(8))
        except struct.error:
            raise InputError("the file is no safetensors") from None
        if length > MODEL_HEADER or length + 8 > size:
            raise InputError(f"the header of the model says {length} bytes")
        tensors = _tensors(file.read(length))
        for name, (kind, begin, end) in tensors.items():
            if not 0 <= begin <= end <= size - 8 - length:
                raise InputError(f"{name} lies outside of the file")
            if kind in _KINDS:
                file.seek(8 + length + begin)
                _check_finite(name, file, _KINDS[kind], end - begin)
    return {"width": None, "height": None, "format": "safetensors", "notes": [], "settings": None}


def _tensors(header: bytes) -> dict[str, tuple[str, int, int]]:
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        found = {
            str(name)[:100]: (str(e["dtype"]), int(e["data_offsets"][0]), int(e["data_offsets"][1]))
            for name, e in entries.items()
        }
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise InputError("the header of the model is damaged") from None
    if len(found) > MODEL_TENSORS:
        raise InputError(f"the model has {len(found)} tensors; at most {MODEL_TENSORS} are read")
    return found


def _check_finite(name: str, file: Any, kind: str, length: int) -> None:
    import numpy as np

    while length > 0:
        data = file.read(min(_PIECE, length))
        if not data:
            raise InputError("the model is cut off")
        length -= len(data)
        whole = data[: len(data) - len(data) % np.dtype(kind).itemsize]
        values = np.frombuffer(whole, kind)
        if kind == "<u2":  # the upper half of a float32
            values = (values.astype(np.uint32) << 16).view(np.float32)
        if not math.isfinite(float(np.abs(values).max(initial=0))):
            raise InputError(f"the model has numbers in {name} that are not finite")


def _load(path: Path, pixels: int) -> Picture:
    from dataclasses import replace

    from impasto import images

    try:
        picture = images.load(path, images.Limits(max_pixels=pixels))
    except ImpastoError as error:  # the name on the disk tells nobody anything
        message = error.message.replace(str(path), "the file")
        raise InputError(message, hint=error.hint) from None
    return replace(picture, source=replace(picture.source, name="the picture"))


def _settings(path: Path) -> dict[str, Any] | None:
    from impasto import images

    try:
        return images.read_metadata(path)
    except ImpastoError:
        return None


if __name__ == "__main__":
    main()
