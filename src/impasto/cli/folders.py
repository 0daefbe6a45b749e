"""A verb for every picture of a folder, one after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from impasto import jobs, outputs
from impasto.cli.errors import lines
from impasto.cli.session import Session
from impasto.errors import Cancelled, ImpastoError, InputError, UsageError
from impasto.specs import OutputSpec

#: Extensions of the results, by those of the pictures; others become .png.
WRITTEN = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff")
#: What is taken for a picture.
READ = (*WRITTEN, ".gif", ".bmp", ".heic", ".heif")


def folder_of(name: str, values: dict[str, Any]) -> Path | None:
    """The folder that a command line names where the verb ``name`` takes a picture, if it does."""
    field = jobs.spec_type(name).each
    value = values.get(field) if field else None
    return Path(value) if isinstance(value, str) and value and Path(value).is_dir() else None


def run_folder(
    name: str, folder: Path, values: dict[str, Any], outputs: dict[str, Any], session: Session
) -> None:
    """Run ``name`` for each picture in ``folder``; the output is a folder, too.

    A picture that cannot be used is reported, and the others go on.

    Raises:
        UsageError: The output is no folder, or two results would have the same name.
        InputError: There are no pictures, or some could not be used.
        Cancelled: It was stopped; what was finished stays.
    """
    from impasto.cli.verbs import run_job

    field = str(jobs.spec_type(name).each)
    pairs = list(_pairs(folder, str(outputs.get("output", ""))))
    done: list[str] = []
    failed: list[str] = []
    quiet = Session(session.interrupts, json=False, quiet=True, debug=session.debug)
    for number, (source, target) in enumerate(pairs, 1):
        spec = jobs.spec_type(name).build(**{**values, field: str(source)})
        output = OutputSpec.build(**{**outputs, "output": str(target)})
        session.note(f"{number}/{len(pairs)} {source.name}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            finished = run_job(spec, output, quiet, answer=not session.json)
        except (Cancelled, KeyboardInterrupt):
            raise Cancelled(f"stopped after {len(done)} of {len(pairs)} pictures") from None
        except ImpastoError as error:
            failed.append(str(source))
            session.note("".join(lines(error)).replace("  hint: ", "; "))
        else:
            done.append(str(finished.path))
    if failed:
        names = ", ".join(Path(f).name for f in failed[:5])
        raise InputError(
            f"{len(failed)} of {len(pairs)} pictures failed: {names}", hint="the others are done"
        )
    if session.json:
        session.answer("", {"outputs": done})


def _pairs(folder: Path, output: str) -> Iterator[tuple[Path, Path]]:
    """Each picture and the file for its result."""
    if output in ("", outputs.STDOUT) or Path(output).is_file():
        raise UsageError(f"{folder} is a folder", hint="name a folder with -o for the results")
    if Path(output).resolve() == folder.resolve():
        raise UsageError(f"{output} holds the pictures themselves", hint="name another folder")
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in READ and p.is_file())
    if not found:
        raise InputError(f"there are no pictures in {folder}")
    taken: dict[str, Path] = {}
    for source in found:
        ending = source.suffix if source.suffix.lower() in WRITTEN else ".png"
        target = Path(output) / f"{source.stem}{ending}"
        other = taken.setdefault(os.path.normcase(target.name), source)
        if other is not source:
            raise UsageError(f"{other.name} and {source.name} would both become {target.name}")
        yield source, target
