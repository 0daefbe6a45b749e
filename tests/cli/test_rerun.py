"""`impasto rerun`: the same bytes again, or a clear reason why not."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from impasto import images
from impasto.cli import main, rerun
from impasto.errors import InputError
from impasto.events import Started

from .commands import SMALL


@pytest.fixture(scope="module")
def made(pictures, tmp_path_factory):
    """A folder with the pictures and one result, made once."""
    from impasto import jobs
    from impasto.specs import OutputSpec, StylizeSpec

    folder = tmp_path_factory.mktemp("made")
    shutil.copytree(pictures, folder, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        spec = StylizeSpec.build(
            content="photo.png", style=("painting.png",), size=64, iterations=2, quality="draft"
        )
        list(jobs.run(spec, OutputSpec.build(output="first.png")))
    return folder


def test_the_same_bytes(run, folder):
    job = ("stylize", "photo.png", "painting.png", "--iterations", "3", *SMALL)
    assert run(*job, "-o", "out.png").returncode == 0
    done = run("rerun", "out.png")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out-rerun.png\n"
    assert (folder / "out-rerun.png").read_bytes() == (folder / "out.png").read_bytes()


def test_from_another_folder_the_same_bytes(made, tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)
    assert main(["rerun", str(made / "first.png"), "-o", "new.png", "--quiet"]) == 0
    assert capfdbinary.readouterr().out == b"new.png\n"
    assert (tmp_path / "new.png").read_bytes() == (made / "first.png").read_bytes()
    assert main(["rerun", str(made / "first.png"), "-o", "new.png", "--quiet"]) == 2


def test_never_over_an_input(run, made):
    done = run("rerun", "first.png", "-o", "painting.png", "--force", cwd=made)
    assert done.returncode == 2
    assert "painting.png is an input" in done.stderr


def test_a_changed_input(run, made, tmp_path):
    shutil.copytree(made, tmp_path / "copy")
    shutil.copy(made / "other.png", tmp_path / "copy" / "painting.png")
    done = run("rerun", "first.png", "-o", "second.png", cwd=tmp_path / "copy")
    assert done.returncode == 4
    found = hashlib.sha256((made / "other.png").read_bytes()).hexdigest()[:12]
    assert f"painting.png has changed: its sha256 is {found}" in done.stderr
    assert not (tmp_path / "copy" / "second.png").exists()


def test_inputs_are_looked_for_in_three_places(tmp_path, monkeypatch):
    digest = hashlib.sha256(b"x").hexdigest()
    here, there = tmp_path / "here", tmp_path / "there"
    (there / "sub").mkdir(parents=True)
    here.mkdir()
    monkeypatch.chdir(here)
    with pytest.raises(InputError, match="not there any more"):
        rerun.locate("sub/a.png", digest, there)
    (there / "a.png").write_bytes(b"x")
    assert rerun.locate("sub/a.png", digest, there) == str(there / "a.png")
    (there / "sub" / "a.png").write_bytes(b"x")
    assert rerun.locate("sub/a.png", digest, there) == str(there / "sub" / "a.png")
    (here / "sub").mkdir()
    (here / "sub" / "a.png").write_bytes(b"other")
    assert rerun.locate("sub/a.png", digest, there) == str(there / "sub" / "a.png")
    (here / "sub" / "a.png").write_bytes(b"x")
    assert rerun.locate("sub/a.png", digest, there) == "sub/a.png"
    for name in ("-", "<style>"):
        with pytest.raises(InputError, match="cannot be found again"):
            rerun.locate(name, digest, there)


def test_what_has_changed_since_is_told(made):
    record = images.read_metadata(made / "first.png")
    started = Started("stylize", (), record["settings"])
    assert list(rerun.differences(record, started)) == []
    old = record | {"impasto": "0.0.1", "complete": False, "settings": {}}
    old["versions"] = record["versions"] | {"torch": "1.0"}
    notes = "\n".join(rerun.differences(old, started))
    assert "impasto 0.0.1, now " in notes
    assert "torch 1.0, now " in notes
    assert "numpy" not in notes
    assert "stopped early" in notes
    assert "numbers of recipe impasto have changed" in notes


@pytest.mark.parametrize(
    "change", [{"verb": "dance"}, {"spec": {"content": "a"}}, {"spec": None}, {"spec": {"x": 1}}]
)
def test_records_of_other_versions(made, change):
    record = images.read_metadata(made / "first.png") | change
    with pytest.raises(InputError, match="cannot be used"):
        rerun.recorded_spec(record, "first.png")
    record.pop(next(iter(change)))
    with pytest.raises(InputError, match="cannot be used"):
        rerun.recorded_spec(record, "first.png")
