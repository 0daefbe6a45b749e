"""Filters one after another: ``kuwahara:radius=8+posterise:colours=6``."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from impasto.errors import UnknownName, UsageError
from impasto.filters.base import FILTERS, Filter, Parameter, Value, check_picture, parameters

_SWITCH = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


def parse(text: str) -> list[Filter]:
    """Filters from their names and settings.

    ``name``, ``name:key=value,key=value``, joined by ``+``; spaces around the parts are ignored.

    Raises:
        UnknownName: No such filter, or no such parameter of it; the nearest names are suggested.
        UsageError: An empty part, a setting that is not ``key=value``, a value that cannot be
            read, or one that is out of range (the range is in the message).

    >>> [step.name for step in parse("kuwahara:radius=8 + posterise")]
    ['kuwahara', 'posterise']
    """
    return [_one(part.strip(), text) for part in text.split("+")]


def apply(chain: Iterable[Filter], image: Tensor, reference: Tensor | None = None) -> Tensor:
    """Run the filters in order.

    Args:
        chain: From :func:`parse`; an empty chain copies.
        image: ``(1, 3, H, W)`` float32, sRGB in [0, 1].
        reference: For the filters that need a second picture.

    Returns:
        A new tensor like ``image``.

    Raises:
        InputError: Not such a picture.
        UsageError: A filter needs a reference and has none.
    """
    steps = list(chain)
    if reference is None:
        needy = [step.name for step in steps if step.needs_reference]
        if needy:
            raise UsageError(
                f"{', '.join(needy)} needs a second picture to take from",
                hint="give a reference picture",
            )
    check_picture(image)
    result = image.clone()
    for step in steps:
        result = step(result, reference)
    return result


def unparse(chain: Iterable[Filter]) -> str:
    """The shortest text that :func:`parse` turns into an equal chain."""
    return "+".join(_spell(step) for step in chain)


def _one(part: str, text: str) -> Filter:
    name, _, settings = part.partition(":")
    name = name.strip()
    if not name:
        raise UsageError(f"a filter is missing in {text!r}", hint="write name+name, e.g. kuwahara")
    kind = FILTERS.get(name)
    known = {parameter.name: parameter for parameter in parameters(kind)}
    values: dict[str, Value] = {}
    for setting in filter(None, (piece.strip() for piece in settings.split(","))):
        key, equals, word = (bit.strip() for bit in setting.partition("="))
        if not equals or not word:
            raise UsageError(f"{name}: {setting!r} is not a setting", hint="write key=value")
        if key not in known:
            raise UnknownName(f"parameter of {name}", key, known)
        if key in values:
            raise UsageError(f"{name}: {key} is given twice", hint="keep one")
        values[key] = _read(name, known[key], word)
    return kind(**values)


def _read(owner: str, parameter: Parameter, word: str) -> Value:
    """The value that ``word`` spells for this parameter."""
    default = parameter.default
    if isinstance(default, str):
        return word
    try:
        if isinstance(default, bool):
            return _SWITCH[word.lower()]
        return int(word) if isinstance(default, int) else float(word)
    except (ValueError, KeyError):
        raise UsageError(
            f"{owner}: {parameter.name} cannot be {word!r}", hint=f"allowed: {parameter.range}"
        ) from None


def _spell(step: Filter) -> str:
    pairs = [
        f"{parameter.name}={_word(value)}"
        for parameter in parameters(type(step))
        if (value := getattr(step, parameter.name)) != parameter.default
    ]
    return f"{step.name}:{','.join(pairs)}" if pairs else step.name


def _word(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else repr(value)
