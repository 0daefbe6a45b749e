"""What every request has in common."""

from __future__ import annotations

import difflib
import reprlib
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic_core import ErrorDetails

from impasto.errors import UnknownName, UsageError

#: What is said for pydantic's kinds of errors; the names in braces are from its context.
_MESSAGES = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "too_short": "needs at least {min_length}",
    "too_long": "takes at most {max_length}",
    "missing": "is required",
}
#: Marks a field whose items are files: a list of them takes every word up to the next option.
FILES: dict[str, JsonValue] = {"files": True}
#: Marks a field whose items may be any words, with commas and signs; read as a list of files is.
WORDS: dict[str, JsonValue] = {"words": True}
#: Marks a field that is a folder of pictures on this machine.
FOLDER: dict[str, JsonValue] = {"folder": True}
#: Marks a field that is a picture, or whose items are.
PICTURE: dict[str, JsonValue] = {"picture": True}
#: Marks a list of pictures that is given as words, and may be missing where the rest says so.
PAINTINGS: dict[str, JsonValue] = {"picture": True, "places": True, "minItems": 1}
#: Marks a field that is a picture or a word.
PICTURE_OR_WORD: dict[str, JsonValue] = {"picture": "or word"}
#: Marks a field whose items are settings, ``key=value``.
SETTINGS: dict[str, JsonValue] = {"settings": True}
#: Marks a list with a default that is given as words, without an option.
PLACES: dict[str, JsonValue] = {"places": True}
#: What a frozen network computes in: the default, all of them, and what is said of the choice.
FULL: Literal["float32"] = "float32"
Precision = Literal["float32", "bfloat16", "float16"]
PRECISION = (
    "What the network computes in; losses and the picture stay in float32. Fewer bits save memory, "
    "and time on some devices; float16 is not for CPUs."
)


class Spec(BaseModel):
    """A request for a job: the same object for the command line, the API and the studio.

    Field descriptions are the help texts; ranges are checked here and nowhere else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    #: Fields of the output that mean nothing for this verb; they are refused.
    without: ClassVar[frozenset[str]] = frozenset()

    #: What the output is.
    product: ClassVar[Literal["picture", "model"]] = "picture"

    #: The field for a picture that may name a folder of them on the command line.
    each: ClassVar[str | None] = None

    #: The field for the picture of which the result is a version.
    original: ClassVar[str | None] = None

    def others(self) -> tuple[str, ...]:
        """Pictures that are written beside the output: ``("-invert",)`` is ``NAME-invert.EXT``."""
        return ()

    @property
    def moves(self) -> bool:
        """Whether the result is a sequence, which a .gif can hold."""
        return False

    def refused(self) -> frozenset[str]:
        """Fields of the output that mean nothing for this request."""
        return self.without

    def pages(self) -> bool:
        """Whether the result can be a web page, ``-o NAME.html``, as well as a picture."""
        return False

    @classmethod
    def build(cls, **values: Any) -> Self:
        """Validate ``values``.

        Raises:
            UsageError: One line that names the first field in error, the value and what is
                allowed.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "extra_forbidden":
                raise UnknownName("option", str(first["loc"][0]), cls.model_fields) from None
            raise UsageError(_message(first, cls.__name__), hint=_hint(first)) from None


def _message(error: ErrorDetails, model: str) -> str:
    """``"size must be at least 32, not 3"``."""
    path = [str(part) for part in error["loc"]]
    if not path:  # a rule about several fields says itself which
        return error["msg"].removeprefix("Value error, ") or model
    name, kind, value = path[0].rstrip("_").replace("_", "-"), error["type"], error["input"]
    if kind == "missing":
        return f"{name} is required"
    if kind in ("too_long", "too_short"):
        got = len(value) if isinstance(value, list | tuple) else value
        return f"{name} {_MESSAGES[kind].format(**error['ctx'])}, not {got}"
    known = _MESSAGES.get(kind)
    text = known.format(**error.get("ctx", {})) if known else _lowered(error["msg"])
    shown = value if isinstance(value, str) and value else reprlib.repr(value)
    return f"{name} {text}, not {shown}"


def _lowered(text: str) -> str:
    text = text.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _hint(error: ErrorDetails) -> str:
    if error["type"] != "literal_error":
        return ""
    choices = error["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
    close = difflib.get_close_matches(str(error["input"]), choices, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else ""
