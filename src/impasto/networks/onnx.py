"""Trained networks as ONNX files, for other programs and for browsers."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from impasto.errors import ImpastoError, UsageError
from impasto.images import check_writable
from impasto.networks.files import Model
from impasto.networks.graphs import Graph, graph_of

#: Of the operators; what onnxruntime and onnxruntime-web have known for long.
OPSET = 18
#: Largest difference to torch that is accepted, in values from 0 to 1.
TOLERANCE = 1e-4


def export(model: Model, path: Path, *, force: bool = False) -> float:
    """Write a network as one ONNX file, and compare it with the network.

    Inputs by kind, pictures (1, 3, H, W) in [0, 1] with H and W from 2 to 8192:

    - fast, johnson, mgan: ``image`` and ``shares`` (1, S), the weight of each style; ``painted``
      is what :func:`impasto.networks.fast.paint` makes, with its margin;
    - ulyanov: ``noise`` besides, like ``image``, even in [0, 1];
    - texture: ``noise_0`` (1, 3, H, W), ``noise_1`` of half the size and so on, sides multiples of
      what the coarsest needs, at least twice; to ``texture``;
    - enhance: ``image`` to ``enlarged``;
    - decoder without corrections: ``features`` to ``picture``, not clamped.

    Args:
        model: Of one of these kinds.
        path: Ends in .onnx; appears whole or not at all.
        force: Overwrite.

    Returns:
        The largest difference that was found.

    Raises:
        UsageError: The model is not one pass, the name makes no sense, the file exists, or
            the extra ``onnx`` is not installed.
        ImpastoError: The file gives another picture than the network.
    """
    check(path, model.network, model.kind, force=force)
    import onnxruntime

    graph = graph_of(model.network, model.kind)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "model.onnx"
        _write(graph, made)
        onnxruntime.set_default_logger_severity(3)
        session = onnxruntime.InferenceSession(str(made), providers=["CPUExecutionProvider"])
        worst = max(_difference(session, graph, *size) for size in graph.sizes)
        if not worst <= TOLERANCE:
            raise ImpastoError(f"the ONNX file differs from the network by {worst:.2g}")
        made.replace(path)
    return worst


def check(path: Path, network: nn.Module, kind: str, *, force: bool = False) -> None:
    """Everything about an export that can be known before.

    Raises:
        UsageError: See :func:`export`.
    """
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"{path} is no name for an ONNX file", hint="it must end in .onnx")
    check_writable(str(path), force=force, format="PNG")
    graph_of(network, kind)
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UsageError(
            "writing ONNX needs further packages", hint="pip install 'impasto[onnx]'"
        ) from None


def _write(graph: Graph, path: Path) -> None:
    """By torch's exporter, which talks a lot."""
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                graph.module,
                graph.sample(*graph.sizes[0]),
                dynamo=True,
                input_names=list(graph.inputs),
                output_names=[graph.output],
                dynamic_shapes=graph.dynamic,
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    assert program is not None
    path.write_bytes(_plain(program.model_proto))


def _plain(model: Any) -> bytes:
    """An ONNX model without what the exporter noted on the way: code, and paths of this machine."""
    graph = model.graph
    for parts in (graph.node, graph.input, graph.output, graph.value_info, graph.initializer):
        for part in parts:
            del part.metadata_props[:]
            part.doc_string = ""
    del graph.metadata_props[:]
    made: bytes = model.SerializeToString()
    return made


def _difference(session: Any, graph: Graph, height: int, width: int) -> float:
    """Largest difference on random inputs."""
    given = graph.sample(height, width)
    with torch.no_grad():
        want = graph.module(*given).numpy()
    named = {n: x.numpy() for n, x in zip(graph.inputs, given, strict=True)}
    return float(np.abs(session.run(None, named)[0] - want).max())
