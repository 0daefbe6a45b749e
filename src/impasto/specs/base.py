"""What every request has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from impasto.errors import UsageError


class Spec(BaseModel):
    """A request for a job: the same object for the command line, the API and the studio.

    Field descriptions are the help texts; ranges are checked here and nowhere else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=False)

    @classmethod
    def build(cls, **values: Any) -> Any:
        """Validate ``values``.

        Raises:
            UsageError: One line that names the first field in error, the value and what is
                allowed.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"]) or cls.__name__
            message = first["msg"].removeprefix("Value error, ")
            message = message[:1].lower() + message[1:]
            shown = "" if isinstance(first["input"], dict) else f", not {first['input']!r}"
            raise UsageError(f"{name.replace('_', '-')}: {message}{shown}") from None
