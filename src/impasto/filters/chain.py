"""Filters one after another: ``kuwahara:radius=8+posterise:colours=6``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace

from torch import Tensor

from impasto.errors import UnknownName, UsageError
from impasto.filters.base import FILTERS, Filter, Parameter, Value, check_picture, parameters

#: The parameter of every filter that draws at random.
SEED = "seed"

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


def adjusted(chain: Iterable[Filter], settings: Iterable[str]) -> list[Filter]:
    """The chain with some parameters changed.

    Args:
        chain: From :func:`parse`.
        settings: Each ``key=value``; goes to the one filter that has such a parameter.

    Raises:
        UnknownName: No filter of the chain has such a parameter.
        UsageError: It is no ``key=value``, several filters have such a parameter, it is given
            twice, or the value is out of range.

    >>> unparse(adjusted(parse("kuwahara+posterise"), ["radius=8"]))
    'kuwahara:radius=8.0+posterise'
    """
    steps = list(chain)
    known = [{p.name: p for p in parameters(type(step))} for step in steps]
    done: set[str] = set()
    for setting in settings:
        key, word = _pair(setting, "set")
        if key in done:
            raise UsageError(f"set: {key} is given twice", hint="keep one")
        done.add(key)
        places = [i for i, names in enumerate(known) if key in names]
        if not places:
            every = {name for names in known for name in names}
            raise UnknownName(f"parameter of {'+'.join(s.name for s in steps)}", key, every)
        owners = [steps[i].name for i in places]
        if len(places) > 1:
            raise UsageError(
                f"{key} is a parameter of {' and of '.join(owners)}",
                hint=f"write {owners[0]}:{key}={word} in the chain",
            )
        value = _read(owners[0], known[places[0]][key], word)
        steps[places[0]] = replace(steps[places[0]], **{key: value})
    return steps


def seeded(chain: Iterable[Filter], seed: int) -> list[Filter]:
    """The chain with ``seed`` as the seed of every filter that draws at random."""
    return [replace(step, **{SEED: seed}) if draws(step) else step for step in chain]


def draws(step: Filter) -> bool:
    """Whether a filter draws at random."""
    return any(parameter.name == SEED for parameter in parameters(type(step)))


def numbers(chain: Iterable[Filter]) -> list[dict[str, Value]]:
    """Every filter with all its parameters, explicit, for the record."""
    return [{"filter": step.name, **asdict(step)} for step in chain]


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
        key, word = _pair(setting, name)
        if key not in known:
            raise UnknownName(f"parameter of {name}", key, known)
        if key in values:
            raise UsageError(f"{name}: {key} is given twice", hint="keep one")
        values[key] = _read(name, known[key], word)
    return kind(**values)


def _pair(setting: str, owner: str) -> tuple[str, str]:
    """Key and value of ``key=value``."""
    key, equals, word = (bit.strip() for bit in setting.partition("="))
    if not equals or not word:
        raise UsageError(f"{owner}: {setting!r} is not a setting", hint="write key=value")
    return key, word


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
