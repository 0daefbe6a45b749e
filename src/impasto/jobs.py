"""From a request to a file: what every verb shares.

A verb registers its spec and a function that prepares a job; :func:`run` does the rest: checks
that the output can be written before any work, resumes, saves numbered pictures, and on the way
out writes either the finished picture or the picture so far and a checkpoint.

Importing this module loads neither torch nor numpy, so that the command line can list its verbs
at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import hashlib
import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import impasto
from impasto.errors import Diverged, UsageError
from impasto.events import Event, Finished, Saved, Step
from impasto.outputs import (
    STDOUT,
    beside,
    check_output,
    check_target,
    checkpoint_path,
    is_gif,
    is_page,
    numbered_ending,
    other_path,
)
from impasto.protocols import HasPages, HasRecipe, Job, NamesOthers, WritesModel
from impasto.registry import Registry
from impasto.specs import OutputSpec, Spec

if TYPE_CHECKING:
    from impasto.images import Kept, Picture, Source
    from impasto.records import Log

#: Seconds between checkpoints while a job runs; longer where one takes more than a twentieth.
CHECKPOINT_SECONDS = 60.0

#: From a name in a spec to the picture of that name.
Read = Callable[[str], "Picture"]


#: Verb to ``module:function`` of its spec and of the function that takes the spec and a
#: :data:`Read` and gives a :class:`Job`.
VERBS: Registry[tuple[str, str]] = Registry("verb")
VERBS.add("stylize", ("impasto.specs:StylizeSpec", "impasto.styling:prepare"))
VERBS.add("texture", ("impasto.specs:TextureSpec", "impasto.styling:prepare_texture"))
VERBS.add("filter", ("impasto.specs:FilterSpec", "impasto.filtering:prepare"))
VERBS.add("train", ("impasto.specs:TrainSpec", "impasto.training:prepare"))
VERBS.add("apply", ("impasto.specs:ApplySpec", "impasto.applying:prepare"))
VERBS.add("enhance", ("impasto.specs:EnhanceSpec", "impasto.enhancing:prepare"))
VERBS.add("visualize", ("impasto.specs:VisualizeSpec", "impasto.visualizing:prepare"))
VERBS.add("dream", ("impasto.specs:DreamSpec", "impasto.dreaming:prepare"))
VERBS.add("inspect", ("impasto.specs:InspectSpec", "impasto.inspecting:prepare"))


def spec_type(verb: str) -> type[Spec]:
    """The model of the requests of ``verb``."""
    found: type[Spec] = imported(VERBS.get(verb)[0])
    return found


def verb_of(spec: Spec) -> str:
    """The verb that ``spec`` is a request for."""
    for verb, (where, _) in VERBS:
        if where.endswith(f":{type(spec).__name__}"):
            return verb
    raise UsageError(f"no verb takes a {type(spec).__name__}")


def prepare(spec: Spec, output: OutputSpec, sources: Mapping[str, Any] | None = None) -> Job:
    """Check everything that can be checked and load the pictures.

    Args:
        spec: The request.
        output: Where to.
        sources: What to read in place of the pictures that ``spec`` names: another path, or
            anything else that :func:`impasto.images.load` takes. The record keeps the names.
    """
    return _prepared(spec, output, Reader(output.max_pixels, sources or {}))


def _prepared(spec: Spec, output: OutputSpec, reader: Reader) -> Job:
    _check_known(spec, output)
    _check_model(spec, output)
    inputs = [reader.sources.get(n, n) for n in strings(spec)]
    check_output(output, inputs, spec)
    make: Callable[[Spec, Read], Job] = imported(VERBS.get(verb_of(spec))[1])
    with _no_collection():
        job = make(spec, reader)
    for path in _page_paths(job, output).values():
        check_target(path, inputs, output, "PNG")
    if isinstance(job, NamesOthers) and output.output not in (None, STDOUT):
        for inner in job.others():
            check_target(str(other_path(str(output.output), inner)), inputs, output)
    if output.resume:
        _resume(job, spec, output)
    if output.save_recipe is not None:
        if not isinstance(job, HasRecipe):
            raise UsageError(f"{verb_of(spec)} has no recipe to save")
        job.save_recipe(output.save_recipe, force=output.force)
    return job


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """While torch is loaded no cycles are looked for: there are none, and it costs a third more."""
    pausing = "torch" not in sys.modules and gc.isenabled()
    if pausing:
        gc.disable()
    try:
        yield
    finally:
        if pausing:
            gc.enable()


@dataclasses.dataclass(frozen=True)
class Reader:
    """What reads the pictures of a job, and remembers what they were; see :func:`prepare`."""

    max_pixels: int
    sources: Mapping[str, Any]
    found: dict[str, Source] = dataclasses.field(default_factory=dict)

    def __call__(self, name: str) -> Picture:
        """The picture ``name``."""
        from impasto import images

        picture = images.load(
            self.sources.get(name, name), images.Limits(max_pixels=self.max_pixels)
        )
        source = self.found[name] = dataclasses.replace(picture.source, name=name)
        return dataclasses.replace(picture, source=source)

    def kept(self, spec: Spec, output: OutputSpec) -> Kept | None:
        """What of the photo's file goes with the result, where that is wished for."""
        name = getattr(spec, spec.original) if output.keep_metadata and spec.original else None
        return self.found[name].kept if name in self.found else None

    def given(self, name: str) -> Any:
        """What the caller gave in place of ``name``, as it is; None where there is nothing."""
        return self.sources.get(name)


def run(
    spec: Spec,
    output: OutputSpec | None = None,
    sources: Mapping[str, Any] | None = None,
    *,
    checkpoint_seconds: float | None = None,
) -> Iterator[Event]:
    """Do what ``spec`` asks, as events; the picture is saved before the last one.

    Closing the iterator stops the job: the picture so far and a checkpoint are saved where the
    output would have gone, so that ``resume`` can go on.

    Args:
        spec: The request.
        output: Where to; without, nothing is written and the last event carries the picture.
        sources: As for :func:`prepare`.
        checkpoint_seconds: Least time between two checkpoints (:data:`CHECKPOINT_SECONDS`).

    Raises:
        ImpastoError: Bad input, missing weights, not enough memory ... before any heavy work.
    """
    output = output or OutputSpec.build()
    least = CHECKPOINT_SECONDS if checkpoint_seconds is None else checkpoint_seconds
    reader = Reader(output.max_pixels, sources or {})
    job = _prepared(spec, output, reader)
    keep = reader.kept(spec, output)
    if follows():
        silent = {"output": None, "log": None, "plot": None, "save_every": 0}
        output = output.model_copy(update=silent)
    log = _log(output)
    begun = saved = time.monotonic()
    done, pause = False, least
    try:
        for event in job.events():
            if isinstance(event, Finished):
                event = _save(job, spec, output, event, keep)
                done = True
                yield from _others(output, event)
                yield from _close_log(log, output)
            if isinstance(event, Step) and log is not None:
                log.add(event)
            yield event
            if isinstance(event, Step):
                yield from _numbered(output, event)
                if time.monotonic() - saved > pause:
                    saved = time.monotonic()
                    _save_checkpoint(job, spec, output)
                    took, saved = time.monotonic() - saved, time.monotonic()
                    pause = least * max(1.0, took / 3)
    except (GeneratorExit, Diverged):
        if job.begun and not done:
            finished = job.finished(time.monotonic() - begun, complete=False)
            _write(job, spec, output, finished, keep, force=True)
            _save_checkpoint(job, spec, output)
            list(_close_log(log, output))
        raise


def follows() -> bool:
    """Whether another one of several processes that ``torchrun`` started writes and talks."""
    return int(os.environ.get("RANK", "0")) > 0


def metadata(job: Job, spec: Spec, *, complete: bool = True) -> dict[str, Any]:
    """What travels in the output: enough to make it again, and nothing that changes by itself."""
    return {
        "impasto": impasto.__version__,
        "verb": verb_of(spec),
        "spec": spec.model_dump(mode="json", exclude_defaults=True),
        "settings": job.settings(),
        "inputs": job.described(),
        "versions": versions(),
        "complete": complete,
    }


def strings(spec: Spec) -> Iterator[str]:
    """Every string in ``spec``, also those in lists: among them the names of its pictures."""
    for value in spec.model_dump().values():
        for text in value if isinstance(value, tuple) else (value,):
            if isinstance(text, str):
                yield text


def renamed(spec: Spec, names: Mapping[str, str]) -> Spec:
    """``spec`` with every string that is a key of ``names`` replaced by its value."""
    changes: dict[str, Any] = {}
    for field, value in spec.model_dump().items():
        if isinstance(value, str):
            changes[field] = names.get(value, value)
        elif isinstance(value, tuple):
            changes[field] = tuple(names.get(v, v) if isinstance(v, str) else v for v in value)
    return spec.model_copy(update=changes)


def _check_known(spec: Spec, output: OutputSpec) -> None:
    """Refuse what means nothing for the verb."""
    for field, about in OutputSpec.model_fields.items():
        if field in spec.refused() and getattr(output, field) != about.default:
            raise UsageError(f"{verb_of(spec)} takes no {field.replace('_', '-')}")


def _check_model(spec: Spec, output: OutputSpec) -> None:
    """A model needs a file of its own kind."""
    if spec.product != "model" or output.output is None:
        return
    if Path(output.output).suffix.lower() != ".safetensors":
        raise UsageError(
            f"{output.output} is no name for a model", hint="it must end in .safetensors"
        )


def _page_paths(job: Job, output: OutputSpec) -> dict[str, str]:
    """Where the pages of ``job`` go, by their endings; empty where the output is a picture."""
    path = output.output
    if path in (None, STDOUT) or not is_page(str(path)) or not isinstance(job, HasPages):
        return {}
    return {end: str(other_path(str(path), end)) if end else str(path) for end in job.endings()}


def _save(job: Job, spec: Spec, output: OutputSpec, event: Finished, keep: Kept | None) -> Finished:
    path = _write(job, spec, output, event, keep, force=output.force or output.resume)
    if path is not None and path != STDOUT:
        checkpoint_path(path).unlink(missing_ok=True)
    if is_gif(output):
        event = dataclasses.replace(event, others={})  # they are in the file
    return dataclasses.replace(
        event,
        path=path,
        metadata=metadata(job, spec, complete=event.complete),
        pages=tuple(_page_paths(job, output).values()),
    )


def _write(
    job: Job, spec: Spec, output: OutputSpec, event: Finished, keep: Kept | None, *, force: bool
) -> str | None:
    if output.output is None:
        return None
    if isinstance(job, WritesModel):
        job.write_model(Path(output.output), metadata(job, spec, complete=event.complete))
        return output.output
    from impasto import images

    if isinstance(job, HasPages) and (paths := _page_paths(job, output)):
        pages = job.pages({end: Path(path).name for end, path in paths.items()})
        for end, path in reversed(paths.items()):  # the output last: then all links lead somewhere
            images.save_bytes(pages[end].encode(), path, force=force)
        return output.output
    record = metadata(job, spec, complete=event.complete)
    if is_gif(output):
        from impasto.images.animation import save_gif

        ms, frames = event.frame_ms, event.others.values()
        save_gif(frames, output.output, milliseconds=ms, metadata=record, force=force)
        return output.output
    images.save(
        event.image, output.output, alpha=event.alpha, metadata=record, force=force, keep=keep
    )
    for inner, image in event.others.items() if output.output != STDOUT else ():
        images.save(image, other_path(output.output, inner), force=force, keep=keep)
    return output.output


def _others(output: OutputSpec, event: Finished) -> Iterator[Saved]:
    if output.output not in (None, STDOUT):
        for inner in event.others if not event.pages else ():
            yield Saved(str(other_path(str(output.output), inner)), "picture")
        for path in event.pages[1:]:
            yield Saved(path, "page")


def _numbered(output: OutputSpec, event: Step) -> Iterator[Saved]:
    if not (output.save_every and output.output and output.output != STDOUT):
        return
    if event.index % output.save_every:
        return
    from impasto import images

    target = Path(output.output)
    path = beside(target, f"-{event.scale + 1}-{event.index:05d}", numbered_ending(output.output))
    images.save(images.from_tensor(event.image()), path, force=True)
    yield Saved(str(path), "picture")


def _log(output: OutputSpec) -> Log | None:
    if output.log is None and output.plot is None:
        return None
    from impasto.records import Log

    return Log(None if output.log is None else Path(output.log), resume=output.resume)


def _close_log(log: Log | None, output: OutputSpec) -> Iterator[Saved]:
    """Close the file, draw the curves."""
    if log is None:
        return
    log.close()
    if output.log is not None:
        yield Saved(output.log, "log")
    if output.plot is not None:
        import numpy as np

        from impasto import images
        from impasto.plots import plot

        title = "" if output.output in (None, STDOUT) else Path(str(output.output)).name
        curves = np.asarray(plot(log.rows, title), np.float32) / 255
        images.save(curves, output.plot, force=output.force or output.resume)
        yield Saved(output.plot, "plot")


def _fingerprint(job: Job, spec: Spec) -> str:
    """Equal for jobs that may continue each other: same request, numbers and pixels.

    Pictures count by their content, not by name; where the job runs does not count.
    """
    inputs = job.described()
    digests = {entry["name"]: entry["sha256"] for entry in inputs.values()}
    request = renamed(spec, digests).model_dump(mode="json", exclude={"device", "tile"})
    text = json.dumps([verb_of(spec), request, job.settings()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _save_checkpoint(job: Job, spec: Spec, output: OutputSpec) -> None:
    if output.output is None or output.output == STDOUT:
        return  # nothing that a later run could find it by
    from impasto.engine.checkpoint import save_checkpoint

    content = {"fingerprint": _fingerprint(job, spec), "state": job.state()}
    save_checkpoint(checkpoint_path(output.output), content)


def _resume(job: Job, spec: Spec, output: OutputSpec) -> None:
    from impasto.engine.checkpoint import load_checkpoint

    path = checkpoint_path(output.output or STDOUT)
    content = load_checkpoint(path)
    if content["fingerprint"] != _fingerprint(job, spec):
        raise UsageError(
            f"checkpoint {path} belongs to other settings or pictures",
            hint="give the same ones, or start without --resume",
        )
    job.load(content["state"])


def versions() -> Mapping[str, str]:
    """Of what the pixels depend on."""
    import numpy
    import PIL
    import torch

    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
    }


def imported(where: str) -> Any:
    """The thing called ``module:name``."""
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)
