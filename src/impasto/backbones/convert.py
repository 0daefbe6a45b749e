"""Files that users bring, made into ours: ``arch.tag.safetensors`` that says what it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from impasto.backbones import weights
from impasto.backbones.base import Preprocessing
from impasto.backbones.formats import keras, mat, npy, pth, safe
from impasto.backbones.layouts import from_named, from_ours, from_state, to_ours
from impasto.backbones.model import (
    ARCHITECTURES,
    ENTRIES,
    PREPROCESSING,
    Architecture,
    Entry,
    Weights,
)
from impasto.errors import UsageError, WeightsError

_TAG = re.compile(r"[a-z0-9][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Brought:
    """What a file holds.

    Attributes:
        arch: Recognised from names and shapes.
        weights: Canonical.
        preprocessing: What they expect of a picture, as far as the format tells.
        tag: For the name, unless the user gives one.
        licence: Where it is known.
        origin: Likewise.
    """

    arch: Architecture
    weights: Weights
    preprocessing: Preprocessing
    tag: str
    licence: str = "unknown"
    origin: str = "converted"


@dataclass(frozen=True)
class Converted:
    """What :func:`convert` wrote.

    Attributes:
        name: ``arch.tag``.
        path: Of the file.
        layers: Number of layers that have weights.
        preprocessing: What they expect of a picture.
        assumed: Whether that is a guess from the architecture alone.
        has_classifier: Whether the fully connected layers were there.
    """

    name: str
    path: Path
    layers: int
    preprocessing: Preprocessing
    assumed: bool
    has_classifier: bool


def convert(
    path: Path,
    *,
    name: str = "",
    preprocessing: str = "",
    licence: str = "",
    output: Path | None = None,
    force: bool = False,
) -> Converted:
    """Read a file of any known format and write it as safetensors.

    Args:
        path: .npy, .mat, .h5, .pth, .pt or .safetensors.
        name: ``arch.tag`` or a tag; by default the tag of the format.
        preprocessing: A name in ``PREPROCESSING``; by default that of the format.
        licence: Of the weights, where it is not known.
        output: Where to; by default impasto's folder, where the weights can be used by name.
        force: Replace weights of the same name from another file.

    Raises:
        UsageError: The name or format makes no sense, or the name is taken.
        WeightsError: The file is damaged, dangerous, or no network of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"there is no file {path}")
    digest = weights.sha256_of(path)
    found = brought(path, digest)
    arch, tag = found.arch, _name(found, name)
    target = output or weights.weights_dir() / f"{arch.name}.{tag}.safetensors"
    if not force:
        _check_free(target, digest)
    seen = PREPROCESSING.get(preprocessing) if preprocessing else found.preprocessing
    metadata = {
        "format": "impasto-1",
        "arch": arch.name,
        "tag": tag,
        "preprocessing": str(seen),
        "licence": licence or found.licence,
        "origin": found.origin,
        "source": path.name,
        "source_sha256": digest,
    }
    safe.write(target, to_ours(found.weights), metadata)
    weights.record(target, weights.sha256_of(target))
    heads = {layer.name for layer in arch.layers if layer.head}
    return Converted(
        f"{arch.name}.{tag}",
        target,
        len(found.weights),
        seen,
        not preprocessing and found.tag == "converted",
        heads <= set(found.weights),
    )


def brought(path: Path, digest: str = "") -> Brought:
    """Read a file without writing anything.

    Args:
        path: Of the file.
        digest: Its sha256, by which published files are recognised.

    Raises:
        UsageError: The format is not known.
        WeightsError: The file is damaged, dangerous, or no network of ours.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{path.name}: no weights format ends in {path.suffix or 'nothing'}",
            hint=f"known: {', '.join(READERS)}",
        )
    found = reader(path)
    entry = _published(found, digest)
    if entry is None:
        return found
    tag = entry.name.partition(".")[2]
    return Brought(found.arch, found.weights, entry.preprocessing, tag, entry.licence, entry.origin)


def _published(found: Brought, digest: str) -> Entry | None:
    """The registered entry whose file this is, told by its sha256."""
    if not digest:
        return None
    same = (e for _, e in ENTRIES if e.sha256 and e.arch == found.arch.name)
    return next((e for e in same if digest.startswith(e.sha256)), None)


def _from_npy(path: Path) -> Brought:
    return _named(npy.read(path), PREPROCESSING.get("caffe"), "tensorflow")


def _from_mat(path: Path) -> Brought:
    found, preprocessing = mat.read(path)
    return _named(found, preprocessing, "matconvnet")


def _from_keras(path: Path) -> Brought:
    return _named(keras.read(path), PREPROCESSING.get("caffe"), "keras")


def _named(layers: Weights, preprocessing: Preprocessing, tag: str) -> Brought:
    arch, found = from_named(layers)
    name = f"{arch.name}.{tag}"
    if name not in ENTRIES:
        return Brought(arch, found, preprocessing, tag)
    entry = ENTRIES.get(name)
    return Brought(arch, found, preprocessing, tag, entry.licence, entry.origin)


def _from_torch(path: Path) -> Brought:
    arch, found = from_state(pth.read(path))
    return Brought(arch, found, _usual(arch), "converted")


def _from_safetensors(path: Path) -> Brought:
    tensors, about = safe.read(path)
    if "arch" not in about:
        arch, found = from_state(pth.state_of(tensors, path))
        return Brought(arch, found, _usual(arch), "converted")
    arch = ARCHITECTURES.get(about["arch"])
    found = from_ours(arch, tensors)
    return Brought(
        arch,
        found,
        Preprocessing.parse(about.get("preprocessing", "")),
        about.get("tag", "converted"),
        about.get("licence", "unknown"),
        about.get("origin", "converted"),
    )


def _usual(arch: Architecture) -> Preprocessing:
    """What the published weights of an architecture expect."""
    return ENTRIES.get(f"{arch.name}.{arch.tag}").preprocessing


READERS: dict[str, Callable[[Path], Brought]] = {
    ".npy": _from_npy,
    ".mat": _from_mat,
    ".h5": _from_keras,
    ".hdf5": _from_keras,
    ".pth": _from_torch,
    ".pt": _from_torch,
    ".safetensors": _from_safetensors,
}


def _name(found: Brought, name: str) -> str:
    """The tag that ``name`` asks for, or else that of the format."""
    arch, dot, tag = name.rpartition(".")
    tag = tag or found.tag
    if not _TAG.fullmatch(tag):
        raise UsageError(f"tag {tag!r} is not usable", hint="small letters, digits and _")
    if dot and arch != found.arch.name:
        raise UsageError(f"the file holds a {found.arch.name}, not a {arch}")
    return tag


def _check_free(target: Path, digest: str) -> None:
    if target.exists() and safe.read_metadata(target).get("source_sha256") != digest:
        raise UsageError(
            f"{target} exists and was made from another file",
            hint="give another --name, or --force",
        )
