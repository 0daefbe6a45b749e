"""``impasto samples``: pictures to try things with."""

from __future__ import annotations

import re
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.listings import answer
from impasto.cli.session import Session
from impasto.errors import UnknownName, UsageError


def samples(
    session: Session,
    name: str | None = None,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    size: str = "640x512",
    seed: int = 0,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """List the sample pictures, or write one.

    Args:
        session: Where to talk.
        name: Which one to write; without it they are listed.
        output: The file to write.
        size: Width x height, each from 64 to 2048 px.
        seed: Another seed gives another picture of the same subject.
        force: Overwrite what exists.
    """
    from impasto import images
    from impasto import samples as room

    every = dict.fromkeys(room.names(), "painting") | dict.fromkeys(room.photo_names(), "photo")
    if name is None:
        answer(session, "samples", [{"name": n, "summary": kind} for n, kind in every.items()])
        return
    if name not in every:
        raise UnknownName("sample", name, every)
    if output is None:
        raise UsageError("samples needs --output", hint=f"impasto samples {name} -o {name}.png")
    if session.json and output == "-":
        raise UsageError("--json and -o - both write to standard output", hint="name a file")
    height, width = pair(size)
    images.check_writable(output, force=force)
    draw = room.painting if every[name] == "painting" else room.photo
    images.save(draw(name, (height, width), seed), output, force=force)
    if output != "-":
        session.answer(output, {"output": output, "width": width, "height": height})


def pair(size: str) -> tuple[int, int]:
    """``"640x512"`` as (height, width): (512, 640).

    Raises:
        UsageError: It is not a size.
    """
    match = re.fullmatch(r"(\d{1,6})[xX×](\d{1,6})", size)
    if not match:
        raise UsageError(f"size must be WIDTHxHEIGHT, not {size}", hint="--size 640x512")
    return int(match[2]), int(match[1])
