"""What every verb shares: outputs, checkpoints, records, stops."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from impasto import events, images, jobs, outputs
from impasto.engine.checkpoint import load_checkpoint
from impasto.errors import InputError, UsageError
from impasto.specs import OutputSpec, StylizeSpec

NAMES = ("photo.png", "painting.png")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with two pictures."""
    rng = np.random.default_rng(1)
    for name, cell in zip(NAMES, (16, 8), strict=True):
        picture = np.kron(rng.random((64 // cell, 80 // cell, 3)), np.ones((cell, cell, 1)))
        images.save(picture.astype(np.float32), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def request(**more) -> StylizeSpec:
    values = {"content": NAMES[0], "style": NAMES[1:], "size": 64, "iterations": 3}
    return StylizeSpec.build(**values | {"quality": "draft", "optimizer": "adam"} | more)


def out(**values) -> OutputSpec:
    return OutputSpec.build(**{"output": "out.png"} | values)


def stopped_after(steps: int, spec: StylizeSpec, output: OutputSpec) -> None:
    job = jobs.run(spec, output)
    for event in job:
        if isinstance(event, events.Step) and event.index == steps:
            job.close()
            return
    raise AssertionError("the job was too short")


def test_the_last_event_has_the_path_and_the_record(folder):
    *_, last = jobs.run(request(), out())
    assert isinstance(last, events.Finished)
    assert (last.path, last.complete) == ("out.png", True)
    assert last.metadata == images.read_metadata("out.png")
    assert last.metadata["spec"] == request().model_dump(mode="json", exclude_defaults=True)
    assert set(last.metadata["versions"]) == {"python", "torch", "numpy", "pillow"}


def test_closing_after_the_end_changes_nothing(folder):
    job = jobs.run(request(), out())
    for event in job:
        if isinstance(event, events.Finished):
            break
    before = Path("out.png").read_bytes()
    job.close()
    assert Path("out.png").read_bytes() == before
    assert {p.name for p in folder.iterdir()} == {"out.png", *NAMES}


def test_a_stop_saves_and_resume_ends_the_same(folder):
    list(jobs.run(request(), out(output="whole.png")))
    stopped_after(2, request(), out())
    assert images.read_metadata("out.png")["complete"] is False
    assert Path("out.png.checkpoint").exists()
    steps = [e.index for e in jobs.run(request(), out(resume=True)) if isinstance(e, events.Step)]
    assert steps == [3]
    assert Path("out.png").read_bytes() == Path("whole.png").read_bytes()
    assert not Path("out.png.checkpoint").exists()


def test_a_stop_before_the_first_step_saves_nothing(folder):
    job = jobs.run(request(), out())
    assert isinstance(next(job), events.Started)
    job.close()
    assert not list(folder.glob("out*"))


def test_other_settings_or_pictures_do_not_resume(folder):
    stopped_after(1, request(), out())
    for other in ({"seed": 1}, {"style_weight": 3}, {"colors": "match"}, {"style_scale": 2}):
        with pytest.raises(UsageError, match="belongs to other settings"):
            jobs.prepare(request(**other), out(resume=True))
    Path("copy.png").write_bytes(Path(NAMES[1]).read_bytes())
    jobs.prepare(request(style=("copy.png",)), out(resume=True))  # the same under another name
    jobs.prepare(request(device="cpu"), out(resume=True))
    images.save(images.load(NAMES[0]), NAMES[1], force=True)
    with pytest.raises(UsageError, match="belongs to other settings"):
        jobs.prepare(request(), out(resume=True))


def test_checkpoints_that_cannot_be_used(folder):
    with pytest.raises(InputError, match="no checkpoint"):
        jobs.prepare(request(), out(resume=True))
    Path("out.png.checkpoint").write_bytes(b"not one")
    with pytest.raises(InputError, match="is damaged"):
        jobs.prepare(request(), out(resume=True))
    for nowhere in (None, "-"):
        with pytest.raises(UsageError, match="no checkpoint to resume"):
            jobs.prepare(request(), out(output=nowhere, resume=True))


def test_checkpoints_are_renewed_while_a_job_runs(folder, monkeypatch):
    monkeypatch.setattr(jobs, "CHECKPOINT_SECONDS", 0.0)
    done = []
    for event in jobs.run(request(), out()):
        path = Path("out.png.checkpoint")
        if isinstance(event, events.Step) and path.exists():
            done.append(load_checkpoint(path)["state"]["run"]["done"])
    assert done == [1, 2]


def test_inputs_are_never_overwritten(folder):
    before = Path(NAMES[1]).read_bytes()
    Path("link.png").symlink_to(NAMES[1])
    os.link(NAMES[1], "hard.png")
    for name in (NAMES[0], f"./{NAMES[1]}", "link.png", "hard.png", str(folder / NAMES[0])):
        with pytest.raises(UsageError, match="is an input"):
            jobs.prepare(request(), out(output=name, force=True))
    with pytest.raises(UsageError, match="is an input"):
        sources = {"elsewhere.png": Path(NAMES[1])}
        jobs.prepare(request(style=("elsewhere.png",)), out(output=NAMES[1], force=True), sources)
    assert Path(NAMES[1]).read_bytes() == before


def test_sources_stand_in_for_names(folder):
    array = images.load(NAMES[1]).rgb
    job = jobs.prepare(request(style=("<mine>",)), OutputSpec.build(), {"<mine>": array})
    assert job.described()["style"]["name"] == "<mine>"
    assert job.described()["content"]["name"] == NAMES[0]


@pytest.mark.parametrize(
    ("name", "inner", "ending", "expected"),
    [
        ("a.png", "", ".checkpoint", "a.png.checkpoint"),
        ("a.b.png", "-1-00002", ".png", "a.b-1-00002.png"),
        ("a", "-rerun", "", "a-rerun"),
        ("dir/a.png", "", ".checkpoint", "dir/a.png.checkpoint"),
    ],
)
def test_names_beside(name, inner, ending, expected):
    assert outputs.beside(Path(name), inner, ending) == Path(expected)


@pytest.mark.parametrize("name", ["a" * 246 + ".png", "\N{ARTIST PALETTE}" * 61 + ".png"])
def test_long_names_beside_stay_short_and_different(tmp_path, name):
    found = {outputs.checkpoint_path(str(tmp_path / n)) for n in (name, "b" + name[1:])}
    assert len(found) == 2
    for path in found:
        path.with_name(path.name + ".part").touch()


def test_renamed_reaches_into_lists():
    spec = jobs.renamed(request(style=("a", "b")), {"a": "x", NAMES[0]: "y"})
    assert (spec.content, spec.style) == ("y", ("x", "b"))


def test_every_verb_has_a_spec_and_can_be_imported():
    for verb, (_, function) in jobs.VERBS:
        assert callable(jobs.imported(function))
        assert jobs.VERBS.get(verb)[0].endswith(jobs.spec_type(verb).__name__)
    assert jobs.verb_of(request()) == "stylize"
    with pytest.raises(UsageError, match="no verb takes a OutputSpec"):
        jobs.verb_of(OutputSpec.build())
