"""Trained networks as ONNX files, for other programs and for browsers."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

from impasto.errors import ImpastoError, UsageError
from impasto.images import check_writable
from impasto.networks.fast import FOLD, FastNet
from impasto.networks.files import Model

#: Of the operators; what onnxruntime and onnxruntime-web have known for long.
OPSET = 18
#: Largest difference to torch that is accepted, in values from 0 to 1.
TOLERANCE = 1e-4
#: Sizes at which the file is compared with the network, height and width.
CHECKED = ((64, 80), (100, 36))


def export(model: Model, path: Path, *, force: bool = False) -> float:
    """Write a painting network as one ONNX file, and compare it with the network.

    Inputs: ``image`` (1, 3, H, W) in [0, 1], H and W any multiples of 4 from 8 on, and ``shares``
    (1, S), the weight of each style. Output: ``painted``, like ``image``.

    Args:
        model: Of the kind ``fast``.
        path: Ends in .onnx; appears whole or not at all.
        force: Overwrite.

    Returns:
        The largest difference that was found.

    Raises:
        UsageError: The model does not paint photos, the name makes no sense, the file exists, or
            the extra ``onnx`` is not installed.
        ImpastoError: The file gives another picture than the network.
    """
    check(path, model.network, model.kind, force=force)
    assert isinstance(model.network, FastNet)
    import onnxruntime

    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / "model.onnx"
        _write(model.network, made)
        onnxruntime.set_default_logger_severity(3)
        session = onnxruntime.InferenceSession(str(made), providers=["CPUExecutionProvider"])
        worst = max(_difference(session, model.network, *size) for size in CHECKED)
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
    if not isinstance(network, FastNet):
        raise UsageError(f"a model of the kind {kind} cannot be exported", hint="fast can")
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise UsageError(
            "writing ONNX needs further packages", hint="pip install 'impasto[onnx]'"
        ) from None


def _write(network: FastNet, path: Path) -> None:
    """By torch's exporter, which talks a lot."""
    height, width = (torch.export.Dim(n, min=2, max=8192) for n in ("h", "w"))
    inputs = (torch.rand(1, 3, 64, 80), torch.eye(network.styles)[:1])
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                network,
                inputs,
                dynamo=True,
                input_names=["image", "shares"],
                output_names=["painted"],
                dynamic_shapes={"image": {2: FOLD * height, 3: FOLD * width}, "shares": None},
                opset_version=OPSET,
                verbose=False,
            )
    finally:
        quiet.setLevel(level)
    assert program is not None
    program.save(path, external_data=False)


def _difference(session: object, network: FastNet, height: int, width: int) -> float:
    """Largest difference on a random picture and a random mixture of styles."""
    draw = torch.Generator().manual_seed(height)
    image = torch.rand(1, 3, height, width, generator=draw)
    shares = torch.rand(1, network.styles, generator=draw).softmax(1)
    with torch.inference_mode():
        want = network(image, shares).numpy()
    inputs = {"image": image.numpy(), "shares": shares.numpy()}
    have = session.run(None, inputs)[0]  # type: ignore[attr-defined]
    return float(np.abs(have - want).max())
