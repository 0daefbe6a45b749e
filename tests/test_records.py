"""The log of losses and the plot of it, alone and as part of a job."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from impasto import images, jobs, plots, samples
from impasto.errors import InputError, UsageError
from impasto.events import Event, Saved, Step
from impasto.records import Log, read_log
from impasto.specs import OutputSpec, StylizeSpec

FAST = {"size": 64, "quality": "draft", "iterations": 3, "device": "cpu"}


def step(scale: int, index: int, **terms: float) -> Step:
    values = {name: torch.tensor(value) for name, value in terms.items()}
    return Step(scale, index, 4, values, lambda: torch.zeros(1, 3, 2, 2))


def logged(path: Path, *steps: Step, resume: bool = False) -> list[dict[str, float]]:
    log = Log(path, resume=resume)
    for event in steps:
        log.add(event)
    log.close()
    return log.rows


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_a_file_holds_every_step(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"losses{ending}"
    steps = [step(0, 1, content=0.5, style=2.25), step(1, 1, content=0.125, style=1e-9)]
    rows = logged(path, *steps)
    assert read_log(path) == rows
    assert [(r["scale"], r["step"]) for r in rows] == [(1, 1), (2, 1)]
    assert rows[0]["loss"] == 2.75
    lines = path.read_text().splitlines()
    if ending == ".csv":
        assert lines[0] == "scale,step,content,style,loss,seconds"
        assert lines[1].startswith("1,1,0.5,2.25,2.75,")
    else:
        assert json.loads(lines[0]) == rows[0]


def test_each_line_is_there_at_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "a.csv")
    for count in (1, 2, 3):
        log.add(step(0, count, tv=1.0))
        assert len((tmp_path / "a.csv").read_text().splitlines()) == count + 1
    log.close()


@pytest.mark.parametrize("ending", [".csv", ".jsonl"])
def test_resuming_replaces_what_is_done_again(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    logged(path, *(step(0, i, style=float(i)) for i in (1, 2, 3)), step(1, 1, style=4.0))
    with path.open("a") as file:
        file.write("1,2" if ending == ".csv" else '{"scale": 2')  # killed while writing
    logged(path, step(0, 3, style=30.0), step(1, 1, style=40.0), resume=True)
    rows = read_log(path)
    assert [r["style"] for r in rows] == [1, 2, 30, 40]
    assert all(a["seconds"] <= b["seconds"] for a, b in pairwise(rows))


def test_another_file_is_no_log(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,age\nAnn,7\n")
    with pytest.raises(InputError, match="is not a log of losses"):
        Log(path, resume=True)


def curves(**terms: list[float]) -> np.ndarray:
    rows = [
        {"scale": 1.0 + (i >= 3), "step": float(i), "loss": 1.0}
        | {name: values[i] for name, values in terms.items()}
        for i in range(len(next(iter(terms.values()))))
    ]
    return np.asarray(plots.plot(rows, "title"))


def colour(text: str) -> list[int]:
    return [int(text[i : i + 2], 16) for i in (1, 3, 5)]


def places(picture: np.ndarray, text: str) -> tuple[np.ndarray, np.ndarray]:
    left, top, right, bottom = plots.FIELD
    inside = picture[top + 1 : bottom, left + 1 : right]
    ys, xs = np.nonzero((inside == colour(text)).all(axis=2))
    return ys, xs


def test_a_line_of_its_colour_for_every_term() -> None:
    picture = curves(content=[0.1] * 6, style=[10, 8, 6, 4, 2, 1])
    assert picture.shape == (540, 960, 3)
    flat, _ = places(picture, plots.COLOURS[0])
    assert len(set(flat.tolist())) <= 3  # a level line
    ys, xs = places(picture, plots.COLOURS[1])
    assert ys[xs.argmin()] < ys[xs.argmax()]  # a falling one
    total, _ = places(picture, plots.INK)
    middle = plots.FIELD[3] - plots.FIELD[1]
    assert abs(np.median(total) - middle / 2) < 3  # 1 is in the middle between 0.1 and 10


def test_curves_are_cut_where_a_scale_begins() -> None:
    _, xs = places(curves(style=[1.0, 1.0, 1.0, 10.0, 10.0, 10.0]), plots.COLOURS[0])
    width = plots.FIELD[2] - plots.FIELD[0]
    between = (xs > width * 2.1 / 5) & (xs < width * 2.9 / 5)
    assert not between.any()


@pytest.mark.parametrize(
    "values", [[1.0], [0.0, 0.0], [float("nan"), 1.0], [1e-30, 1e30], [5.0] * 400]
)
def test_odd_values_are_drawn(values: list[float]) -> None:
    assert curves(style=values).shape == (540, 960, 3)


def test_no_rows_are_drawn() -> None:
    assert plots.plot([]).size == plots.SIZE


def test_what_is_raised_is_drawn_by_its_magnitude() -> None:
    """A visualization lowers the negative of an excitation."""
    falling, rising = curves(style=[-1.0, -10.0, -100.0]), curves(style=[1.0, 10.0, 100.0])
    field = (slice(plots.FIELD[1], plots.FIELD[3]), slice(plots.FIELD[0], plots.FIELD[2]))
    np.testing.assert_array_equal(falling[field], rising[field])
    assert not np.array_equal(falling, rising), "the legend says so"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    images.save(samples.photo("harbour", (64, 80)), folder / "p.png")
    images.save(samples.painting("nocturne", (64, 80)), folder / "a.png")
    return folder


def run(folder: Path, out: Path, **options: Any) -> Iterator[Event]:
    names = OutputSpec.model_fields
    spec = StylizeSpec.build(
        content=str(folder / "p.png"),
        style=(str(folder / "a.png"),),
        **FAST,
        **{k: v for k, v in options.items() if k not in names},
    )
    output = {k: str(v) if isinstance(v, Path) else v for k, v in options.items() if k in names}
    return jobs.run(spec, OutputSpec.build(output=str(out), **output))


def test_a_job_writes_numbered_pictures_log_and_plot(pictures: Path, tmp_path: Path) -> None:
    out, log, plot = (tmp_path / n for n in ("out.png", "log.csv", "plot.png"))
    events = list(run(pictures, out, log=log, plot=plot, save_every=2))
    steps = [e for e in events if isinstance(e, Step)]
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(steps) == 3
    for row, event in zip(rows, steps, strict=True):
        assert (int(row["scale"]), int(row["step"])) == (event.scale + 1, event.index)
        for name, value in event.terms.items():
            assert float(row[name]) == float(value)
        assert float(row["loss"]) == pytest.approx(event.loss)
    saved = {Path(e.path).name: e.what for e in events if isinstance(e, Saved)}
    assert saved == {"out-1-00002.png": "picture", "log.csv": "log", "plot.png": "plot"}
    with Image.open(plot) as picture:
        assert picture.size == plots.SIZE
    numbered, final = images.load(tmp_path / "out-1-00002.png"), images.load(out)
    assert numbered.size == final.size
    assert not np.array_equal(numbered.rgb, final.rgb)


def test_a_log_does_not_change_the_picture(pictures: Path, tmp_path: Path) -> None:
    list(run(pictures, tmp_path / "with.png", log=tmp_path / "l.jsonl", plot=tmp_path / "p.png"))
    list(run(pictures, tmp_path / "without.png"))
    assert (tmp_path / "with.png").read_bytes() == (tmp_path / "without.png").read_bytes()


def test_a_stopped_job_goes_on_in_its_log(pictures: Path, tmp_path: Path) -> None:
    out, log, plot = (tmp_path / n for n in ("out.png", "log.csv", "plot.png"))
    events = run(pictures, out, log=log, plot=plot)
    while not isinstance(next(events), Step):
        pass
    events.close()  # type: ignore[attr-defined]
    assert len(read_log(log)) == 1
    assert plot.exists()
    list(run(pictures, out, log=log, plot=plot, resume=True))
    assert [r["step"] for r in read_log(log)] == [1, 2, 3]
    whole = tmp_path / "whole.jsonl"
    list(run(pictures, tmp_path / "whole.png", log=whole))
    assert [r["loss"] for r in read_log(whole)] == [r["loss"] for r in read_log(log)]


def test_nothing_is_overwritten(pictures: Path, tmp_path: Path) -> None:
    out, log, plot = (tmp_path / n for n in ("out.png", "log.csv", "plot.png"))
    log.write_text("mine")
    with pytest.raises(UsageError, match=r"log\.csv exists already"):
        list(run(pictures, out, log=log))
    plot.write_text("mine")
    with pytest.raises(UsageError, match=r"plot\.png exists already"):
        list(run(pictures, out, plot=plot))
    assert (log.read_text(), plot.read_text(), out.exists()) == ("mine", "mine", False)
    with pytest.raises(UsageError, match="is the output already"):
        list(run(pictures, out, plot=out))
    with pytest.raises(UsageError, match="is an input"):
        list(run(pictures, out, plot=pictures / "p.png", force=True))
    list(run(pictures, out, log=log, plot=plot, force=True))
    assert len(read_log(log)) == 3


@pytest.mark.parametrize(
    ("option", "word"),
    [({"log": "a.txt"}, r"\.csv or \.jsonl"), ({"plot": "a.jpg"}, r"must end in \.png")],
)
def test_endings(option: dict[str, str], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        OutputSpec.build(**option)
