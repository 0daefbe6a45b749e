"""The findings without pictures: as JSON, and as tables for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from impasto.events import Table
from impasto.inspecting.measure import LayerView
from impasto.inspecting.sheet import Findings, number, percent


def as_json(found: Findings) -> dict[str, Any]:
    """Everything, in plain lists and numbers."""
    height, width = found.photo.shape[:2]
    report: dict[str, Any] = {
        "backbone": found.backbone,
        "seen": {"width": width, "height": height},
        "layers": [_layer(view, found.fields.get(view.name)) for view in found.views],
        "classifier": found.classifier,
        "classes": [{"name": g.name, "probability": g.probability} for g in found.classes],
        "inversion": None,
    }
    if found.inversion is not None:
        rows, columns = found.inversion.image.shape[:2]
        report["inversion"] = {
            "layer": found.inversion.layer,
            "error": found.inversion.error,
            "width": columns,
            "height": rows,
        }
    return report


def _layer(view: LayerView, field: int | None) -> dict[str, Any]:
    stats = view.stats
    return {
        "name": view.name,
        "shape": [view.channels, view.height, view.width],
        "stride": view.stride,
        "receptive_field": field,
        **{"min": stats.min, "max": stats.max, "mean": stats.mean, "std": stats.std},
        "zeros": view.zeros,
        "dead": view.dead,
        "bytes": view.bytes,
        "maps": [m.channel for m in view.maps] if view.stride else [],
        "gram": _gram(view),
    }


def _gram(view: LayerView) -> dict[str, Any] | None:
    if view.gram is None:
        return None
    low, high = float(view.gram.min()), float(view.gram.max())
    mean = float(view.gram.mean(dtype="float64"))
    return {"shape": list(view.gram.shape), "min": low, "max": high, "mean": mean}


def as_tables(report: dict[str, Any]) -> tuple[Table, ...]:
    """Layers, Gram matrices, classes; what there is nothing to say of is left out."""
    layers = report["layers"]
    tables = [
        Table(
            f"layers of {report['backbone']}",
            ("layer", "C x H x W", "sees", "min", "max", "mean", "std", "zeros", "dead", "MB"),
            tuple(tuple(_layer_cells(row)) for row in layers),
        ),
        Table(
            "Gram matrices, F F^T / (H W)",
            ("layer", "C x C", "min", "max", "mean"),
            tuple(tuple(_gram_cells(row)) for row in layers if row["gram"]),
        ),
        Table(
            f"classes, by {report['classifier']}",
            ("class", "probability"),
            tuple((g["name"], percent(g["probability"])) for g in report["classes"]),
        ),
    ]
    if (inversion := report["inversion"]) is not None:
        cells = (inversion["layer"], number(inversion["error"]))
        tables.append(Table("inversion", ("layer", "feature error"), (cells,)))
    return tuple(table for table in tables if table.rows)


def _layer_cells(row: dict[str, Any]) -> Iterator[str]:
    yield row["name"]
    yield " x ".join(map(str, row["shape"]))
    field = row["receptive_field"]
    yield f"{field} px" if field else "all" if not row["stride"] else "?"
    for key in ("min", "max", "mean", "std"):
        yield number(row[key])
    yield percent(row["zeros"])
    yield percent(row["dead"])
    yield f"{row['bytes'] / 1e6:.{0 if row['bytes'] >= 1e7 else 1 if row['bytes'] >= 1e5 else 3}f}"


def _gram_cells(row: dict[str, Any]) -> Iterator[str]:
    yield row["name"]
    yield " x ".join(map(str, row["gram"]["shape"]))
    for key in ("min", "max", "mean"):
        yield number(row["gram"][key])
