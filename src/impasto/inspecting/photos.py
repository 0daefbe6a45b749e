"""A folder of photos, and which of them excite each unit most."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from impasto import images
from impasto.backbones import Backbone
from impasto.errors import InputError
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import to_tensor
from impasto.inspecting.peaks import Peaks, Store, measure

#: Files that are taken for photos.
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic")
#: Photos that are shown for each unit.
BEST = 9


@dataclass(frozen=True)
class Photo:
    """A file of the folder.

    Attributes:
        path: Where it is.
        name: Relative to the folder, for people.
        sha256: Of its bytes.
    """

    path: Path
    name: str
    sha256: str


@dataclass(frozen=True)
class Skipped:
    """A file that could not be used, and why."""

    name: str
    reason: str


def photo_files(folder: str | Path) -> list[Path]:
    """Every photo in ``folder`` and its subfolders, in the order of their names.

    Hidden files are left out, and folders that are links are not entered.

    Raises:
        InputError: There is no such folder, or no photo in it.
    """
    root = Path(folder)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise InputError(f"{_shown(str(root))} {what}", hint="--photos takes a folder of photos")
    found: list[Path] = []
    for parent, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        paths = (Path(parent) / name for name in files if not name.startswith("."))
        found += [p for p in paths if p.suffix.lower() in EXTENSIONS and p.is_file()]
    if not found:
        raise InputError(f"there are no photos in {_shown(str(root))}")
    return sorted(found)


@dataclass
class Ranking:
    """The best photos of each unit of a layer, as photos come in.

    Attributes:
        values: (C, BEST) activations, best first; -inf where there is none yet.
        photos: (C, BEST) indices of the photos; -1 where there is none.
        rows: (C, BEST) of the positions.
        columns: (C, BEST) of the positions.
        total: (C,) sum over photos of the mean activation.
        firing: (C,) number of photos in which the unit is above 0 anywhere.
        count: Number of photos.
    """

    values: npt.NDArray[np.float32]
    photos: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    total: npt.NDArray[np.float64]
    firing: npt.NDArray[np.int64]
    count: int = 0

    @staticmethod
    def empty(channels: int) -> Ranking:
        """Before the first photo."""
        shape = (channels, BEST)
        return Ranking(
            np.full(shape, -np.inf, np.float32),
            np.full(shape, -1),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int64),
            np.zeros(channels),
            np.zeros(channels, np.int64),
        )

    def add(self, photo: int, peaks: Peaks) -> None:
        """Take in the peaks of photo number ``photo``; of equal ones the earlier stays ahead."""
        values, rows, columns, mean = peaks.table
        every = np.concatenate([self.values, values[:, None]], axis=1)
        order = np.argsort(-every, axis=1, kind="stable")[:, :BEST]

        def merged(kept: npt.NDArray[np.int64], new: npt.ArrayLike) -> npt.NDArray[np.int64]:
            column = np.broadcast_to(np.asarray(new, np.int64), len(kept))[:, None]
            return np.take_along_axis(np.concatenate([kept, column], axis=1), order, axis=1)

        self.values = np.take_along_axis(every, order, axis=1)
        self.photos = merged(self.photos, photo)
        self.rows, self.columns = merged(self.rows, rows), merged(self.columns, columns)
        self.total = self.total + mean
        self.firing = self.firing + (values > 0)
        self.count += 1

    def best(self, channel: int) -> list[tuple[int, float, tuple[int, int]]]:
        """Photo, activation and place of a unit's best; an activation of exactly 0 is none."""
        found = zip(
            self.photos[channel].tolist(),
            self.values[channel].tolist(),
            self.rows[channel].tolist(),
            self.columns[channel].tolist(),
            strict=True,
        )
        return [(p, v, (r, c)) for p, v, r, c in found if p >= 0 and v != 0]

    def summary(self, channel: int) -> dict[str, float]:
        """Of a unit over all photos: greatest and mean activation, share of photos it fires in."""
        count = max(1, self.count)
        return {
            "maximum": float(self.values[channel, 0]) if self.count else 0.0,
            "mean": float(self.total[channel] / count),
            "firing": float(self.firing[channel] / count),
        }


@dataclass
class Survey:
    """All photos of a folder and what they excite, one after the other.

    Attributes:
        backbone: The network.
        layers: Canonical names, shallow to deep.
        size: Longest side at which photos are seen, px.
        store: Where peaks are kept.
        files: What there is.
        root: The folder, which names are relative to.
        read: Reads a photo.
        photos: Those that were taken in, in order.
        skipped: Those that could not be read.
        copies: Number of files with the same bytes as one before them.
        computed: Number of photos that the network had to look at.
        rankings: By layer.
    """

    backbone: Backbone
    layers: Sequence[str]
    size: int
    store: Store
    files: Sequence[Path]
    root: Path
    read: Callable[[str], images.Picture] = images.load
    photos: list[Photo] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    copies: int = 0
    computed: int = 0
    rankings: dict[str, Ranking] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rankings = {name: Ranking.empty(n) for name, n in self.channels.items()}

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.backbone.parameters()).device

    @property
    def channels(self) -> Mapping[str, int]:
        """Number of units of each layer."""
        return {name: self.backbone.table[name].channels for name in self.layers}

    def steps(self) -> Iterator[Path]:
        """Take in one file after the other."""
        known: set[str] = set()
        for path in self.files:
            self._take(path, known)
            yield path

    def _take(self, path: Path, known: set[str]) -> None:
        name = _shown(str(path.relative_to(self.root)))
        try:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if digest in known:
                self.copies += 1
                return
            known.add(digest)
            kept = self.store.get(self.channels, digest)
            digest, peaks = (digest, kept) if kept is not None else self._look(path)
        except InputError as error:
            self.skipped.append(Skipped(name, error.message.removeprefix(f"{path} ")))
            return
        except OSError as error:
            self.skipped.append(Skipped(name, error.strerror or "cannot be read"))
            return
        for layer, found in peaks.items():
            self.rankings[layer].add(len(self.photos), found)
        self.photos.append(Photo(path, name, digest))

    def _look(self, path: Path) -> tuple[str, dict[str, Peaks]]:
        picture = self.read(str(path))
        image = seen(picture, self.size, self.device)
        self._check_size(image)
        peaks = measure(self.backbone, image, self.layers)
        if not all(np.isfinite(found.table).all() for found in peaks.values()):
            raise InputError("gives activations that are not finite numbers")
        # The digest of what was decoded: the file may have changed since it was hashed.
        self.store.put(picture.source.sha256, peaks)
        self.computed += 1
        return picture.source.sha256, peaks

    def _check_size(self, image: Tensor) -> None:
        need = self.backbone.min_size(self.layers)
        height, width = image.shape[-2:]
        if min(height, width) < need:
            raise InputError(f"is too narrow: {width} x {height} px, {need} px are needed")


def seen(picture: images.Picture, size: int, device: torch.device) -> Tensor:
    """A picture as the network sees it, (1, 3, H, W), its longest side ``size`` px."""
    fitted = fit_size(picture.height, picture.width, size)
    return resize(to_tensor(picture, device), fitted).clamp(0, 1)


def _shown(name: str) -> str:
    """A name without control characters and halves of characters, for people and pages."""
    clean = name.encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in clean)
