"""``impasto rerun``: a picture made again from the settings that it carries."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

import impasto
from impasto import jobs, outputs
from impasto.cli.session import Session
from impasto.cli.verbs import run_job
from impasto.errors import ImpastoError, InputError
from impasto.events import Started
from impasto.specs import OutputSpec, Spec


def rerun(
    session: Session,
    picture: str,
    /,
    *,
    output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make a picture again from the settings that it carries; the inputs must still be there.

    Args:
        session: Where to talk.
        picture: A picture made by impasto.
        output: The file to write (default: NAME-rerun beside the picture).
        force: Overwrite what exists.
    """
    from impasto import images

    record = images.read_metadata(picture)
    if record is None:
        raise InputError(f"{picture} carries no settings of impasto")
    spec = recorded_spec(record, picture)
    folder = Path(picture).parent
    sources = {
        entry["name"]: locate(entry["name"], entry["sha256"], folder)
        for entry in record["inputs"].values()
    }
    target = output or str(outputs.beside(Path(picture), "-rerun", Path(picture).suffix))
    out = OutputSpec.build(output=target, force=force)
    run_job(spec, out, session, sources, lambda started: differences(record, started))


def recorded_spec(record: Mapping[str, Any], picture: str) -> Spec:
    """The request in a picture's settings.

    Raises:
        InputError: They are not those of a job that this version knows.
    """
    try:
        return jobs.spec_type(record["verb"]).build(**record["spec"])
    except ImpastoError as error:
        reason = error.message
    except (KeyError, TypeError):
        reason = "they are incomplete"
    made = record.get("impasto", "unknown")
    raise InputError(f"the settings in {picture} (impasto {made}) cannot be used: {reason}")


def locate(name: str, sha256: str, folder: Path) -> str:
    """Where the input ``name`` is now: as recorded, or relative to ``folder``, or in it.

    Raises:
        InputError: It is nowhere, or what is there has other bytes than it had.
    """
    if name == "-" or name.startswith("<"):
        where = "standard input" if name == "-" else f"memory ({name})"
        raise InputError(f"an input came from {where}; it cannot be found again")
    changed = ""
    for path in dict.fromkeys((Path(name), folder / name, folder / Path(name).name)):
        if not path.is_file():
            continue
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found == sha256:
            return str(path)
        changed = changed or f"{path} has changed: its sha256 is {found[:12]}, not {sha256[:12]}"
    raise InputError(
        changed or f"input {name} is not there any more",
        hint=f"put the original into {folder.resolve()}",
    )


def differences(record: Mapping[str, Any], started: Started) -> Iterator[str]:
    """Why the new picture may differ from the old one."""
    if record.get("complete") is False:
        yield "the original was stopped early; this run goes on to its end"
    versions = {"impasto": impasto.__version__, **jobs.versions()}
    before = {**record.get("versions", {}), "impasto": record.get("impasto")}
    changed = [f"{k} {before.get(k)}, now {v}" for k, v in versions.items() if before.get(k) != v]
    if changed:
        yield f"made with {'; '.join(changed)}: the pixels may differ"
    if dict(started.settings) != record.get("settings"):
        yield f"the numbers of recipe {started.settings.get('name')} have changed since"
