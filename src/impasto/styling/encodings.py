"""What is known of a painting, kept on disk: mean and covariance of its features."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import torch
from torch import Tensor

from impasto.backbones.formats import safe
from impasto.errors import ImpastoError
from impasto.universal import Gaussian

_log = logging.getLogger(__name__)
#: How many are kept; the oldest go.
MOST = 400


def folder() -> Path:
    """``$IMPASTO_HOME/styles``, or else in the user's cache folder; it need not exist."""
    if home := os.environ.get("IMPASTO_HOME"):
        return Path(home) / "styles"
    return Path(platformdirs.user_cache_dir("impasto", appauthor=False)) / "styles"


def remembered(
    view: Tensor, where: Tensor | None, about: str, measure: Callable[[], Gaussian]
) -> Gaussian:
    """The Gaussian of a view of a painting, from the disk if it was measured before.

    Args:
        view: (1, 3, H, W): its content is the key, not its name.
        where: What of it counts, or None.
        about: What else it depends on: network, layer.
        measure: Called where it is not known. A folder that cannot be written is no error.
    """
    path = folder() / f"{_key(view, where, about)}.safetensors"
    try:
        if path.is_file():
            found, _ = safe.read(path)
            return Gaussian(found["mean"], found["cov"], float(found["count"]))
    except (ImpastoError, KeyError, OSError):
        _log.info("%s cannot be read; measured again", path)
    made = measure()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = torch.tensor(made.count, dtype=torch.float64)
        safe.write(path, {"mean": made.mean, "cov": made.cov, "count": count}, {"about": about})
        _forget(path.parent)
    except (ImpastoError, OSError) as error:
        _log.info("the encoding is not kept: %s", error)
    return made


def _key(view: Tensor, where: Tensor | None, about: str) -> str:
    digest = hashlib.sha256(f"1 {about} {tuple(view.shape)}".encode())
    for tensor in (view, where):
        if tensor is not None:
            array = np.ascontiguousarray(tensor.detach().cpu().numpy())
            digest.update(array.data)
    return digest.hexdigest()[:40]


def _forget(place: Path) -> None:
    files = sorted(place.glob("*.safetensors"), key=lambda p: p.stat().st_mtime)
    for path in files[:-MOST]:
        path.unlink(missing_ok=True)
