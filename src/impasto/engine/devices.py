"""Which device a job runs on, and what its network computes in."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F

from impasto.backbones import Backbone
from impasto.errors import UsageError

#: What a network can compute in, by name.
PRECISIONS = {n: getattr(torch, n) for n in ("float32", "bfloat16", "float16")}


def pick_device(name: str) -> torch.device:
    """``auto`` is CUDA, then MPS, then the CPU; other names must exist on this machine.

    Raises:
        UsageError: The device is unknown or not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, index = name.partition(":")
    count = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in count or (index and not index.isdigit()):
        raise UsageError(f"device {name!r} is not known", hint="use auto, cpu, cuda, cuda:N or mps")
    if int(index or 0) >= count[kind]:
        there = [k for k, n in count.items() if n]
        raise UsageError(
            f"device {name!r} is not there", hint=f"this machine has {', '.join(there)}"
        )
    return torch.device(name)


def placed(backbone: Backbone, device: torch.device, precision: str = "float32") -> Backbone:
    """``backbone`` on ``device``; a copy where it shall compute in fewer bits than float32.

    Raises:
        UsageError: The device cannot compute so, or the precision is not known.
    """
    dtype = check_precision(precision, device)
    if dtype == torch.float32:
        return backbone.to(device)
    return copy.deepcopy(backbone).to(device, dtype)


def check_precision(name: str, device: torch.device) -> torch.dtype:
    """The dtype called ``name``, with which ``device`` can convolve forward and backward.

    Raises:
        UsageError: It cannot, or there is no such precision.
    """
    if name not in PRECISIONS:
        raise UsageError(f"precision {name!r} is not known", hint=f"use {', '.join(PRECISIONS)}")
    dtype: torch.dtype = PRECISIONS[name]
    if device.type == "cpu" and dtype == torch.float16:
        raise UsageError("precision float16 is not for CPUs", hint="use bfloat16 or float32")
    if dtype != torch.float32 and device.type != "cpu" and not _convolves(device, dtype):
        raise UsageError(f"{device} does not compute in {name}", hint="use --precision float32")
    return dtype


def _convolves(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a small convolution and its gradient can be had."""
    try:
        with torch.enable_grad():
            x = torch.ones(1, 1, 4, 4, device=device, dtype=dtype, requires_grad=True)
            out = F.conv2d(x, x.new_ones(1, 1, 3, 3), padding=1)
            torch.autograd.grad(out.float().sum(), x)
    except (RuntimeError, TypeError):
        return False
    return True
