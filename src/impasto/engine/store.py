"""Tensors too large to hold: memory that is a file, and is let go of after use.

A tensor from a :class:`Store` is an ordinary CPU tensor whose memory is an unnamed file. The
system keeps its pages as long as there is room for them; :meth:`Store.release` takes them out of
the process without losing what is in them. Work goes through such tensors a piece at a time
(:meth:`Store.pieces`), so that no more than a piece of each counts as memory of the process.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from impasto.errors import ResourceError

#: Values that are worked on at once: 16 MB in float32.
PIECE = 2**22
#: Size in bytes from which a tensor of a tiled run lives in a file.
LARGE = 2**25
#: The environment variable that says in which folder.
VARIABLE = "IMPASTO_SCRATCH"


def scratch_folder() -> Path:
    """Where the files go: ``IMPASTO_SCRATCH``, ``TMPDIR``, or else a folder that is on a disk.

    ``/tmp`` is memory on many systems, ``/var/tmp`` never is.
    """
    for name in (VARIABLE, "TMPDIR"):
        if os.environ.get(name):
            return Path(os.environ[name])
    lasting = Path("/var/tmp")
    return lasting if os.access(lasting, os.W_OK) else Path(tempfile.gettempdir())


class Pages:
    """Memory that is used again when the tensor in it is gone.

    Fresh pages must be found and cleared, and on a virtual machine often first be had from its
    host: 11 us each were measured there, more than the arithmetic on them.

    Args:
        make: A new piece of memory of so many bytes, all 0.
    """

    def __init__(self, make: Callable[[int], mmap.mmap]) -> None:
        self._make = make
        self._lent = 0
        self._free: list[mmap.mmap] = []

    def get(self, count: int) -> tuple[Tensor, bool]:
        """``count`` bytes, uint8, and whether all are 0."""
        found = next((i for i, each in enumerate(self._free) if len(each) == count), None)
        if found is None:
            # What is left of smaller pictures is not wanted again.
            while self._free and sum(map(len, self._free)) > self._lent:
                self._free.pop(0)
        memory = self._fresh(count) if found is None else self._free.pop(found)
        array = np.frombuffer(memory, np.uint8)
        self._lent += count
        weakref.finalize(array, Pages._back, weakref.ref(self), memory).atexit = False
        return torch.from_numpy(array), found is None

    def _fresh(self, count: int) -> mmap.mmap:
        try:
            return self._make(count)
        except ResourceError:
            if not self._free:
                raise
            self._free.clear()
            return self._make(count)

    @staticmethod
    def _back(pages: weakref.ref[Pages], memory: mmap.mmap) -> None:
        if (mine := pages()) is not None:
            mine._lent -= len(memory)
            mine._free.append(memory)


def in_memory() -> Pages:
    """Pages that are not the C library's, for what stays while large blocks come and go."""
    return Pages(_anonymous)


def _anonymous(count: int) -> mmap.mmap:
    try:
        return mmap.mmap(-1, count)
    except OSError as error:
        raise ResourceError(f"no memory for {count / 1e6:.0f} MB") from error


class Store:
    """Makes tensors, in memory or, from a size on, in files.

    Args:
        least: Bytes from which a tensor on the CPU goes to a file; None keeps all in memory.
        folder: Where the files are; default :func:`scratch_folder`.
    """

    #: What is mapped now, by any store.
    _maps: ClassVar[weakref.WeakSet[mmap.mmap]] = weakref.WeakSet()

    def __init__(self, least: int | None = None, folder: Path | None = None) -> None:
        self.least = least
        self.folder = folder
        self._pages = Pages(self._file)

    def empty(
        self, shape: Sequence[int], like: Tensor, *, channels_last: bool = False, zero: bool = False
    ) -> Tensor:
        """A new tensor of the dtype and device of ``like``.

        Args:
            shape: (B, C, H, W) where ``channels_last``, else any.
            like: Gives dtype and device.
            channels_last: Order in memory; the shape stays.
            zero: Whether it must be filled with zeros.

        Raises:
            ResourceError: The disk has no room for it.
        """
        order = [shape[0], *shape[2:], shape[1]] if channels_last else list(shape)
        size = int(np.prod(order, dtype=np.int64)) * like.element_size()
        if self.least is None or like.device.type != "cpu" or size < max(1, self.least):
            flat = (torch.zeros if zero else torch.empty)(
                order, dtype=like.dtype, device=like.device
            )
        else:
            memory, empty = self._pages.get(size)
            if zero and not empty:
                for (piece,) in self.pieces(memory, step=PIECE * 4):
                    piece.zero_()
            flat = memory.view(like.dtype).view(order)
        return flat.movedim(-1, 1) if channels_last else flat

    def keep(self, tensor: Tensor) -> Tensor:
        """A detached copy of ``tensor``, contiguous."""
        return self.joined([tensor]).view(tensor.shape)

    def joined(self, tensors: Sequence[Tensor]) -> Tensor:
        """All values of ``tensors`` in one vector, sharing memory with none of them."""
        vector = self.empty((sum(t.numel() for t in tensors),), tensors[0])
        offset = 0
        for tensor in tensors:
            flat = tensor.detach().reshape(-1)
            for mine, theirs in self.pieces(vector[offset : offset + flat.numel()], flat):
                mine.copy_(theirs)
            offset += flat.numel()
        return vector

    def add(self, vector: Tensor, other: Tensor, factor: float) -> None:
        """``vector += factor * other``, in place."""
        for mine, theirs in self.pieces(vector, other):
            mine.add_(theirs, alpha=factor)

    def scale(self, vector: Tensor, factor: float) -> None:
        """``vector *= factor``, in place."""
        for (mine,) in self.pieces(vector):
            mine.mul_(factor)

    def pieces(self, *vectors: Tensor, step: int = PIECE) -> Iterator[tuple[Tensor, ...]]:
        """The same pieces of vectors of one length, one after the other; each is let go of.

        Args:
            vectors: At least one.
            step: Values of each in a piece, on the CPU; other devices take all at once.
        """
        length = vectors[0].numel()
        step = step if vectors[0].device.type == "cpu" else max(1, length)
        for start in range(0, length, step):
            yield tuple(v[start : start + step] for v in vectors)
            self.release()

    def dot(self, a: Tensor, b: Tensor) -> float:
        """Inner product of two vectors."""
        return sum(float(p @ q) for p, q in self.pieces(a, b))

    def release(self) -> None:
        """Let go of the pages of all stores' files; what was written stays written."""
        for mapped in tuple(self._maps):
            if hasattr(mapped, "madvise"):  # not on Windows
                mapped.madvise(mmap.MADV_DONTNEED)

    def _file(self, size: int) -> mmap.mmap:
        try:
            with tempfile.TemporaryFile(dir=self.folder or scratch_folder()) as file:
                _reserve(file.fileno(), size)
                mapped = mmap.mmap(file.fileno(), size)
        except OSError as error:
            raise ResourceError(
                f"no room for {size / 1e9:.1f} GB of scratch data: {error.strerror}",
                hint=f"set {VARIABLE} to a folder on a disk with more room",
            ) from error
        self._maps.add(mapped)
        return mapped


def _reserve(file: int, size: int) -> None:
    """Claim the room now: a full disk would otherwise end the process at some later write."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)


#: Keeps everything in memory.
IN_MEMORY = Store()
