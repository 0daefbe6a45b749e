"""Is the estimate of memory right? ``python benchmarks/memory.py [SIZE:TILE ...]``.

Each job, a square picture of SIZE px by the default recipe, in tiles of TILE px, ``recompute`` or
``off``, runs at its last scale in a process of its own for two steps; with ``+bfloat16`` behind
TILE, its network in that precision. The table shows the estimate that was made before it began,
the peak that the system counted, their ratio, and the seconds of the second step.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CASES = (
    *("256:off", "512:off", "1024:off", "1024:recompute", "1024:256"),
    *("1024:512", "2048:off", "2048:256", "2048:512", "4096:256", "4096:512"),
)


def peak() -> float:
    """The most memory that this process has had, in bytes (Linux)."""
    rows = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    row = next(r for r in rows if r.startswith("VmHWM:"))
    return float(row.split()[1]) * 1024


def single(size: int, tile: str, steps: int) -> dict[str, Any]:
    """Run one job in this process; what it was estimated to take, what it took."""
    from impasto import images, samples
    from impasto.events import Step
    from impasto.recipes import Schedule
    from impasto.specs import StylizeSpec
    from impasto.styling import tiling
    from impasto.styling.inputs import Inputs
    from impasto.styling.plan import resolve
    from impasto.styling.run import Stylization

    photo = images.load(samples.photo("harbour", (384, 384)))
    painting = images.load(samples.painting("nocturne", (384, 384)))
    tile, _, precision = tile.partition("+")
    spec = StylizeSpec.build(
        content="photo", style=("painting",), size=size, tile=tile, precision=precision or "float32"
    )
    recipe = resolve(spec)
    schedule = Schedule(ratio=1.0, smallest=16, steps={recipe.quality: (steps,)})
    recipe = recipe.model_copy(update={"schedule": schedule})
    job = Stylization(spec, recipe, Inputs(photo, (painting,)))
    layers = [n for t in recipe.terms for n in t.layers]
    edge = size + 2 * recipe.margin
    needs = tiling.Needs(recipe, job.backbone, layers, (edge, edge))
    ways = {"off": needs.whole, "recompute": needs.recomputed}
    found = ways[tile]() if tile in ways else needs.tiled(int(tile)).memory
    begun, times = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        for event in job.events():
            if isinstance(event, Step):
                times.append(time.monotonic() - begun)
        images.save(event.image, Path(folder) / "out.png")  # type: ignore[union-attr]
    return {"estimate": found, "peak": peak(), "step": times[-1] - times[0]}


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--child"]:
        size, tile, steps = sys.argv[2:]
        print(json.dumps(single(int(size), tile, int(steps))))
        return
    print(
        "|  size | tiles | estimate, GB | measured, GB | ratio | step, s |\n" + "|---" * 6 + "|",
        flush=True,
    )
    for case in sys.argv[1:] or CASES:
        size, _, tile = case.partition(":")
        command = [sys.executable, __file__, "--child", size, tile or "off", "2"]
        child = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(child.stdout.splitlines()[-1])
        need, took = row["estimate"] / 1e9, row["peak"] / 1e9
        print(
            f"| {size} | {tile or 'off'} | {need:.2f} | {took:.2f} | {need / took:.2f} "
            f"| {row['step']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
