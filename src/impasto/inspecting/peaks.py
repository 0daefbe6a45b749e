"""Where each unit of a layer is strongest in a photo; kept on disk, so that it is computed once.

One small file per photo and layer: ``FOLDER/NETWORK/LAYER/SHA256.npy``. ``NETWORK`` is a digest of
everything that the numbers depend on besides the photo: the weights, the preprocessing, the kind
of pooling, the size at which photos are seen. ``SHA256`` is that of the photo's file, so a photo
that was renamed or copied is known and one that was changed is new. A file is complete or not
there, whenever the program is killed; one that cannot be read is computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
import platformdirs
import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.backbones.operations import Pool

_log = logging.getLogger(__name__)

#: Changes when the numbers in the files get another meaning.
VERSION = 1
#: Bytes that the folder may hold; the files that were not used for longest go first.
MOST = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Peaks:
    """A layer's answer to a photo.

    Attributes:
        table: (4, C) float32: greatest activation, its row, its column, mean activation.
    """

    table: npt.NDArray[np.float32]

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """The greatest activation of each unit, (C,)."""
        found: npt.NDArray[np.float32] = self.table[0]
        return found

    def place(self, channel: int) -> tuple[int, int]:
        """Row and column of a unit's greatest activation."""
        return int(self.table[1, channel]), int(self.table[2, channel])


def peaks_of(features: Tensor) -> Peaks:
    """Of the maps (C, H, W) of one photo; the first of equal values counts."""
    channels, _, width = features.shape
    flat = features.reshape(channels, -1)
    values, places = flat.max(dim=1)
    mean = flat.mean(dim=1, dtype=torch.float64).float()
    rows = torch.stack([values.float(), (places // width).float(), (places % width).float(), mean])
    return Peaks(rows.cpu().numpy())


@torch.no_grad()
def measure(backbone: Backbone, image: Tensor, layers: Iterable[str]) -> dict[str, Peaks]:
    """Peaks of several layers in one pass, one layer in memory at a time.

    Args:
        backbone: The network.
        image: (1, 3, H, W) in [0, 1].
        layers: Canonical names.
    """
    wanted, found = set(layers), {}
    for name, activation in backbone.walk(backbone.preprocessing(image), frozenset()):
        if name in wanted:
            found[name] = peaks_of(activation[0])
            if len(found) == len(wanted):
                break
    return found


def network_digest(backbone: Backbone, size: int) -> str:
    """What the peaks of a photo depend on besides the photo and the layer, in hex."""
    digest = hashlib.sha256()
    for name, weight in backbone.named_parameters():
        digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
        digest.update(weight.detach().contiguous().cpu().numpy().tobytes())
    pools = [(m.kind, m.window.padding) for m in backbone.modules() if isinstance(m, Pool)]
    about = [VERSION, type(backbone).__name__, str(backbone.preprocessing), pools, size]
    digest.update(json.dumps(about).encode())
    return digest.hexdigest()


def cache_dir() -> Path:
    """The folder for peaks: in ``$IMPASTO_HOME``, or else in the user's cache folder."""
    home = os.environ.get("IMPASTO_HOME")
    root = Path(home) if home else Path(platformdirs.user_cache_dir("impasto", appauthor=False))
    return root / "peaks"


class Store:
    """The files of one network at one size.

    Args:
        folder: Of all networks; made when it is first needed.
        network: See :func:`network_digest`.
    """

    def __init__(self, folder: Path, network: str) -> None:
        self.folder = folder
        self.network = network
        self._broken = False

    def path(self, layer: str, photo: str) -> Path:
        """Of the file for a layer and a photo's sha256."""
        return self.folder / self.network / quote(layer, safe="") / f"{photo}.npy"

    def get(self, layers: Mapping[str, int], photo: str) -> dict[str, Peaks] | None:
        """The peaks of a photo in all of ``layers`` (name to channels), or None."""
        found = {}
        for layer, channels in layers.items():
            path = self.path(layer, photo)
            try:
                table = np.load(path, allow_pickle=False)
                os.utime(path)
            except (OSError, ValueError, EOFError):
                return None
            if table.shape != (4, channels) or table.dtype != np.float32:
                return None
            if not np.isfinite(table).all():
                return None
            found[layer] = Peaks(table)
        return found

    def put(self, photo: str, peaks: Mapping[str, Peaks]) -> None:
        """Keep the peaks of a photo; a folder that cannot be written to is no error."""
        for layer, found in peaks.items():
            try:
                _write(self.path(layer, photo), found.table)
            except OSError as error:
                if not self._broken:
                    _log.warning("what photos excite is not kept: %s", error)
                self._broken = True
                return

    def prune(self, most: int = MOST) -> int:
        """Delete what was not used for longest until ``most`` bytes are left; how many files."""
        files = []
        for path in self.folder.glob("*/*/*.npy"):
            with contextlib.suppress(OSError):
                status = path.stat()
                files.append((status.st_mtime, status.st_size, path))
        total, gone = sum(size for _, size, _ in files), 0
        for _, size, path in sorted(files):
            if total <= most:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                total, gone = total - size, gone + 1
        return gone


def _write(path: Path, table: npt.NDArray[np.float32]) -> None:
    """All of a file or nothing of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with draft.open("xb") as stream:
            np.save(stream, table, allow_pickle=False)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
