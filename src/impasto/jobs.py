"""From a request to a file: what every verb shares.

A verb registers its spec and a function that prepares a job; :func:`run` does the rest: checks
that the output can be written before any work, resumes, saves numbered pictures, and on the way
out writes either the finished picture or the picture so far and a checkpoint.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import impasto
from impasto import events, images
from impasto.errors import UsageError
from impasto.registry import Registry
from impasto.specs import OutputSpec, Spec

#: Seconds between checkpoints while a job runs.
CHECKPOINT_SECONDS = 60.0


class Job(Protocol):
    """What a verb gives to :func:`run`: checked and ready to go, nothing computed yet."""

    def events(self) -> Iterator[events.Event]:
        """Run; the last event is Finished, not saved yet."""

    def finished(self, seconds: float, *, complete: bool = True) -> events.Finished:
        """The result so far."""

    @property
    def begun(self) -> bool:
        """Whether there is a result to save."""

    def state(self) -> dict[str, Any]:
        """What :meth:`load` needs to go on exactly here."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""

    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""


#: Verb to ``module:function``; the function takes the spec and the output spec, gives a Job.
VERBS: Registry[tuple[str, str]] = Registry("verb")
VERBS.add("stylize", ("impasto.specs:StylizeSpec", "impasto.stylize:prepare"))


def spec_type(verb: str) -> type[Spec]:
    """The model of the requests of ``verb``."""
    found: type[Spec] = _imported(VERBS.get(verb)[0])
    return found


def verb_of(spec: Spec) -> str:
    """The verb that ``spec`` is a request for."""
    for verb, (where, _) in VERBS:
        if where.endswith(f":{type(spec).__name__}"):
            return verb
    raise UsageError(f"no verb takes a {type(spec).__name__}")


def prepare(spec: Spec, output: OutputSpec) -> Job:
    """Check everything that can be checked and load the pictures."""
    if output.output is not None:
        images.check_writable(output.output, force=output.force or output.resume)
    make: Callable[[Spec, OutputSpec], Job] = _imported(VERBS.get(verb_of(spec))[1])
    job = make(spec, output)
    if output.resume:
        _resume(job, spec, output)
    return job


def run(spec: Spec, output: OutputSpec | None = None) -> Iterator[events.Event]:
    """Do what ``spec`` asks, as events; the picture is saved before the last one.

    Closing the iterator stops the job: the picture so far and a checkpoint are saved where the
    output would have gone, so that ``resume`` can go on.

    Args:
        spec: The request.
        output: Where to; without, nothing is written and the last event carries the picture.

    Raises:
        ImpastoError: Bad input, missing weights, not enough memory ... before any heavy work.
    """
    output = output or OutputSpec()
    job = prepare(spec, output)
    begun = saved = time.monotonic()
    try:
        for event in job.events():
            if isinstance(event, events.Finished):
                event = _save(job, spec, output, event)
            yield event
            if isinstance(event, events.Step):
                yield from _numbered(output, event)
                if output.output and time.monotonic() - saved > CHECKPOINT_SECONDS:
                    _save_checkpoint(job, spec, output)
                    saved = time.monotonic()
    except GeneratorExit:
        if job.begun and output.output:
            _save_checkpoint(job, spec, output)
            finished = job.finished(time.monotonic() - begun, complete=False)
            _write(job, spec, output, finished, force=True)
        raise


def checkpoint_path(output: str) -> Path:
    """Where the checkpoint of an output goes."""
    return Path(output if output != "-" else "impasto-stdout").with_suffix(".checkpoint")


def metadata(job: Job, spec: Spec, *, complete: bool = True) -> dict[str, Any]:
    """What travels in the output: enough to make it again, and nothing that changes by itself."""
    return {
        "impasto": impasto.__version__,
        "verb": verb_of(spec),
        "spec": spec.model_dump(mode="json", exclude_defaults=True),
        "settings": job.settings(),
        "inputs": job.described(),
        "versions": _versions(),
        "complete": complete,
    }


def _save(job: Job, spec: Spec, output: OutputSpec, event: events.Finished) -> events.Finished:
    if output.output is None:
        return event
    path = _write(job, spec, output, event, force=output.force or output.resume)
    checkpoint_path(output.output).unlink(missing_ok=True)
    return events.Finished(
        event.image, event.alpha, event.settings, event.seconds, path, event.complete
    )


def _write(job: Job, spec: Spec, output: OutputSpec, event: events.Finished, *, force: bool) -> str:
    path = output.output or "-"
    images.save(
        event.image,
        path,
        alpha=event.alpha,
        metadata=metadata(job, spec, complete=event.complete),
        force=force,
    )
    return path


def _numbered(output: OutputSpec, event: events.Step) -> Iterator[events.Saved]:
    if not (output.save_every and output.output and output.output != "-"):
        return
    if event.index % output.save_every:
        return
    from impasto.images.tensors import from_tensor

    path = Path(output.output)
    name = f"{path.stem}-{event.scale + 1}-{event.index:05d}{path.suffix}"
    images.save(from_tensor(event.image()), path.with_name(name), force=True)
    yield events.Saved(str(path.with_name(name)), "picture")


def _fingerprint(job: Job, spec: Spec) -> str:
    """Equal for jobs that may continue each other."""
    inputs = {role: entry["sha256"] for role, entry in job.described().items()}
    text = json.dumps([verb_of(spec), job.settings(), inputs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _save_checkpoint(job: Job, spec: Spec, output: OutputSpec) -> None:
    from impasto.engine.checkpoint import save_checkpoint

    content = {"fingerprint": _fingerprint(job, spec), "state": job.state()}
    save_checkpoint(checkpoint_path(output.output or "-"), content)


def _resume(job: Job, spec: Spec, output: OutputSpec) -> None:
    from impasto.engine.checkpoint import load_checkpoint

    path = checkpoint_path(output.output or "-")
    content = load_checkpoint(path)
    if content["fingerprint"] != _fingerprint(job, spec):
        raise UsageError(
            f"checkpoint {path} belongs to other settings or pictures",
            hint="give the same ones, or start without --resume",
        )
    job.load(content["state"])


def _versions() -> Mapping[str, str]:
    import numpy
    import PIL
    import torch

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
    }


def _imported(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)
