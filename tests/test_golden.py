"""Pictures and features stay what they were. `tests/golden/make.py` makes the arrays anew."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent / "golden"
_spec = importlib.util.spec_from_file_location("make_golden", FOLDER / "make.py")
assert _spec is not None
assert _spec.loader is not None
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)

#: Features agree to rounding; a run amplifies rounding from step to step.
TOLERANCE = {"embedded_features": 1e-4, "small_run": 2e-2}


@pytest.mark.parametrize("name", sorted(golden.ARRAYS))
def test_as_before(name: str) -> None:
    expected = np.load(FOLDER / f"{name}.npy", allow_pickle=False)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(golden.ARRAYS[name](), expected, atol=TOLERANCE[name] * scale)
