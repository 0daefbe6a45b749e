"""A folder of photos as an endless, seeded stream of crops.

Which photo comes at which place, and how it is cropped, is a function of the seed and of the place
alone. So the state of the stream is a number, a resumed training sees what the uninterrupted one
would have seen, and several processes can share one stream without talking.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto import images
from impasto.errors import InputError

#: What counts as a photo in a folder.
ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".avif")
#: Bytes of decoded photos that are kept.
CACHE_BYTES = 1_000_000_000
#: How many skipped files are named; all are counted.
NAMED = 5


@dataclass(frozen=True)
class Crops:
    """How a crop is drawn from a photo.

    Attributes:
        size: Edge of the crop, in px.
        zoom: How many times larger the part of the photo may be that becomes the crop: drawn
            evenly (by logarithm) from these two, and never beyond the photo.
        flip: Mirror half of them.
    """

    size: int = 128
    zoom: tuple[float, float] = (1.0, 2.0)
    flip: bool = True


@dataclass
class Photos:
    """Photos of one or several folders, decoded once, reduced and kept as bytes.

    Attributes:
        paths: Those that could be read so far.
        short: Short side to which larger ones are reduced, in px.
        least: Short side below which a photo is skipped, in px.
        skipped: Files that could not be used, and why.
    """

    paths: list[Path]
    short: int
    least: int = 1
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Decode as many as are kept."""
        self._cache: OrderedDict[Path, Tensor] = OrderedDict()
        self._bytes = 0
        for path in list(self.paths):
            if self._bytes >= CACHE_BYTES:
                break
            if self._read(path) is None:
                self.paths.remove(path)

    def __len__(self) -> int:
        """Photos that can be used."""
        return len(self.paths)

    def get(self, index: int) -> Tensor:
        """Photo ``index``, modulo their number, (3, H, W) uint8; the next one where it is damaged.

        Raises:
            InputError: None can be read.
        """
        while self.paths:
            path = self.paths[index % len(self.paths)]
            found = self._read(path)
            if found is not None:
                return found
            index += 1
            if all(str(p) in self.skipped for p in self.paths):
                break
        raise InputError("none of the photos can be read")

    def notes(self) -> tuple[str, ...]:
        """How many there are, and which were skipped."""
        said = [f"{len(self.paths)} photos"]
        if self.skipped:
            names = [Path(n).name for n in self.skipped][:NAMED]
            more = f" and {len(self.skipped) - NAMED} more" if len(self.skipped) > NAMED else ""
            count = "1 file was" if len(names) == 1 else f"{len(self.skipped)} files were"
            said.append(f"{count} skipped: {', '.join(names)}{more}")
        return tuple(said)

    def split(self, held: int) -> tuple[Photos, Photos]:
        """For training, and ``held`` others, evenly from the whole; at most half of all."""
        held = min(held, len(self.paths) // 2)
        chosen = {len(self.paths) * (2 * i + 1) // (2 * held) for i in range(held)}
        train = [p for i, p in enumerate(self.paths) if i not in chosen]
        return self._part(train), self._part([self.paths[i] for i in sorted(chosen)])

    def _part(self, paths: list[Path]) -> Photos:
        part = Photos([], self.short, self.least, self.skipped)
        part.paths = paths
        part._cache = OrderedDict((p, self._cache[p]) for p in paths if p in self._cache)
        part._bytes = sum(t.numel() for t in part._cache.values())
        return part

    def _read(self, path: Path) -> Tensor | None:
        """The photo, from memory if it is there; None, and noted, where it cannot be used."""
        if path in self._cache:
            self._cache.move_to_end(path)
            return self._cache[path]
        if str(path) in self.skipped:
            return None
        try:
            photo = decoded(path, self.short)
            if min(photo.shape[-2:]) < self.least:
                raise InputError(f"smaller than {self.least} px")
        except InputError as error:
            self.skipped[str(path)] = error.message
            return None
        self._cache[path] = photo
        self._bytes += photo.numel()
        while self._bytes > CACHE_BYTES and len(self._cache) > 1:
            self._bytes -= self._cache.popitem(last=False)[1].numel()
        return photo


def decoded(path: Path, short: int) -> Tensor:
    """A photo (3, H, W) uint8, its short side at most ``short``.

    Raises:
        InputError: It cannot be read.
    """
    rgb = images.load(path).rgb
    photo = torch.from_numpy(np.array(rgb.transpose(2, 0, 1)))[None]
    least = min(photo.shape[-2:])
    if least > short:
        size = [round(n * short / least) for n in photo.shape[-2:]]
        photo = F.interpolate(photo, size=size, mode="bicubic", antialias=True)
    return (photo[0].clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def find(places: Sequence[str], short: int, least: int = 1) -> Photos:
    """The photos in folders (and below them), and files named one by one.

    Args:
        places: Folders or files.
        short: See :class:`Photos`.
        least: See :class:`Photos`.

    Raises:
        InputError: A folder is not there or has no photo that can be read.
    """
    paths: list[Path] = []
    for place in map(Path, places):
        if place.is_file():
            paths.append(place)
            continue
        if not place.is_dir():
            raise InputError(f"there is no folder {place}")
        found = sorted(p for p in place.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        if not found:
            raise InputError(
                f"no photos in {place}",
                hint=f"files that end in {', '.join(ENDINGS)} are looked for",
            )
        paths += found
    photos = Photos(list(dict.fromkeys(paths)), short, least)
    if not photos.paths:
        first, why = next(iter(photos.skipped.items()), ("", "there are none"))
        raise InputError(
            f"none of the {len(photos.skipped)} photos can be used; {Path(first).name}: {why}"
        )
    return photos


@dataclass(frozen=True)
class Stream:
    """The endless order of crops; see the module.

    Attributes:
        photos: Where they come from.
        crops: How they are cut.
        seed: Of order and crops.
    """

    photos: Photos
    crops: Crops
    seed: int

    def batch(self, start: int, count: int, *, rank: int = 0, world: int = 1) -> Tensor:
        """Crops at the places ``start`` and on, of them every ``world``-th from ``rank``.

        Returns:
            (count / world, 3, size, size) float32 in [0, 1].
        """
        return torch.stack([self.item(start + i) for i in range(rank, count, world)])

    def item(self, place: int) -> Tensor:
        """The crop at one place, (3, size, size): every photo once, then all anew, reshuffled."""
        epoch, index = divmod(place, len(self.photos))
        photo = self.photos.get(int(_order(len(self.photos), self.seed, epoch)[index]))
        draw = np.random.default_rng((self.seed, place, 1))
        return cut(photo, self.crops, draw)


def cut(photo: Tensor, crops: Crops, draw: np.random.Generator) -> Tensor:
    """A random crop of a photo (3, H, W) uint8, as (3, size, size) float32 in [0, 1]."""
    height, width = photo.shape[-2:]
    low, high = np.log(crops.zoom)
    edge = round(crops.size * float(np.exp(draw.uniform(low, high))))
    edge = min(edge, height, width)
    top, left = int(draw.integers(height - edge + 1)), int(draw.integers(width - edge + 1))
    part = photo[:, top : top + edge, left : left + edge].float() / 255
    if crops.flip and draw.random() < 0.5:
        part = part.flip(2)
    if edge != crops.size:
        size = (crops.size, crops.size)
        part = F.interpolate(part[None], size=size, mode="bicubic", antialias=True)[0].clamp(0, 1)
    return part.contiguous()


def centre(photo: Tensor, size: int, multiple: int = 16) -> Tensor:
    """The middle of a photo (3, H, W) uint8: (1, 3, size, size) or smaller, in [0, 1].

    Edges from ``multiple`` on are multiples of it, so that every stride of a network divides them.
    """
    height, width = photo.shape[-2:]
    whole = (min(size, height), min(size, width))
    tall, wide = (n if n < multiple else n // multiple * multiple for n in whole)
    top, left = (height - tall) // 2, (width - wide) // 2
    return photo[None, :, top : top + tall, left : left + wide].float() / 255


_ORDERS: dict[tuple[int, int, int], np.ndarray] = {}


def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of ``count``, the last one kept."""
    key = (count, seed, epoch)
    if key not in _ORDERS:
        _ORDERS.clear()
        _ORDERS[key] = np.random.default_rng((seed, epoch)).permutation(count)
    return _ORDERS[key]
