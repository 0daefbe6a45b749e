"""How time and memory grow with size: ``python benchmarks/growth.py FILE [SIZE[:TILE] ...]``.

Measures one evaluation (objective and gradient) of the default recipe at each SIZE, in tiles of
TILE px where given, and each loss alone on the features of one layer, and adds the figures to
FILE (JSON). Without sizes it prints the tables of what is there and draws ``FILE`` with ``.png``.
Give one size at a time where the machine must be quiet for it. Peaks are what the system counts,
above what the process held before (Linux).
"""

from __future__ import annotations

import json
import math
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from impasto.plots import COLOURS, EDGE, FIELD, GRID, INK, SIZE, _font

LAYER = "relu3_1"
#: Losses on the picture itself.
ON_PICTURE = ("tv", "range", "laplacian")
#: Largest picture on which single losses are measured, px.
MOST = 2048


def peak_of(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of a call, and bytes of its peak above what was held before."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the high-water mark
    before, begun = _status("VmRSS:"), time.perf_counter()
    call()
    return time.perf_counter() - begun, _status("VmHWM:") - before


def _status(field: str) -> float:
    rows = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(r for r in rows if r.startswith(field)).split()[1]) * 1024


def measured(size: int, tile: int | None) -> dict[str, Any]:
    """Seconds and bytes of one evaluation, and of each loss, at ``size``."""
    import torch

    from impasto import images, samples
    from impasto.backbones import load
    from impasto.engine.objective import IMAGE, goal_for
    from impasto.engine.store import LARGE, Store
    from impasto.engine.tiled import Tiles
    from impasto.images.resize import resize
    from impasto.recipes import find_recipe
    from impasto.styling import tiling
    from impasto.styling.goals import make_term

    recipe = find_recipe("impasto")
    net = load(recipe.backbone, pooling=recipe.pooling, padding=recipe.padding)
    tiles = None if tile is None else Tiles(tile, Store(LARGE))
    scene = images.to_tensor(images.load(samples.photo("harbour", (256, 256))))
    photo = resize(scene, (size, size)).clamp(0, 1)
    other = photo.flip(-1)
    eyes = tiling.eyes(net, tiles)
    painting = resize(other, (min(size, 512),) * 2)
    goals = [
        goal_for(make_term(t), eyes, [painting if t.role == "style" else other], [1.0])
        for t in recipe.terms
    ]
    objective = tiling.objective(net, goals, tiles, normalize_gradients=False)

    def evaluate() -> None:
        x = photo.clone().requires_grad_(True)
        torch.stack(list(objective(x).values())).sum().backward()

    # The first call of a process also measures kernels; large ones take too long for a second.
    runs = [peak_of(evaluate) for _ in range(1 if size > 2048 else 2)]
    found: dict[str, Any] = {
        "size": size,
        "tile": tile,
        "seconds": min(s for s, _ in runs),
        "bytes": max(b for _, b in runs),
        "losses": {},
    }
    if size <= MOST and tile is None:
        with torch.no_grad():
            pair = [net.taps(x, [LAYER])[LAYER] for x in (photo, other)]
        pictures = {LAYER: pair, IMAGE: [photo, other]}
        found["losses"] = of_losses(pictures)
    return found


def of_losses(pictures: Mapping[str, Any]) -> dict[str, list[float]]:
    """Seconds and bytes of each loss with its default settings, and its gradient."""
    import torch

    from impasto.engine.objective import IMAGE
    from impasto.losses import LOSSES

    found = {}
    for name, kind in LOSSES:
        loss, (mine, theirs) = kind(), pictures[IMAGE if name in ON_PICTURE else LAYER]
        together = kind.joint

        def evaluate(
            loss: Any = loss, mine: Any = mine, theirs: Any = theirs, together: bool = together
        ) -> None:
            target = loss.target((theirs,) if together else theirs)
            x = mine.clone().requires_grad_(True)
            value = loss((x,) if together else x, target)
            torch.autograd.grad(value, x)

        evaluate()
        found[name] = list(peak_of(evaluate))
    return found


def tables(rows: list[dict[str, Any]]) -> str:
    """Two tables in Markdown."""
    lines = [
        "| size, px | tiles | s | µs / px | peak, GB | bytes / px |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        pixels = row["size"] ** 2
        cells = [
            str(row["size"]),
            str(row["tile"] or "off"),
            f"{row['seconds']:.2f}",
            f"{row['seconds'] / pixels * 1e6:.2f}",
            f"{row['bytes'] / 1e9:.2f}",
            f"{row['bytes'] / pixels:.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    whole = [row for row in rows if row["losses"]]
    names = sorted({name for row in whole for name in row["losses"]})
    head = " | ".join(f"{row['size']} px" for row in whole)
    lines += ["", f"| loss, ms (MB) | {head} |", "|---|" + "--:|" * len(whole)]
    for name in names:
        pairs = [row["losses"].get(name) for row in whole]
        texts = [f"{1e3 * p[0]:.0f} ({p[1] / 1e6:.0f})" if p else "" for p in pairs]
        lines.append(f"| {name} | {' | '.join(texts)} |")
    return "\n".join(lines)


def drawn(rows: list[dict[str, Any]]) -> Image.Image:
    """Seconds and gigabytes of an evaluation over the size, both axes logarithmic."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    kinds = {
        "seconds, whole": [(r["size"], r["seconds"]) for r in rows if not r["tile"]],
        "seconds, in tiles": [(r["size"], r["seconds"]) for r in rows if r["tile"]],
        "GB, whole": [(r["size"], r["bytes"] / 1e9) for r in rows if not r["tile"]],
        "GB, in tiles": [(r["size"], r["bytes"] / 1e9) for r in rows if r["tile"]],
    }
    values = [v for points in kinds.values() for _, v in points]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    sizes = sorted({r["size"] for r in rows})
    left, top, right, bottom = FIELD

    def place(size: float, value: float) -> tuple[float, float]:
        x = math.log2(size / sizes[0]) / math.log2(sizes[-1] / sizes[0])
        y = (math.log10(value) - low) / (high - low)
        return left + 20 + x * (right - left - 40), bottom - y * (bottom - top)

    for exponent in range(low, high + 1):
        y = place(sizes[0], 10.0**exponent)[1]
        draw.line((left, y, right, y), fill=GRID)
        draw.text((left - 8, y), f"{10.0**exponent:g}", fill=INK, font=_font(13), anchor="rm")
    for size in sizes:
        x = place(size, 1)[0]
        draw.line((x, top, x, bottom), fill=GRID)
        draw.text((x, bottom + 6), f"{size} px", fill=INK, font=_font(13), anchor="mt")
    draw.rectangle(FIELD, outline=EDGE)
    for index, (name, points) in enumerate(kinds.items()):
        spots = [place(*p) for p in sorted(points)]
        draw.line(spots, fill=COLOURS[index], width=3, joint="curve")
        for spot in spots:
            draw.circle(spot, 4, fill=COLOURS[index])
        draw.line((left + 20, top + 24 + 22 * index, left + 50, top + 24 + 22 * index),
                  fill=COLOURS[index], width=4)  # fmt: skip
        draw.text((left + 60, top + 24 + 22 * index), name, fill=INK, font=_font(14), anchor="lm")
    title = "One evaluation of the default recipe, objective and gradient"
    draw.text((left, 14), title, fill=INK, font=_font(15))
    return image


def about() -> str:
    """The machine and the commit."""
    import torch

    model = next(
        (r.partition(":")[2].strip() for r in Path("/proc/cpuinfo").read_text().splitlines()
         if r.startswith("model name")), platform.processor(),
    )  # fmt: skip
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"{model}, {torch.get_num_threads()} threads, torch {torch.__version__}, commit {commit}"


def main() -> None:
    """Measure, or show what was measured."""
    file, cases = Path(sys.argv[1]), sys.argv[2:]
    known = json.loads(file.read_text()) if file.exists() else {"about": "", "rows": []}
    for case in cases:
        size, _, tile = case.partition(":")
        row = measured(int(size), int(tile) if tile else None)
        same = (row["size"], row["tile"])
        rows = [r for r in known["rows"] if (r["size"], r["tile"]) != same]
        known["rows"] = sorted([*rows, row], key=lambda r: (r["size"], r["tile"] or 0))
        known["about"] = about()
        file.write_text(json.dumps(known, indent=1))
    if not cases:
        print(known["about"], tables(known["rows"]), sep="\n\n")
        drawn(known["rows"]).save(file.with_suffix(".png"))


if __name__ == "__main__":
    main()
