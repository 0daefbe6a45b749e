"""What several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with sample pictures beside the checkout; skips where there is none."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("IMPASTO_SHARED", root.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("the sample pictures are not beside the checkout")
    return folder / "data"


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Weights that nobody seeds are the same in every run."""
    torch.manual_seed(0)


@pytest.fixture
def generator() -> torch.Generator:
    """Seeded randomness."""
    return torch.Generator().manual_seed(0)
