"""Compile the kernels for this machine, once, and load them.

The result lies in the cache folder under a name that holds a hash of the source, the compiler and
the processor, so a new version, compiler or machine compiles anew (two seconds). Where there is no
compiler, or it fails, or what it made computes nonsense, there is no library, and torch's own
operators do the work.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import platformdirs

#: Environment variable: ``off`` uses torch's operators, ``vectors`` leaves out ``amx.c``.
SWITCH = "IMPASTO_NATIVE"
#: Compilers by preference, and ever simpler ways to call them.
COMPILERS = ("cc", "gcc", "clang")
FLAGS = (
    ("-O3", "-march=native", "-fopenmp"),
    ("-O3", "-march=native", "-fopenmp", "-DNO_TILES"),  # a compiler that cannot make amx.c
    ("-O3", "-mcpu=native", "-fopenmp"),
    ("-O3", "-march=native", "-Wno-unknown-pragmas"),
    ("-O3", "-mcpu=native", "-Wno-unknown-pragmas"),
)
#: Compiled as one text, in this order.
SOURCES = ("kernels.c", "amx.c")
#: Seconds that a compiler may take.
PATIENCE = 60

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Library:
    """Compiled kernels.

    Attributes:
        path: The file.
        lanes: Floats per vector.
        panel: Columns of filters that lie beside each other.
        splits: Whether the processor multiplies matrices of bfloat16, see ``amx.c``.
        code: The functions.
    """

    path: Path
    lanes: int
    panel: int
    splits: bool
    code: ctypes.CDLL


def library() -> Library | None:
    """The kernels, or None where they cannot be had or are switched off."""
    wanted = os.environ.get(SWITCH, "").lower()
    if wanted in ("0", "off", "no"):
        return None
    found = _library(folder())
    return replace(found, splits=False) if found and wanted == "vectors" else found


def folder() -> Path:
    """Where compiled kernels are kept."""
    if home := os.environ.get("IMPASTO_HOME"):
        return Path(home) / "native"
    return Path(platformdirs.user_cache_dir("impasto", appauthor=False)) / "native"


def describe() -> str:
    """The kernels in one line, for people."""
    found = library()
    if found is None:
        return "torch's (no compiler, or switched off)"
    how = f"{found.lanes} lanes" + (" and matrices of bfloat16" if found.splits else "")
    return f"own, {how} ({found.path})"


@functools.cache
def _library(place: Path) -> Library | None:
    compiler = next((path for name in COMPILERS if (path := shutil.which(name))), None)
    if compiler is None:
        return None
    source = b"".join(files("impasto.native").joinpath(name).read_bytes() for name in SOURCES)
    name = f"{_fingerprint(source, compiler)}.so"
    for home in (place, Path(tempfile.gettempdir()) / f"impasto-native-{_user()}"):
        with contextlib.suppress(OSError):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(home):
                continue
            made = home / name
            if made.is_file() and (found := _load(made)):
                return found
            if _compile(compiler, source, made) and (found := _load(made)):
                return found
    return None


def _is_ours(home: Path) -> bool:
    """Whether nobody else can put a library into ``home``."""
    if not hasattr(os, "getuid"):
        return True
    about = home.stat()
    return about.st_uid == os.getuid() and not about.st_mode & 0o022


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "user"


def _fingerprint(source: bytes, compiler: str) -> str:
    """Changes with whatever the compiled kernels depend on."""
    binary = Path(compiler).resolve().stat()
    about = f"{compiler} {binary.st_size} {binary.st_mtime_ns} {_processor()} {FLAGS}"
    return hashlib.sha256(source + about.encode()).hexdigest()[:20]


def _processor() -> str:
    """What the processor is and can do."""
    about = [platform.system(), platform.machine(), platform.processor()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        wanted = ("model name", "flags", "Features")
        about += [next((x for x in lines if x.startswith(key)), "") for key in wanted]
    return " ".join(about)


def _compile(compiler: str, source: bytes, made: Path) -> bool:
    with tempfile.TemporaryDirectory(dir=made.parent) as work:
        text, part = Path(work, "kernels.c"), Path(work, "kernels.so")
        text.write_bytes(source)
        for flags in FLAGS:
            command = [compiler, *flags, "-fPIC", "-shared", "-o", str(part), str(text)]
            try:
                done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
            except subprocess.TimeoutExpired:
                return False
            if done.returncode == 0:
                part.replace(made)
                return True
            _log.debug("%s: %s", " ".join(command), done.stderr.decode(errors="replace")[:500])
    return False


def _load(made: Path) -> Library | None:
    try:
        code = ctypes.CDLL(str(made))
        lanes, panel = int(code.impasto_lanes()), int(code.impasto_panel())
        return Library(made, lanes, panel, bool(code.impasto_splits()), code)
    except (OSError, AttributeError) as error:
        _log.debug("%s cannot be loaded: %s", made, error)
        return None
