"""The pictures of --save-every are never written over by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from impasto import outputs
from impasto.errors import UsageError
from impasto.specs import OutputSpec, StylizeSpec

SPEC = StylizeSpec.build(content="c.png", style=("s.png",))


@pytest.mark.parametrize("options", [{"force": True}, {"save_every": 0}])
def test_numbered_pictures_of_an_earlier_run(tmp_path: Path, options: dict[str, int]) -> None:
    out = tmp_path / "out.png"
    given = {"output": str(out), "save_every": 5}
    outputs.check_output(OutputSpec.build(**given), [], SPEC)
    (tmp_path / "out-of-here.png").touch()
    outputs.check_output(OutputSpec.build(**given), [], SPEC)
    (tmp_path / "out-1-00005.png").touch()
    with pytest.raises(UsageError, match=r"out-1-00005\.png exists already"):
        outputs.check_output(OutputSpec.build(**given), [], SPEC)
    outputs.check_output(OutputSpec.build(**{**given, **options}), [], SPEC)
