"""Running a verb: events in, progress on stderr, the result's path on stdout."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from impasto import events, jobs, outputs
from impasto.cli.folders import folder_of, run_folder
from impasto.cli.progress import Progress, make_progress
from impasto.cli.session import Session, write
from impasto.errors import Cancelled, UsageError
from impasto.estimate import clock
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
    folder = folder_of(name, values)
    if folder is not None:
        run_folder(name, folder, values, outputs, session)
        return
    spec: Spec = jobs.spec_type(name).build(**values)
    output: OutputSpec = OutputSpec.build(**outputs)
    run_job(spec, output, session)


def run_job(
    spec: Spec,
    output: OutputSpec,
    session: Session,
    sources: Mapping[str, Any] | None = None,
    remarks: Callable[[events.Started], Iterable[str]] = lambda _: (),
    *,
    answer: bool = True,
) -> events.Finished:
    """Run a job to its end or to Ctrl-C and print the outcome.

    Args:
        spec: The request.
        output: Where to.
        session: Where to talk.
        sources: As for :func:`impasto.jobs.prepare`.
        remarks: More notes, once the job has been prepared.
        answer: Print the path.
    """
    if session.json and output.output == outputs.STDOUT:
        raise UsageError("--json and -o - both write to standard output", hint="name a file")
    if jobs.follows():
        session, answer = dataclasses.replace(session, quiet=True), False
    progress = make_progress(session)
    job = jobs.run(spec, output, sources)
    try:
        finished = _watch(job, output, session, progress, remarks, spec.product)
    finally:
        progress.close()
    session.note(f"{clock(finished.seconds)} in all")
    show_tables(finished.tables, session, aside=output.output == outputs.STDOUT)
    if answer and output.output != outputs.STDOUT:
        session.answer(str(finished.path), _summary(finished, progress))
    return finished


def show_tables(tables: Sequence[events.Table], session: Session, *, aside: bool) -> None:
    """What a job found, on stdout before the path; with ``--json`` it is in the object.

    Args:
        tables: May be none.
        session: Where to talk.
        aside: Whether stdout belongs to the picture; then they go to stderr.
    """
    if session.json or not tables:
        return
    from rich.console import Console
    from rich.table import Table

    plain: dict[str, Any] = {"stderr": aside, "highlight": False, "emoji": False, "markup": False}
    console = Console(**plain)
    if not console.is_terminal:  # a file can be scrolled, columns that are cut are lost
        console = Console(width=160, **plain)
    with console.capture() as caught:
        for found in tables:
            table = Table(box=None, pad_edge=False)
            for place, name in enumerate(found.columns):
                table.add_column(name, justify="right" if place else "left", no_wrap=True)
            for row in found.rows:
                table.add_row(*row)
            # A title of rich's own is wrapped at the width of the table.
            console.print(found.title, style="bold", soft_wrap=True)
            console.print(table)
            console.print()
    text = "\n".join(line.rstrip() for line in caught.get().splitlines())
    if aside:
        session.console().print(text, soft_wrap=True)
    else:
        write(text)


def _watch(
    job: Iterator[events.Event],
    output: OutputSpec,
    session: Session,
    progress: Progress,
    remarks: Callable[[events.Started], Iterable[str]],
    product: str,
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
            raise _stopped(output, saveable, place, product)
    raise AssertionError("a job ends with Finished")


def _stopped(output: OutputSpec, saveable: bool, place: str, what: str) -> Cancelled:
    path = output.output or outputs.STDOUT
    if not saveable:
        return Cancelled("stopped before the first step; nothing was saved")
    if path == outputs.STDOUT:
        return Cancelled(f"stopped{place}; the picture so far went to standard output")
    checkpoint = outputs.checkpoint_path(path)
    if not checkpoint.exists():  # some verbs keep none
        return Cancelled(f"stopped{place}; the {what} so far is {path}")
    return Cancelled(
        f"stopped{place}; the {what} so far is {path}, the checkpoint {checkpoint}",
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
        **_more(finished),
    }


def _more(finished: events.Finished) -> dict[str, Any]:
    """What only some verbs have: further files, findings."""
    path = str(finished.path)
    others = {k.strip("-"): str(outputs.other_path(path, k)) for k in finished.others}
    pages = {"pages": list(finished.pages)} if finished.pages else {}
    return ({"others": others} if others else {}) | pages | dict(finished.report)
