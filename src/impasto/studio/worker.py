"""The process that does one job after the other, and tells about it.

It holds a lock on the folder of the job, so that no two processes ever work on one job, even where
the server was ended and begun again. When the server is gone it saves a checkpoint and ends.

What it says: ``ready``; for a job ``started``, ``scale``, ``steps``, ``preview``, then ``done`` or
``failed``. Before ``done`` the outcome is on the disk in :data:`OUTCOME`.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto import jobs, outputs
from impasto.errors import ImpastoError, InputError, ResourceError, UsageError
from impasto.estimate import Estimate
from impasto.events import Event, Finished, ScaleStarted, Started, Step
from impasto.specs import OutputSpec, Spec
from impasto.studio.child import Line, limit_memory
from impasto.studio.vault import write_whole

if TYPE_CHECKING:
    from torch import Tensor

OUTCOME, LOSSES, PREVIEW, LOCK = (
    "outcome.json",
    "losses.jsonl",
    "preview.webp",
    "lock",
)
#: The result, by what a verb makes.
OUTPUTS = {"picture": "out.png", "model": "out.safetensors"}
#: Longest side of a preview, px.
PREVIEW_SIDE = 1024
#: Least seconds between two messages about steps.
STEP_SECONDS = 0.15
#: Seconds in which another process may let go of a job, and in which this one has to.
HANDOVER = 20.0
_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|not enough memory", re.IGNORECASE)


def output_of(verb: str) -> str:
    """The name of what a verb makes, in the folder of its job."""
    return OUTPUTS[jobs.spec_type(verb).product]


class Stops:
    """Requests to stop, as they come in from the server while a job runs."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._work: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._stopped: set[str] = set()
        self.orphan = False
        threading.Thread(target=self._listen, daemon=True, name="requests").start()

    def next(self) -> dict[str, Any] | None:
        """The next job, or None when the server is gone."""
        return self._work.get()

    def asked(self, job_id: str) -> bool:
        """Whether this job should stop now."""
        return self.orphan or job_id in self._stopped

    def _listen(self) -> None:
        while (request := self._line.hear()) is not None:
            if request["do"] == "stop":
                self._stopped.add(request["job"])
            else:
                self._stopped.discard(request["job"])
                self._work.put(request)
        self.orphan = True
        self._work.put(None)
        time.sleep(HANDOVER)
        os._exit(1)  # a step that takes longer than this is not worth waiting for


def main() -> None:
    """Work until the server is gone."""
    line = Line()
    limit_memory(line.about.get("memory", 0))
    stops = Stops(line)
    import torch  # noqa: F401 - so that the first job begins at once

    line.say(kind="ready")
    while (request := stops.next()) is not None:
        with contextlib.chdir(request["folder"]):
            _work(request, line, stops)


def _work(request: dict[str, Any], line: Line, stops: Stops) -> None:
    try:
        with _locked(Path(LOCK)):
            if Path(OUTCOME).exists():  # an orphan of the last server got there first
                line.say(kind="done")
                return
            teller = Teller(line, request)
            outcome = _run(request, teller, stops)
            if stops.orphan and not outcome["complete"]:
                return  # the next server goes on from the checkpoint
            teller.flush()
            write_whole(Path(OUTCOME), json.dumps(outcome).encode())
            line.say(kind="done")
    except Exception as error:  # whatever a job raises is that job's end, not ours
        known = explain(error)
        line.say(kind="failed", error=known)


def explain(error: Exception) -> dict[str, Any]:
    """An exception as what clients see."""
    if isinstance(error, ImpastoError):
        hint = re.sub(r"--([a-z][a-z-]*)", r"\1", error.hint)
        return {"type": type(error).__name__, "message": error.message, "hint": hint}
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return {
            "type": "ResourceError",
            "message": "out of memory",
            "hint": "a smaller size needs less",
        }
    text = " ".join(str(error).split())[:300] or "no message"
    return {"type": type(error).__name__, "message": f"unexpected error: {text}", "hint": ""}


def _run(request: dict[str, Any], teller: Teller, stops: Stops) -> dict[str, Any]:
    """Do the job; the outcome as it goes to the disk."""
    if (finished := _finished_before(teller)) is not None:
        return finished
    spec = jobs.spec_type(request["verb"]).build(**request["spec"])
    events, resumed = _begin(spec, request, teller)
    saveable = False
    for event in events:
        teller.tell(event)
        if isinstance(event, Finished):
            return _outcome(event, teller)
        saveable = saveable or isinstance(event, ScaleStarted | Step)
        if stops.asked(request["job"]) and (saveable or not resumed):
            events.close()  # type: ignore[attr-defined]
            break
    kept = outputs.checkpoint_path(teller.output).exists()
    return _kept(complete=False, checkpoint=kept, teller=teller)


def _finished_before(teller: Teller) -> dict[str, Any] | None:
    """The outcome, where a process was ended between saving the picture and telling of it.

    Only of jobs that take steps: what the others find beside the picture is lost, but they are
    quickly done again.
    """
    made = Path(teller.output)
    if outputs.checkpoint_path(teller.output).exists() or made.suffix != ".png":
        return None
    if not (made.exists() and Path(LOSSES).exists()):
        return None
    from impasto import images

    record = images.read_metadata(made)
    if record is None or record.get("complete") is not True:
        return None
    others = [[p.stem.removeprefix("out-"), p.name] for p in sorted(Path().glob("out-*.png"))]
    return _kept(complete=True, checkpoint=False, teller=teller) | {"others": others}


def _kept(*, complete: bool, checkpoint: bool, teller: Teller) -> dict[str, Any]:
    return {
        "complete": complete,
        "picture": Path(teller.output).exists(),
        "checkpoint": checkpoint,
        "notes": teller.notes,
        "seconds": teller.seconds,
    }


def _begin(spec: Spec, request: dict[str, Any], teller: Teller) -> tuple[Iterator[Event], bool]:
    """The events of the job: from its checkpoint where there is one that fits."""
    if outputs.checkpoint_path(teller.output).exists():
        events = jobs.run(spec, _output(spec, resume=True), checkpoint_seconds=request["pause"])
        try:
            first = next(events)
        except (InputError, UsageError):
            teller.notes.append("its checkpoint could not be used; it began anew")
            outputs.checkpoint_path(teller.output).unlink(missing_ok=True)
        else:
            return _after(first, events), True
    again = jobs.run(spec, _output(spec, resume=False), checkpoint_seconds=request["pause"])
    return again, False


def _after(first: Event, rest: Iterator[Event]) -> Iterator[Event]:
    """``first``, then ``rest``; closing it closes ``rest``."""
    try:
        yield first
        yield from rest
    finally:
        rest.close()  # type: ignore[attr-defined]


def _output(spec: Spec, *, resume: bool) -> OutputSpec:
    without = spec.refused()
    log = None if "log" in without else LOSSES
    return OutputSpec.build(
        output=OUTPUTS[spec.product],
        force=True,
        resume=resume and "resume" not in without,
        log=log,
    )


def _outcome(event: Finished, teller: Teller) -> dict[str, Any]:
    return _kept(complete=event.complete, checkpoint=False, teller=teller) | {
        "others": [
            [name.strip("-"), str(outputs.other_path(teller.output, name))] for name in event.others
        ],
        "report": dict(event.report),
        "tables": [
            {"title": t.title, "columns": list(t.columns), "rows": [list(r) for r in t.rows]}
            for t in event.tables
        ],
    }


class Teller:
    """Turns events into messages: steps together, previews now and then.

    Args:
        line: To the server.
        request: The job.

    Attributes:
        output: Name of the result.
        notes: What a person should know.
    """

    def __init__(self, line: Line, request: dict[str, Any]) -> None:
        self._line = line
        self._pause: float = request["preview"]
        self.output: str = request["output"]
        self._estimate = Estimate(())
        self._rows: list[dict[str, float]] = []
        self._told = self._drawn = 0.0
        self._begun = time.monotonic()
        self.notes: list[str] = []

    @property
    def seconds(self) -> float:
        """Since the job began in this process."""
        return time.monotonic() - self._begun

    def tell(self, event: Event) -> None:
        """Pass an event on."""
        if isinstance(event, Started):
            self._started(event)
        elif isinstance(event, ScaleStarted):
            self._scale(event)
        elif isinstance(event, Step):
            self._step(event)

    def flush(self) -> None:
        """Send the steps that have not been sent."""
        if self._rows:
            self._line.say(
                kind="steps",
                rows=self._rows,
                share=round(self._estimate.share, 4),
                left=None if self._estimate.left is None else round(self._estimate.left, 1),
                seconds=round(self.seconds, 2),
            )
            self._rows = []

    def _started(self, event: Started) -> None:
        self._estimate = Estimate(event.scales)
        self.notes += event.notes
        self._line.say(
            kind="started", scales=[list(scale) for scale in event.scales], notes=self.notes
        )

    def _scale(self, event: ScaleStarted) -> None:
        self.flush()
        self._estimate.begin(event.index, time.monotonic())
        self._line.say(
            kind="scale",
            index=event.index,
            count=event.count,
            height=event.height,
            width=event.width,
            steps=event.steps,
        )

    def _step(self, event: Step) -> None:
        from impasto.records import row_of

        now = time.monotonic()
        self._estimate.update(event.scale, event.index, now)
        self._rows.append(row_of(event))
        last = event.index == event.steps
        if last or now - self._told >= STEP_SECONDS:
            self.flush()
            self._told = now
        if event.index == 1 or last or now - self._drawn >= self._pause:
            _draw(event.image())
            self._drawn = time.monotonic()
            self._line.say(kind="preview", scale=event.scale + 1, step=event.index)


def _draw(image: Tensor) -> None:
    """Write the preview: a small WebP, replaced in one step."""
    import numpy as np
    from PIL import Image

    from impasto.images import from_tensor

    levels = np.clip(from_tensor(image) * 255 + 0.5, 0, 255).astype(np.uint8)
    picture = Image.fromarray(levels)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
    part = Path(f".{PREVIEW}.part")
    try:
        picture.save(part, "WEBP", quality=84, method=1)
        part.replace(PREVIEW)
    except OSError:  # a full disk is found by the checkpoint; a preview is not worth failing for
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a job.

    Raises:
        ResourceError: Another process does not let go of it.
    """
    try:
        import fcntl
    except ImportError:  # a system without this kind of lock
        yield
        return
    with path.open("a") as file:
        deadline = time.monotonic() + HANDOVER + 5
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise ResourceError("another process works on this job") from None
                time.sleep(0.1)
        yield


if __name__ == "__main__":
    main()
