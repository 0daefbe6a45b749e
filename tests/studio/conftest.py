"""One server for all tests that do not need their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .serving import Studio, png, serving


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with serving(tmp_path_factory.mktemp("studio"), preview_seconds=0.1) as found:
        yield found


@pytest.fixture(scope="session")
def photo(studio: Studio) -> str:
    return studio.upload(png(64, 48, seed=1), "photo.png")


@pytest.fixture(scope="session")
def painting(studio: Studio) -> str:
    return studio.upload(png(64, 64, seed=2), "painting.png")
