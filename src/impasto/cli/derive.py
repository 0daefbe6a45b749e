"""From a spec to the options of a command: names, help, ranges and defaults are stated there.

A required field is a positional argument, in the order of the fields; a required tuple, or one
that is marked so, takes all that are left. Every other field is an option. Values reach the spec
as the strings they were typed as, so that the spec alone decides what is allowed.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import annotated_types as at
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from impasto.specs import Spec
from impasto.specs.base import FILES, PAINTINGS, PLACES, SETTINGS, WORDS

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
#: A layer, a name such as ``starry-night``: no folder and no extension, unlike pictures
#: (``features.21`` is a layer).
_WORD = re.compile(r"[A-Za-z]\w*(-\w+)*(\.\d+)*")
#: A layer, or several, of one of several paintings: ``2:relu3_1,relu4_1``.
_NUMBERED = re.compile(r"\d+:[A-Za-z]")
#: An item of a list of settings: ``radius=8``.
_SETTING = re.compile(r"[A-Za-z]\w*=[^=]*")
_SHORT = {"output": "-o"}
#: Stands for a positional ``-``, which the parser would take for an option. No argument of a
#: process can hold a NUL.
STDIN = "\0stdin"


@dataclass(frozen=True)
class Option:
    """One argument of a command.

    Attributes:
        field: Of the spec.
        help: What it does.
        required: There is no default.
        place: It is given as words, without an option.
        many: A list.
        switch: Takes no value.
        numeric: Its value or items are numbers.
        files: Its items are files, or any words.
        settings: Its items are settings, ``key=value``.
        allowed: Choices or range, as text; may be empty.
        default: As text; may be empty.
    """

    field: str
    help: str
    required: bool
    place: bool
    many: bool
    switch: bool
    numeric: bool
    files: bool
    settings: bool
    allowed: str
    default: str

    @property
    def flag(self) -> str:
        """``--like-this``."""
        return "--" + self.field.rstrip("_").replace("_", "-")  # class_ is class

    @property
    def flags(self) -> tuple[str, ...]:
        """All spellings."""
        short = _SHORT.get(self.field)
        return (self.flag, short) if short else (self.flag,)

    def takes(self, token: str) -> bool:
        """Whether ``token`` can be one more item of this list, and not a picture."""
        word = _SETTING if self.settings else _WORD
        return bool((_NUMBER if self.numeric else word).fullmatch(token))

    def text(self) -> str:
        """Help with what is allowed and the default."""
        extra = [f"[{self.allowed}]"] if self.allowed else []
        extra += [f"(default {self.default})"] if self.default else []
        return " ".join([self.help, *extra])


def options(spec: type[Spec]) -> list[Option]:
    """Every field of ``spec``, in order."""
    return [_option(name, field) for name, field in spec.model_fields.items()]


def _option(name: str, field: FieldInfo) -> Option:
    kind, many = _kind(field.annotation)
    return Option(
        field=name,
        help=" ".join((field.description or "").split()),
        required=field.is_required(),
        place=field.is_required() or field.json_schema_extra in (PLACES, PAINTINGS),
        many=many,
        switch=kind is bool,
        numeric=kind in (int, float),
        files=field.json_schema_extra in (FILES, WORDS),
        settings=field.json_schema_extra == SETTINGS,
        allowed=_allowed(kind, many, field.metadata),
        default=_default(field.default),
    )


def _kind(annotation: Any) -> tuple[Any, bool]:
    """The type of a value or of an item, and whether it is a list; ``None`` is left out."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        annotation = next(a for a in typing.get_args(annotation) if a is not types.NoneType)
    if typing.get_origin(annotation) is tuple:
        return typing.get_args(annotation)[0], True
    return annotation, False


def _allowed(kind: Any, many: bool, metadata: Iterable[Any]) -> str:
    if typing.get_origin(kind) is Literal:
        return " | ".join(str(choice) for choice in typing.get_args(kind))
    low = high = ""
    for item in metadata:
        if isinstance(item, at.Ge | at.Gt):
            low = str(item.ge) if isinstance(item, at.Ge) else f"more than {item.gt}"
        if isinstance(item, at.Le | at.Lt):
            high = str(item.le) if isinstance(item, at.Le) else f"less than {item.lt}"
    if many or not (low or high):
        return ""
    if not high:
        return low if low.startswith("more") else f"{low} or more"
    return f"{low} to {high}" if low else f"up to {high}"


def _default(value: Any) -> str:
    if value is PydanticUndefined or value is None or value is False:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def regrouped(argv: Sequence[str], known: Iterable[Option]) -> list[str]:
    """``argv`` in one spelling: ``--flag=value``, lists as one flag per item.

    ``--style-blend 0.7,0.3``, ``--style-blend 0.7 0.3`` and the flag given twice mean the same.
    A list takes the words after it as long as they can be items of it and cannot be files; one
    with commas is complete. A list of files takes one word, and all up to the next option where
    everything that is required stands before it; its commas belong to names. A ``-`` after an
    option is its value (stdin or stdout), any other one becomes :data:`STDIN`.
    """
    options = list(known)
    lists = {flag: o for o in options if o.many and not o.place for flag in o.flags}
    valued = {flag: o for o in options if not o.switch for flag in o.flags}
    missing = sum(o.place for o in options)
    done: list[str] = []
    rest = list(argv)
    while rest:
        token = rest.pop(0)
        if token == "--":
            return [*done, token, *rest]
        name, equals, value = token.partition("=")
        if name in lists:
            items = _items(lists[name], [value] if equals else [], rest, greedy=missing <= 0)
            done += [f"{lists[name].flag}={item}" for item in items] or [token]
        elif token in valued and rest and rest[0] == "-":
            done.append(f"{valued[token].flag}={rest.pop(0)}")
        elif token in valued and rest and not rest[0].startswith("-"):
            done += [token, rest.pop(0)]
        else:
            missing -= token == "-" or not token.startswith("-")
            done.append(STDIN if token == "-" else token)
    return done


def _items(option: Option, items: list[str], rest: list[str], *, greedy: bool) -> list[str]:
    """The items of a list: those that its flag came with and what it takes from ``rest``."""
    if option.files:
        while rest and (greedy or not items) and (rest[0] == "-" or not rest[0].startswith("-")):
            items.append(rest.pop(0))
        return items
    while rest and not _complete(items, rest) and _is_item(option, rest[0], first=not items):
        items.append(rest.pop(0))
    return [part for item in items for part in item.split(",")]


def _complete(items: Sequence[str], rest: Sequence[str]) -> bool:
    """Whether a list with commas is over; a word such as ``2:relu3_1`` goes on with it."""
    return bool(items) and "," in items[-1] and not _NUMBERED.match(rest[0])


def _is_item(option: Option, token: str, *, first: bool) -> bool:
    if first:  # whatever it is, the spec will judge it, unless it is the next option
        return not token.startswith("-") or bool(_NUMBER.fullmatch(token))
    numbered = not option.numeric and _NUMBERED.match(token)
    return bool(numbered) or option.takes(token)
