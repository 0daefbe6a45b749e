"""`impasto export`: a trained network for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from impasto.cli.session import Session


def export(
    session: Session,
    model: str,
    /,
    *,
    output: Annotated[str, Parameter(name=["--output", "-o"])],
    force: bool = False,
) -> None:
    """Write a trained network as one ONNX file of any height and width.

    Args:
        session: How to talk.
        model: A name that `impasto models` lists, or a .safetensors file.
        output: The .onnx file to write.
        force: Overwrite what exists.
    """
    from impasto.networks import load
    from impasto.networks.onnx import export as write
    from impasto.networks.shelf import locate

    worst = write(load(locate(model)), Path(output), force=force)
    session.note(f"agrees with the network to {worst:.1e}")
    session.answer(output, {"output": output, "difference": worst})
