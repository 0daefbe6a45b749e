"""Where results go: the names beside an output, and what can be refused before any work."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from impasto.errors import InputError, UsageError
from impasto.specs import OutputSpec, Spec

#: Longest file name that common file systems take, in bytes, less what ``.part`` needs.
NAME_BYTES = 255 - len(".part")
#: The output that is not a file.
STDOUT = "-"
#: Extensions of web pages.
PAGES = (".html", ".htm")


def checkpoint_path(output: str) -> Path:
    """Where the checkpoint of an output file goes: beside it, ``NAME.EXT.checkpoint``."""
    return beside(Path(output), "", ".checkpoint")


def beside(path: Path, inner: str, ending: str) -> Path:
    """``path`` with ``inner`` and ``ending`` in place of its extension (added where none is).

    With an empty ``inner`` the extension stays. A name that would be too long for a file system
    begins with a digest instead.
    """
    name = f"{path.name}{ending}" if not inner else f"{path.stem}{inner}{ending}"
    if len(os.fsencode(name)) > NAME_BYTES:
        digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
        name = f"impasto-{digest}{inner}{ending}"
    return path.with_name(name)


def other_path(output: str, inner: str) -> Path:
    """Where a further picture goes: ``NAME-invert.EXT`` beside ``NAME.EXT``."""
    return beside(Path(output), inner, Path(output).suffix)


def numbered_ending(output: str) -> str:
    """The extension of numbered pictures: that of the output, or .png where it is a model."""
    ending = Path(output).suffix
    return ".png" if ending.lower() == ".safetensors" else ending


def is_gif(output: OutputSpec) -> bool:
    """Whether the output is the file of an animation."""
    return output.output is not None and Path(output.output).suffix.lower() == ".gif"


def is_page(path: str) -> bool:
    """Whether the name is that of a web page."""
    return Path(path).suffix.lower() in PAGES


def check_output(output: OutputSpec, inputs: Iterable[Any], spec: Spec) -> None:
    """Everything about the output that can be known before anything heavy is loaded.

    Some of ``inputs`` are names of files; the output must not be one of these.
    """
    path, inputs = output.output, list(inputs)
    if output.resume and path in (None, STDOUT):
        raise UsageError(
            "there is no checkpoint to resume without an output file", hint="name one with -o"
        )
    for record in (output.log, output.plot):
        if (
            record is not None
            and path is not None
            and Path(record).resolve() == Path(path).resolve()
        ):
            raise UsageError(f"{record} is the output already", hint="choose another name")
        if record is not None:
            check_target(record, inputs, output, "PNG")
    if path is None:
        return
    animated = spec.moves and is_gif(output)
    if animated and output.save_every:
        raise UsageError("save-every writes no .gif", hint="name a .png with -o, or leave it out")
    other = spec.product != "picture" or animated or (spec.pages() and is_page(path))
    check_target(path, inputs, output, "PNG" if other else None)
    _check_numbered(output)
    if path == STDOUT:
        return
    for inner in () if animated else spec.others():
        check_target(str(other_path(path, inner)), inputs, output)
    if output.resume and not checkpoint_path(path).exists():
        raise InputError(
            f"no checkpoint {checkpoint_path(path)}",
            hint="start without --resume; a stopped run leaves one",
        )


def check_target(
    path: str, others: Iterable[Any], output: OutputSpec, format: str | None = None
) -> None:
    """Whether ``path`` can be written and is none of ``others``, some of which name files."""
    from impasto import images

    images.check_writable(path, force=output.force or output.resume, format=format)
    if path == STDOUT:
        return
    for name in others if _is_file(path) else ():
        if isinstance(name, str | Path) and _is_file(name) and Path(name).samefile(path):
            raise UsageError(
                f"{path} is an input; writing there would destroy it", hint="choose another name"
            )


def _check_numbered(output: OutputSpec) -> None:
    """Refuse to write over the numbered pictures of an earlier run."""
    if not output.save_every or output.force or output.resume or output.output in (None, STDOUT):
        return
    target = Path(str(output.output))
    ending = re.escape(numbered_ending(str(output.output)))
    numbers = re.compile(re.escape(target.stem) + r"-\d+-\d{5}" + ending)
    old = next((p for p in target.parent.glob("*-*") if numbers.fullmatch(p.name)), None)
    if old is not None:
        raise UsageError(
            f"{old} exists already, from an earlier --save-every", hint="--force overwrites"
        )


def _is_file(name: str | Path) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
