"""Recipes as files: one's own methods in TOML, with all numbers."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from impasto.errors import InputError, ResourceError, UsageError
from impasto.recipes.model import Recipe
from impasto.recipes.one_pass import OnePass

#: Files larger than this are not recipes, in bytes.
MOST_BYTES = 1 << 20
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_INTEGERS = (-(2**63), 2**63 - 1)


def read_recipe(path: Path) -> Recipe | OnePass:
    """The recipe in a .toml file.

    Raises:
        InputError: The file cannot be read.
        UsageError: It is not TOML, or a field is missing, unknown or out of range; the message
            names it.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} is too large for a recipe", hint=f"{MOST_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise InputError(
            f"recipe {path}: {reason}", hint="impasto recipes lists the others"
        ) from None
    except (UnicodeDecodeError, ValueError):
        raise UsageError(f"recipe {path} is not a text file") from None
    try:
        return parse_recipe(text)
    except UsageError as error:
        raise UsageError(f"recipe {path}: {error.message}", hint=error.hint) from None


def parse_recipe(text: str) -> Recipe | OnePass:
    """The recipe in a TOML text; one of a single pass says ``kind = "one-pass"``.

    Raises:
        UsageError: It is not TOML, or a field is missing, unknown or out of range.
    """
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"not TOML: {str(error).splitlines()[0]}") from None
    model = OnePass if data.get("kind") == "one-pass" else Recipe
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UsageError(_first_line(error, data)) from None


def write_recipe(recipe: Recipe | OnePass, path: Path, *, force: bool = False) -> None:
    """Write ``recipe`` to a .toml file, whole or not at all.

    Raises:
        UsageError: The name does not end in .toml, or the file exists and ``force`` is false.
        ResourceError: It could not be written; what was there before is untouched.
    """
    if path.suffix.lower() != ".toml":
        raise UsageError(f"a recipe is a .toml file, not {path.name}")
    if path.exists() and not force:
        raise UsageError(f"{path} exists", hint="--force overwrites it")
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(print_recipe(recipe))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise ResourceError(f"could not write recipe {path}: {error.strerror}") from None


def print_recipe(recipe: Recipe | OnePass) -> str:
    """A recipe as TOML that :func:`parse_recipe` reads back as the same recipe."""
    return "\n".join(_table(recipe.model_dump(mode="python", exclude_none=True), ())) + "\n"


def _table(data: dict[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Lines of a table: its values first, then the tables in it."""
    tables = {k: v for k, v in data.items() if isinstance(v, dict) or _is_tables(v)}
    for key, value in data.items():
        if key not in tables:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        inner = (*path, _key(key))
        for item in value if not isinstance(value, dict) else (value,):
            name = ".".join(inner)
            yield ""
            yield f"[{name}]" if isinstance(value, dict) else f"[[{name}]]"
            yield from _table(item, inner)


def _is_tables(value: Any) -> bool:
    several = isinstance(value, list | tuple) and bool(value)
    return several and all(isinstance(item, dict) for item in value)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not _INTEGERS[0] <= value <= _INTEGERS[1]:
            raise UsageError(f"{value} is too large for a recipe file")
        return str(value)
    if isinstance(value, float):
        # TOML wants digits on both sides of the point, which repr gives, and no "1e16".
        text = repr(value) if math.isfinite(value) else str(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    return _string(str(value))


def _string(text: str) -> str:
    """A basic string; JSON's escapes are TOML's, but for DEL and lone surrogates."""
    clean = text.encode("utf-8", "replace").decode()
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")


def _first_line(error: ValidationError, data: dict[str, Any]) -> str:
    """``"terms.style.weight must be ..."``: the first field in error, terms by name."""
    first = error.errors()[0]
    words: list[str] = []
    here: Any = data
    for part in first["loc"]:
        here = _inside(here, part)
        named = isinstance(part, int) and isinstance(here, dict) and here.get("name")
        words.append(str(named or part))
    field = ".".join(words) or "the recipe"
    kind, text = first["type"], first["msg"].removeprefix("Value error, ")
    if kind == "missing":
        return f"{field} is missing"
    if kind == "extra_forbidden":
        return f"{field} is not a field of a recipe"
    if kind == "value_error":
        return text
    return f"{field}: {text[:1].lower()}{text[1:]}, not {str(first['input'])[:60]!r}"


def _inside(data: Any, part: int | str) -> Any:
    try:
        return data[part]
    except (KeyError, IndexError, TypeError):
        return None
