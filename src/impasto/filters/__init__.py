"""Classical stylisation without a network: one filter a file, chains of them, and a registry."""

from impasto.filters import (
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
from impasto.filters.chain import apply, parse, unparse

__all__ = [
    "FILTERS",
    "Filter",
    "Parameter",
    "ReferenceFilter",
    "apply",
    "kuwahara",
    "parameters",
    "parse",
    "unparse",
]
