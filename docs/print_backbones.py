"""Prints the tables of ``docs/backbones.md`` and ``docs/weights.md`` from the registries.

``python docs/print_backbones.py``. The text between each pair of markers is replaced; a test
checks that it is current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from impasto.backbones import ARCHITECTURES, DEFAULT, ENTRIES, PREPROCESSING, load
from impasto.backbones.base import Backbone

FOLDER = Path(__file__).parent
MARK = re.compile(r"<!-- printed: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def networks() -> str:
    """A line for each architecture."""
    rows = ["| architecture | network | layers | classifier from | published in |"]
    rows.append("|---|---|---|---|---|")
    for name, arch in ARCHITECTURES:
        net = arch.outline()
        outer = [n for n, tap in net.table.items() if not tap.inner]
        first = next(n for n, tap in net.table.items() if not tap.stride)
        rows.append(
            f"| `{name}` | {arch.title} | {len(outer)} | "
            f"{net.table[first].min_size} px | {arch.paper} |"
        )
    return "\n".join(rows)


def layers() -> str:
    """Every layer of one network of each family, with channels, stride and smallest input."""
    parts = []
    for name in (
        "vgg19",
        "alexnet",
        "squeezenet1_1",
        "resnet50",
        "googlenet",
        "efficientnet_lite0",
    ):
        net = ARCHITECTURES.get(name).outline()
        parts += [f"### `{name}`", "", "| layer | channels | stride | smallest picture |"]
        parts += ["|---|---|---|---|", *_rows(net), ""]
    return "\n".join(parts).rstrip()


def _rows(net: Backbone) -> list[str]:
    """Layers in order; runs of equal shape on one line."""
    rows: list[tuple[list[str], tuple[int, int, int]]] = []
    for name, tap in net.table.items():
        if tap.inner:
            continue
        shape = (tap.channels, tap.stride, tap.min_size)
        if rows and rows[-1][1] == shape:
            rows[-1][0].append(name)
        else:
            rows.append(([name], shape))
    return [
        f"| {' '.join(f'`{n}`' for n in names)} | {c} | {s or 'whole picture'} | {m} px |"
        for names, (c, s, m) in rows
    ]


def levels() -> str:
    """What VGG's style layers become in every family."""
    style = [f"relu{b}_1" for b in range(1, 6)] + ["relu4_2"]
    rows = ["| | " + " | ".join(f"`{n}`" for n in style) + " |", "|---|" + "---|" * len(style)]
    nets = [load(DEFAULT)] + [
        ARCHITECTURES.get(n).outline()
        for n in ("alexnet", "squeezenet1_1", "resnet18", "resnet50", "googlenet",
                  "efficientnet_lite0")
    ]  # fmt: skip
    rows += [
        f"| `{net.name}` | " + " | ".join(f"`{net.nearest(n)}`" for n in style) + " |"
        for net in nets
    ]
    return "\n".join(rows)


def entries() -> str:
    """A line for each entry of weights."""
    rows = ["| weights | how they come | size | licence | what they are |", "|---|---|---|---|---|"]
    for name, entry in ENTRIES:
        how = {
            "embedded": "installs with impasto",
            "online": f"`impasto weights fetch {name}`",
            "converted": f"`impasto weights convert {entry.convert}`",
        }[entry.kind]
        size = f"{entry.megabytes} MB"
        rows.append(f"| `{name}` | {how} | {size} | {entry.licence} | {entry.origin} |")
    return "\n".join(rows)


def preprocessings() -> str:
    """What weights can expect of a picture, by name."""
    rows = ["| name | channels | scale | mean | std |", "|---|---|---|---|---|"]
    for name, seen in PREPROCESSING:
        mean, std = (", ".join(f"{v:.6g}" for v in values) for values in (seen.mean, seen.std))
        rows.append(f"| `{name}` | {seen.channels} | {seen.scale:g} | {mean} | {std} |")
    return "\n".join(rows)


TABLES: dict[str, Callable[[], str]] = {
    f.__name__: f for f in (networks, layers, levels, entries, preprocessings)
}


def printed(page: str) -> str:
    """``page`` with everything between markers renewed."""
    return MARK.sub(lambda m: f"<!-- printed: {m[1]} -->\n\n{TABLES[m[1]]()}\n\n<!-- end -->", page)


if __name__ == "__main__":
    for path in (FOLDER / "backbones.md", FOLDER / "weights.md"):
        path.write_text(printed(path.read_text(encoding="utf-8")), encoding="utf-8")
        sys.stdout.write(f"{path}\n")
