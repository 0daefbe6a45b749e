"""Pages from specs: every verb's fields for the page, and every request checked before its job.

The JSON schema of a spec says all that a page needs; a new verb has its page at once. What can be
a picture is marked in the spec, or has one of the names in :data:`PICTURES`.

A request from outside may name nothing but pictures that the studio has: it can reach no file.
"""

from __future__ import annotations

import functools
import inspect
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from impasto import jobs
from impasto.errors import InputError, UsageError

#: Kinds of fields that hold what was brought, and nothing else.
THINGS = ("picture", "pictures", "folder", "model")
#: Names of fields that are pictures, or models, where the spec does not say so.
PICTURES = re.compile(
    r"(content|image|photo|picture|painting|exemplar|reference|guide|keep|target|\w*mask)s?"
)
MODELS = re.compile(r"model|checkpoint")
#: Names of fields that are folders of pictures.
FOLDERS = re.compile(r"photos|folders?")
#: Fields that are shown at once; the rest is folded away.
DIALS = {
    *("name", "recipe", "size", "quality", "style_weight", "style_scale", "colors"),
    *("layer", "layers", "channel", "channels", "class_", "neuron", "octaves", "scale", "set"),
    *("maps", "invert", "gram", "seamless", "width", "height"),
}
#: Most pictures in a folder.
FOLDER_MOST = 500
#: Fields that mean something to whoever runs the server only.
HIDDEN = frozenset({"device", "precision", "tile"})
_WORD = re.compile(r"[^\x00-\x1f\x7f/\\]{0,1000}")
_DRIVE = re.compile(r"[A-Za-z]:(?![\w.])|[A-Za-z]:.*\.\w+$")
_FILE = re.compile(r"\.(toml|png|jpe?g|webp|tiff?|avif|safetensors|pth?|npy|mat|h5)$", re.I)

Known = Callable[[str], str | None]
"""From an id to the kind of thing it is (``"upload"``, ``"model"`` ...), or None."""


@dataclass(frozen=True)
class Field:
    """One field of a page.

    Attributes:
        name: In the request.
        kind: ``picture``, ``pictures``, ``folder`` (any number of pictures), ``start`` (a picture,
            a model or a word), ``model`` (one that was brought, or the
            name of one), ``choice``,
            ``switch``, ``integer``, ``number``, ``numbers``, ``words``, ``settings`` or ``text``.
        help: One line.
        required: There is no default.
        default: What holds without a word of the client.
        low: Least value, and ``high`` the largest.
        above: Whether ``low`` itself is too little.
        high: See ``low``.
        least: Fewest items, and ``most`` the most.
        most: See ``least``.
        choices: All that is allowed, for choices; otherwise names that are known.
        dial: Shown at once.
        single: Of folders: the spec takes one, not several.
    """

    name: str
    kind: str
    help: str
    required: bool = False
    default: Any = None
    low: float | None = None
    high: float | None = None
    above: bool = False
    least: int = 0
    most: int | None = None
    choices: tuple[str, ...] = ()
    dial: bool = False
    single: bool = False


@dataclass(frozen=True)
class Form:
    """A page.

    Attributes:
        verb: What it does.
        help: One line.
        product: What comes out: ``picture`` or ``model``.
        fields: In order.
    """

    verb: str
    help: str
    product: str = "picture"
    fields: tuple[Field, ...] = field(default_factory=tuple)

    def view(self) -> dict[str, Any]:
        """For clients."""
        return asdict(self)


@functools.cache
def form(verb: str) -> Form:
    """The page of a verb.

    Raises:
        UnknownName: There is no such verb.
    """
    model = jobs.spec_type(verb)
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    fields = tuple(
        _field(name, entry, name in required or bool(entry.get("places") and "minItems" in entry))
        for name, entry in schema["properties"].items()
        if name not in HIDDEN
    )
    return Form(verb, inspect.cleandoc(model.__doc__ or "").split("\n\n")[0], model.product, fields)


def _field(name: str, entry: dict[str, Any], required: bool) -> Field:
    plain = next((e for e in entry.get("anyOf", ()) if e.get("type") != "null"), entry)
    kind = _kind(name, entry, plain)
    low, above = plain.get("minimum"), "exclusiveMinimum" in plain
    return Field(
        name=name,
        kind=kind,
        help=_help(entry.get("description", "")),
        required=required,
        default=entry.get("default"),
        low=plain["exclusiveMinimum"] if above else low,
        above=above,
        high=plain.get("maximum", plain.get("exclusiveMaximum")),
        least=plain.get("minItems", 0),
        most=FOLDER_MOST if kind == "folder" else plain.get("maxItems"),
        choices=tuple(str(c) for c in plain.get("enum", ())),
        single=kind == "folder" and plain.get("type") != "array",
        dial=required or kind in THINGS or name in DIALS,
    )


def _kind(name: str, entry: dict[str, Any], plain: dict[str, Any]) -> str:
    many = plain.get("type") == "array"
    item = plain.get("items", {}) if many else plain
    if entry.get("settings"):
        return "settings"
    if "enum" in plain or "const" in plain:
        return "choice"
    if item.get("type") == "string":
        return _text_kind(name, entry, many)
    if many:
        return "numbers"
    simple = {"boolean": "switch", "integer": "integer", "number": "number"}
    return simple.get(str(plain.get("type")), "text")


def _text_kind(name: str, entry: dict[str, Any], many: bool) -> str:
    mark = entry.get("picture")
    if mark == "or word" or name == "init":
        return "start"
    if entry.get("folder") or (many and FOLDERS.fullmatch(name)):
        return "folder"
    if mark or entry.get("files") or entry.get("places") or PICTURES.fullmatch(name):
        return "pictures" if many else "picture"
    if entry.get("model") or MODELS.fullmatch(name):
        return "model"
    return "words" if many else "text"


def _help(text: str) -> str:
    """Help without what only the command line has."""
    text = re.sub(
        r"[;,:] (see|those of) `[^`]*`[^.;]*|; - reads standard input|; a folder takes all in it",
        "",
        text,
    )
    text = re.sub(r"; or a \.toml file with one| that `impasto \w+` \w+", "", text)
    return " ".join(re.sub(r"--(?=[a-z])", "", text).split())


def checked(verb: str, request: dict[str, Any], known: Known) -> tuple[dict[str, Any], list[str]]:
    """A request as it goes into the queue.

    Args:
        verb: What to do.
        request: From a client.
        known: Tells the things that the studio has.

    Returns:
        The request without what is left at its default, and the ids of its pictures.

    Raises:
        UsageError: A field is unknown, out of range, or names something that it may not.
        InputError: A picture is not there.
    """
    single = [f.name for f in form(verb).fields if f.single and request.get(f.name)]
    # One folder is a name for the spec; here it is a list of pictures.
    spec = jobs.spec_type(verb).build(**request | dict.fromkeys(single, "folder"))
    values = spec.model_dump(mode="json", exclude_defaults=True)
    for name in single:
        if not isinstance(request[name], list) or len(request[name]) > FOLDER_MOST:
            raise UsageError(f"{name} must be a list of at most {FOLDER_MOST} pictures")
        values[name] = [str(item) for item in request[name]]
    kinds = {entry.name: entry.kind for entry in form(verb).fields}
    uses: list[str] = []
    for name, value in values.items():
        kind = kinds.get(name, "text")
        uses += [text for text in _texts(value) if _is_picture(name, kind, text, known)]
    return values, list(dict.fromkeys(uses))


def _is_picture(name: str, kind: str, text: str, known: Known) -> bool:
    """Whether ``text`` is one of our pictures; words are checked to be nothing but words."""
    shown = name.replace("_", "-")
    if kind in (*THINGS, "start") and _is_id(text):
        found = known(text)
        if found is None:
            raise InputError(f"{shown}: this picture is not here any more", hint="bring it again")
        if kind != "start" and (found == "model") != (kind == "model"):
            raise InputError(f"{shown} takes a {'model' if kind == 'model' else 'picture'}")
        return True
    if kind in THINGS and kind != "model":
        raise UsageError(f"{shown} must be a picture that was uploaded", hint="upload it first")
    if not is_word(text):
        raise UsageError(f"{shown} may not name a file", hint="upload it and use its id")
    return False


def is_word(text: str) -> bool:
    """Whether ``text`` can name no file: no folder, no drive, no file name, no ``-``."""
    return (
        bool(_WORD.fullmatch(text))
        and text.strip() not in ("-", ".", "..", "~")
        and not text.startswith("~")
        and not _DRIVE.match(text)
        and not _FILE.search(text)
    )


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
