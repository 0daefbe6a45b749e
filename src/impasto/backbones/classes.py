"""The thousand classes of ImageNet, and the view of a picture that classifiers are trained on."""

from __future__ import annotations

import difflib
from functools import cache
from importlib.resources import files

import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError, UnknownName, UsageError


@cache
def _rows() -> tuple[tuple[str, str], ...]:
    text = files("impasto.backbones").joinpath("data/imagenet_classes.txt").read_text("utf-8")
    return tuple((line[:9], line[10:]) for line in text.splitlines())


def class_names() -> tuple[str, ...]:
    """The names of the classes, in the order of :meth:`Backbone.classify`."""
    return tuple(name for _, name in _rows())


def class_ids() -> tuple[str, ...]:
    """Their WordNet ids, such as ``"n01440764"``, in the same order."""
    return tuple(ident for ident, _ in _rows())


def class_number(text: str) -> int:
    """The class that ``text`` means: its number, its name or its WordNet id.

    Args:
        text: ``"207"``, ``"golden retriever"``, ``"golden_retriever"`` or ``"n02099601"``; case
            does not count.

    Raises:
        UnknownName: There is no such class; the message suggests the nearest names.
        UsageError: Two classes have this name.

    >>> class_number("golden_retriever")
    207
    """
    rows = _rows()
    if text.isdecimal():
        if int(text) < len(rows):
            return int(text)
        raise UsageError(f"there is no class {text}", hint=f"classes are 0 to {len(rows) - 1}")
    wanted = _plain(text)
    found = [i for i, (ident, name) in enumerate(rows) if wanted in (ident, _plain(name))]
    if not found:
        raise _unknown(text)
    if len(found) > 1:
        numbers = " and ".join(map(str, found))
        raise UsageError(f"two classes are called {text}", hint=f"their numbers are {numbers}")
    return found[0]


def _unknown(text: str) -> UnknownName:
    names = {_plain(name): name for _, name in _rows()}
    parts = [name for plain, name in names.items() if _plain(text) in plain.split()]
    close = difflib.get_close_matches(_plain(text), names, n=3, cutoff=0.6)
    error = UnknownName("class", text, ())
    some = (parts or [names[plain] for plain in close])[:3]
    error.hint = f"did you mean {', '.join(some)}?" if some else "the classes are ImageNet's"
    return error


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def classifier_view(x: Tensor, *, resize: int = 256, crop: int = 224) -> Tensor:
    """The middle of a picture, as classifiers expect it.

    Args:
        x: (B, 3, H, W) in [0, 1].
        resize: The short side is brought to this many pixels (bicubic, antialiased) ...
        crop: ... and a square of this edge is cut from the middle.

    Returns:
        (B, 3, crop, crop) in [0, 1].

    Raises:
        InputError: The picture has no pixels.
    """
    height, width = x.shape[-2:]
    if min(height, width) < 1:
        raise InputError(f"a picture of {width} x {height} px has no pixels")
    factor = resize / min(height, width)
    size = [max(crop, round(height * factor)), max(crop, round(width * factor))]
    x = F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
    top, left = (size[0] - crop) // 2, (size[1] - crop) // 2
    return x[..., top : top + crop, left : left + crop].contiguous()
