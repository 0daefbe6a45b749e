"""The losses of a job, step by step: a file that grows with it, and a picture of the curves.

A row has ``scale`` and ``step`` (both from 1, as in the names of numbered pictures), the weighted
value of every term before the step, ``loss``, their sum, what else was measured (in a .csv only
what the first row has), and ``seconds`` since the job began.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from impasto.errors import InputError, ResourceError
from impasto.events import Step

Row = dict[str, float]

#: Columns that are not terms.
PLACE, ENDING = ("scale", "step"), ("loss", "seconds")


def row_of(event: Step) -> Row:
    """A step as a row, but for the seconds. Waits for the device."""
    terms = {name: float(value) for name, value in event.terms.items()}
    place = {"scale": event.scale + 1, "step": event.index}
    return place | terms | {"loss": sum(terms.values())} | dict(event.figures)


def terms_of(rows: list[Row]) -> list[str]:
    """Names of the terms in ``rows``, in order."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [name for name in names if name not in PLACE + ENDING]


def read_log(path: Path) -> list[Row]:
    """What :class:`Log` wrote; a last line that was cut off is left out.

    Raises:
        InputError: It is something else.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            if path.suffix.lower() == ".csv":
                return [_numbers(row) for row in csv.DictReader(file) if None not in row.values()]
            return [_numbers(json.loads(line)) for line in file if line.endswith("\n")]
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not a log of losses", hint="remove it") from error


class Log:
    """Takes the steps of a job; writes them, a line at once, where a path is given.

    Args:
        path: A ``.csv`` or ``.jsonl`` file, or None.
        resume: Whether a job goes on: rows that are there stay, as far as they come before its
            first step.

    Attributes:
        rows: All so far.

    Raises:
        InputError: On resuming, what is there is no log.
        ResourceError: It cannot be written.
    """

    def __init__(self, path: Path | None, *, resume: bool = False) -> None:
        self.path = path
        self.rows: list[Row] = []
        if path is not None and resume and path.exists():
            self.rows = read_log(path)
        self._file: TextIO | None = None
        self._columns: list[str] = []
        self._begun = time.monotonic()

    def add(self, event: Step) -> None:
        """One more step."""
        row = row_of(event)
        if not self._columns:
            self._begin(row)
        row["seconds"] = round(time.monotonic() - self._begun, 3)
        self.rows.append(row)
        self._write([row])

    def close(self) -> None:
        """No more steps come."""
        if self._file is not None:
            self._file.close()

    def _begin(self, first: Row) -> None:
        """Keep those old rows that come before the first new one, and write them again."""
        self._columns = [*first, "seconds"]
        place = (first["scale"], first["step"])
        self.rows = [row for row in self.rows if (row["scale"], row["step"]) < place]
        if self.rows:
            self._begun -= self.rows[-1]["seconds"]
        if self.path is None:
            return
        try:
            self._file = self.path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise self._failed(error) from error
        self._write(self.rows, head=True)

    def _write(self, rows: list[Row], *, head: bool = False) -> None:
        if self._file is None or self.path is None:
            return
        try:
            if self.path.suffix.lower() == ".csv":
                table = csv.writer(self._file, lineterminator="\n")
                table.writerows([self._columns] if head else [])
                table.writerows([row.get(name, "") for name in self._columns] for row in rows)
            else:
                self._file.writelines(json.dumps(row) + "\n" for row in rows)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> ResourceError:
        return ResourceError(f"log {self.path} cannot be written: {error.strerror}")


def _numbers(row: Mapping[str, str | float]) -> Row:
    whole = {name: int(float(row[name])) for name in PLACE}
    return whole | {name: float(value) for name, value in row.items() if name not in PLACE}
