"""Running a verb: events in, progress on stderr, the result's path on stdout."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from impasto import events, jobs
from impasto.cli.estimate import clock
from impasto.cli.progress import Progress, make_progress
from impasto.cli.session import Session
from impasto.errors import Cancelled, UsageError
from impasto.specs import OutputSpec, Spec


def run_verb(name: str, values: dict[str, Any], outputs: dict[str, Any], session: Session) -> None:
    """Do what a command line asks for.

    Args:
        name: The verb.
        values: Fields of its spec, as strings.
        outputs: Fields of the output spec, likewise.
        session: Where to talk.

    Raises:
        ImpastoError: A value makes no sense, a picture cannot be used, the job failed.
        Cancelled: It was stopped; what there was has been saved.
    """
    spec: Spec = jobs.spec_type(name).build(**values)
    output: OutputSpec = OutputSpec.build(**outputs)
    run_job(spec, output, session)


def run_job(
    spec: Spec,
    output: OutputSpec,
    session: Session,
    sources: Mapping[str, Any] | None = None,
    remarks: Callable[[events.Started], Iterable[str]] = lambda _: (),
) -> events.Finished:
    """Run a job to its end or to Ctrl-C and print the outcome.

    Args:
        spec: The request.
        output: Where to.
        session: Where to talk.
        sources: As for :func:`impasto.jobs.prepare`.
        remarks: More notes, once the job has been prepared.
    """
    if session.json and output.output == jobs.STDOUT:
        raise UsageError("--json and -o - both write to standard output", hint="name a file")
    progress = make_progress(session)
    job = jobs.run(spec, output, sources)
    try:
        finished = _watch(job, output, session, progress, remarks)
    finally:
        progress.close()
    session.note(f"{clock(finished.seconds)} in all")
    if output.output != jobs.STDOUT:
        session.answer(str(finished.path), _summary(finished, progress))
    return finished


def _watch(
    job: Iterator[events.Event],
    output: OutputSpec,
    session: Session,
    progress: Progress,
    remarks: Callable[[events.Started], Iterable[str]],
) -> events.Finished:
    """Follow the job; a request to stop is answered after the event at hand."""
    session.interrupts.announce = lambda: progress.note(
        "stopping after this step; Ctrl-C again stops at once"
    )
    saveable, place, count = False, "", 0
    for event in job:
        session.interrupts.graceful()
        progress.show(event)
        if isinstance(event, events.Finished):
            return event
        if isinstance(event, events.Started):
            for text in remarks(event):
                progress.note(text)
        if isinstance(event, events.ScaleStarted):
            saveable, count = True, event.count
            place = f" at scale {event.index + 1}/{count}"
        elif isinstance(event, events.Step):
            place = f" at scale {event.scale + 1}/{count}, step {event.index}/{event.steps}"
        if session.interrupts.requested:
            job.close()  # type: ignore[attr-defined]
            raise _stopped(output, saveable, place)
    raise AssertionError("a job ends with Finished")


def _stopped(output: OutputSpec, saveable: bool, place: str) -> Cancelled:
    path = output.output or jobs.STDOUT
    if not saveable:
        return Cancelled("stopped before the first step; nothing was saved")
    if path == jobs.STDOUT:
        return Cancelled(f"stopped{place}; the picture so far went to standard output")
    return Cancelled(
        f"stopped{place}; the picture so far is {path}, the checkpoint "
        f"{jobs.checkpoint_path(path)}",
        hint="the same command with --resume continues",
    )


def _summary(finished: events.Finished, progress: Progress) -> dict[str, Any]:
    height, width = finished.image.shape[:2]
    return {
        "output": finished.path,
        "width": width,
        "height": height,
        "seconds": round(finished.seconds, 3),
        "complete": finished.complete,
        "losses": progress.losses(),
        "notes": list(progress.notes),
        "settings": dict(finished.settings),
    }
