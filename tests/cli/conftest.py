"""Real commands in real processes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .commands import command, environment

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small photo and two paintings."""
    from impasto import images, samples

    folder = tmp_path_factory.mktemp("pictures")
    names = samples.names()
    images.save(samples.painting(names[0], (80, 100), 3), folder / "photo.png")
    images.save(samples.painting(names[0], (100, 80)), folder / "painting.png")
    images.save(samples.painting(names[-1], (64, 64)), folder / "other.png")
    return folder


@pytest.fixture
def folder(pictures: Path, tmp_path: Path) -> Path:
    """An own copy of the pictures; commands run here."""
    shutil.copytree(pictures, tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def run(folder: Path) -> Run:
    """Run a command to its end."""

    def call(
        *arguments: str, stdin: bytes | None = None, cwd: Path = folder, **env: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command(*arguments),
            cwd=cwd,
            env=environment(**env),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=120,
        )
        out = done.stdout.decode("utf-8", "surrogateescape")
        err = done.stderr.decode("utf-8", "surrogateescape")
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    return call
