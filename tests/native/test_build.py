"""Compiled once, found again, and absent without harm."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from impasto import native
from impasto.engine.allocator import kept_memory
from impasto.native import build, choice
from impasto.testing import gradient_picture, thin_vgg

COMPILED = None if (_found := native.library()) is None else _found.path
needs_kernels = pytest.mark.skipif(COMPILED is None, reason="there is no compiler here")


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty cache folder, and nothing remembered of any other."""
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path))
    for function in (build._library, choice._table):
        function.cache_clear()
    yield tmp_path / "native"
    for function in (build._library, choice._table):
        function.cache_clear()


@pytest.fixture
def primed(fresh):
    """A cache folder with what the compiler made before."""
    fresh.mkdir(mode=0o700)
    shutil.copy(COMPILED, fresh)
    return fresh


def features() -> dict[str, torch.Tensor]:
    net = thin_vgg(width=8, pooling="avg")
    return net.taps(gradient_picture(40, 48), ["relu1_1", "relu3_3", "relu4_2"])


@needs_kernels
def test_compiled_once_and_kept_even_where_a_damaged_file_lay(fresh):
    fresh.mkdir(mode=0o700)
    (fresh / COMPILED.name).write_bytes(b"not a library")
    first = build.library()
    assert first.path == fresh / COMPILED.name
    made = first.path.stat().st_mtime_ns
    build._library.cache_clear()
    assert build.library().path.stat().st_mtime_ns == made
    assert [p.suffix for p in fresh.iterdir()] == [".so"]
    assert str(first.path) in native.describe()


@needs_kernels
def test_a_compiler_that_cannot_make_tiles_makes_the_rest(fresh, monkeypatch):
    monkeypatch.setattr(choice, "ours", lambda *_: True)
    expected = features()
    with_tiles, without = build.FLAGS[:2]
    monkeypatch.setattr(build, "FLAGS", ((*with_tiles, "-no-such-flag"), without))
    build._library.cache_clear()
    found = build.library()
    assert found is not None
    assert not found.splits
    assert found.lanes == native.library().lanes
    for name, made in features().items():
        torch.testing.assert_close(made, expected[name], rtol=1e-4, atol=1e-5)


def test_without_a_compiler_torch_does_the_work(request, monkeypatch):
    expected = features()
    fresh = request.getfixturevalue("fresh")
    monkeypatch.setenv("PATH", str(fresh))
    assert build.library() is None
    assert "torch" in native.describe()
    for name, found in features().items():
        torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-4)


def test_a_compiler_that_fails_is_no_error(fresh, monkeypatch):
    fresh.mkdir(parents=True)
    broken = fresh / "cc"
    broken.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    broken.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(broken))
    assert build.library() is None


@needs_kernels
def test_a_folder_of_others_is_not_trusted(primed):
    primed.chmod(0o777)
    found = build.library()
    assert found is None or found.path.parent != primed


@needs_kernels
def test_the_switch_turns_them_off(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "off")
    assert build.library() is None
    assert native.convolve(torch.zeros(1, 8, 8, 8), _filters(), 1, relu=True) is None


def _filters() -> native.Filters:
    weight = torch.randn(8, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    return native.Filters(weight, torch.zeros(8))


@needs_kernels
def test_a_choice_is_made_once_and_written_down(primed, monkeypatch):
    lib, x = build.library(), torch.zeros(1, 8, 20, 20)
    asked = []

    def slower(*args):
        asked.append(args)
        return False

    monkeypatch.setattr(choice, "_measured", slower)
    assert not choice.ours(lib, x, _filters(), 1)
    choice._table.cache_clear()  # as in another process
    assert not choice.ours(lib, x, _filters(), 1)
    assert len(asked) == 1
    assert native.convolve(x, _filters(), 1, relu=True) is None
    assert lib.path.with_suffix(".json").read_text(encoding="utf-8").count("false") == 1


@needs_kernels
def test_measuring_says_which_is_faster(monkeypatch):
    lib = build.library()
    monkeypatch.setattr(choice, "_fastest", lambda *ways: [len(ways) * 1.0, 1.0])
    assert not choice._measured(lib, torch.zeros(1, 8, 20, 20), _filters(), 1)
    monkeypatch.setattr(choice, "_fastest", lambda *ways: [1.0, 1.0])
    assert choice._measured(lib, torch.zeros(1, 8, 20, 20), _filters(), 1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the C library of Linux")
def test_kept_memory_is_not_asked_for_again():
    source = str(Path(__file__).resolve().parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS],
        env=os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    usual, kept, given_back = (int(n) for n in done.stdout.split())
    assert kept < usual / 20
    assert given_back > 30  # MB, of the 40 that were kept


_FAULTS = """
import resource, torch
from impasto.engine.allocator import kept_memory

def faults():
    def fill(): torch.empty(10_000_000).fill_(1.0)
    for _ in range(12): fill()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4): fill()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() // 1_000_000

usual = faults()
with kept_memory():
    with kept_memory():
        pass
    kept, held = faults(), resident()
print(usual, kept, held - resident())
"""


def test_keeping_memory_can_be_switched_off(monkeypatch):
    monkeypatch.setenv("IMPASTO_KEEP_MEMORY", "off")
    with kept_memory() as kept:
        assert not kept


def test_the_kernels_compile_without_a_warning(tmp_path):
    """A macro that is defined twice, for one, changes what stands behind it."""
    compiler = next((path for name in build.COMPILERS if (path := shutil.which(name))), None)
    if compiler is None or platform.machine() != "x86_64":
        pytest.skip("no compiler, or one for another processor")
    text = tmp_path / "kernels.c"
    text.write_bytes(
        b"".join(files("impasto.native").joinpath(name).read_bytes() for name in build.SOURCES)
    )
    command = [compiler, *build.FLAGS[0], "-Wall", "-Wextra", "-fsyntax-only", str(text)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0
    assert not done.stderr
