"""Requests as plain values: the strings in them, and the same with other names."""

from __future__ import annotations

from typing import Any


def strings(value: Any) -> list[str]:
    """Every string in a request."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in strings(item)]


def with_names(value: Any, names: dict[str, str]) -> Any:
    """A request with every string that is a key of ``names`` replaced."""
    if isinstance(value, str):
        return names.get(value, value)
    if isinstance(value, dict):
        return {key: with_names(item, names) for key, item in value.items()}
    return [with_names(item, names) for item in value] if isinstance(value, list) else value
