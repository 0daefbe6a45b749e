"""Classical stylisation without a network: one filter a file, chains of them, and a registry.

>>> from impasto.filters import apply, parse
>>> chain = parse("kuwahara:radius=8+posterise:colours=6")

A new filter is one file that registers a class, one line below, and its test.
"""

from impasto.filters import (  # noqa: F401 - importing a filter registers it
    cartoon,
    halftone,
    histogram,
    kuwahara,
    painterly,
    posterise,
    quilting,
    reinhard,
    shinkai,
    sketch,
    stained_glass,
    stipple,
    watercolour,
)
from impasto.filters.base import FILTERS, Filter, Parameter, ReferenceFilter, parameters
from impasto.filters.catalogue import Row, describe, markdown
from impasto.filters.chain import apply, parse, unparse

__all__ = [
    "FILTERS",
    "Filter",
    "Parameter",
    "ReferenceFilter",
    "Row",
    "apply",
    "describe",
    "markdown",
    "parameters",
    "parse",
    "unparse",
]
