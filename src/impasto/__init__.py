"""impasto: neural style transfer and its family.

>>> import impasto
>>> result = impasto.stylize("photo.jpg", "painting.jpg", size=512)  # doctest: +SKIP
>>> result.save("out.png")  # doctest: +SKIP

Importing this package loads neither torch nor numpy; the names below are resolved when they are
first used. The room of a verb never has the verb's own name (``impasto.styling`` is the room of
:func:`impasto.stylize`), since importing a submodule binds its name here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impasto.api import (
        Result,
        apply,
        dream,
        dream_steps,
        enhance,
        filter,
        inspect,
        layers,
        stylize,
        stylize_steps,
        texture,
        train,
        visualize,
        visualize_steps,
    )
    from impasto.errors import ImpastoError

__version__ = "0.1.0"

_HOMES = {
    "ImpastoError": "impasto.errors",
    "Result": "impasto.api",
    "apply": "impasto.api",
    "dream": "impasto.api",
    "dream_steps": "impasto.api",
    "enhance": "impasto.api",
    "filter": "impasto.api",
    "inspect": "impasto.api",
    "layers": "impasto.api",
    "stylize": "impasto.api",
    "stylize_steps": "impasto.api",
    "texture": "impasto.api",
    "train": "impasto.api",
    "visualize": "impasto.api",
    "visualize_steps": "impasto.api",
}

__all__ = [
    "ImpastoError",
    "Result",
    "__version__",
    "apply",
    "dream",
    "dream_steps",
    "enhance",
    "filter",
    "inspect",
    "layers",
    "stylize",
    "stylize_steps",
    "texture",
    "train",
    "visualize",
    "visualize_steps",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'impasto' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
