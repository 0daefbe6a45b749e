"""What must not be loaded before it is needed, and how fast the first answer comes."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"
HEAVY = ("torch", "numpy", "PIL", "scipy", "safetensors")
#: Seconds of the processor, which a busy machine does not stretch much; about 0.25 when idle.
BOUND = 0.6

ANSWERS = [["--version"], ["--help"], ["stylize", "--help"]]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(SRC)}


def loaded_after(code: str) -> set[str]:
    """Top-level packages in ``sys.modules`` after ``code`` has run."""
    report = "; import sys; sys.stderr.write(' '.join({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], env=environment(), capture_output=True, check=True
    )
    return set(done.stderr.decode().split())


@pytest.mark.parametrize("arguments", [*ANSWERS, ["recipes"], ["stylize"], ["stylize", "--siz"]])
def test_answers_load_nothing_heavy(arguments):
    loaded = loaded_after(f"from impasto.cli import main; main({arguments!r})")
    assert not loaded & set(HEAVY)


def test_import_loads_nothing_at_all():
    assert not loaded_after("import impasto; dir(impasto); impasto.ImpastoError") & {
        *HEAVY,
        "pydantic",
        "rich",
        "cyclopts",
    }


def test_the_functions_load_nothing_before_they_are_called():
    assert not loaded_after("import impasto; impasto.stylize, impasto.Result") & set(HEAVY)


def test_a_bad_picture_is_found_before_torch_is_loaded():
    code = (
        "from impasto.cli import main\n"
        "assert main(['stylize', 'gone.jpg', 'gone.jpg', '-o', 'never.png', '--quiet']) == 4\n"
        "import sys; sys.stderr.write('\\n')"
    )
    assert "torch" not in loaded_after(code)


@pytest.mark.parametrize("arguments", ANSWERS, ids=" ".join)
def test_answers_come_quickly(arguments):
    best = min(processor_seconds(arguments) for _ in range(4))
    assert best < BOUND, f"{best:.2f} s"


def processor_seconds(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "impasto", *arguments],
        env=environment(),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
