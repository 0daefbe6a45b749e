"""Time to the same loss: ``python benchmarks/time_to_loss.py [all [SIZE [FILE FILE ...]]]``.

Three ways to lower the same objective (the default recipe's, one scale, from the photo) on the
same weights, pictures and threads:

- impasto: its objective and its L-BFGS, as a job at one scale runs them;
- textbook: plain PyTorch, NCHW, ``torch.optim.LBFGS`` (20 pairs), the picture clamped where the
  objective is evaluated, the objective times the factor that serves it best;
- as coded: the same, with photo and painting extracted again in every evaluation, as the program of
  the fifth document does.

Two measurements (in place of ``all``, one can be named), because a curve over evaluations does
not depend on how fast one is. ``seconds``: of one evaluation of each way, the fastest of rounds
taken in turns in one process. ``curves``: the lowest value so far over evaluations for both
optimisers, on one objective (all three are equal to rounding). The ratio is GOAL x (seconds of a
way) / (evaluations that impasto needs for the value that the textbook loop has after GOAL x its
seconds).

Which valley a run ends in is chance: another rounding moves the value after 300 evaluations by 1 %,
and 1 % is a hundred evaluations. So give several pairs, FILE FILE FILE FILE ...: the median over
them counts.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from statistics import median

import torch
from textbook import Textbook, evaluated, interleaved, ours, pair
from torch import Tensor

from impasto.backbones import load
from impasto.engine.allocator import kept_memory
from impasto.engine.objective import Objective
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import PlainPixels
from impasto.recipes import RECIPES

#: Evaluations after which the textbook loop's value is the goal, and the most that impasto gets.
GOAL, MOST = 300, 450
#: Evaluations of impasto that are timed together: it keeps freed memory from one to the next, as in
#: a job, and the first pays for all.
TOGETHER = 20
#: Factors of the objective that torch's L-BFGS is tried with; the best counts.
SCALES = (1.0, 1e4)
KEPT = Path(tempfile.gettempdir()) / "impasto-time-to-loss.json"


def seconds(size: int, files: list[str]) -> dict[str, float]:
    backbone, pictures = load(pooling="avg"), pair(size, files)
    plain = torch.contiguous_format
    mine, textbook, coded = (
        ours(backbone, pictures),
        Textbook(backbone, pictures, plain),
        Textbook(backbone, pictures, plain, anew=True),
    )
    x = pictures.photo

    def kept() -> object:
        with kept_memory():
            return [evaluated(mine, x) for _ in range(TOGETHER)]

    ways: dict[str, Callable[[], object]] = {
        "impasto": kept,
        "textbook": lambda: evaluated(textbook, x),
        "as coded": lambda: evaluated(coded, x),
    }
    found = {name: times.fastest for name, times in interleaved(ways, 5).items()}
    return found | {"impasto": found["impasto"] / TOGETHER}


def curve_of_ours(objective: Objective, start: Tensor) -> list[float]:
    """Value at each evaluation."""
    settings = Optimiser(**RECIPES.get("impasto").optimizer.model_dump())
    run = Optimisation(PlainPixels(start, clamp=True), objective, settings, MOST)
    return [float(step.loss) for step in run.steps()]


def curve_of_torch(
    objective: Objective, start: Tensor, scale: float, most: int = GOAL
) -> list[float]:
    """Value at each evaluation of torch's L-BFGS, the objective multiplied by ``scale``."""
    x = start.clone().requires_grad_(True)
    values: list[float] = []
    optimiser = torch.optim.LBFGS([x], max_iter=most, max_eval=most, history_size=20)
    optimiser.param_groups[0]["tolerance_change"] = 0
    optimiser.param_groups[0]["tolerance_grad"] = 0

    def closure() -> Tensor:
        with torch.no_grad():
            x.clamp_(0, 1)
        optimiser.zero_grad()
        loss = torch.stack(list(objective(x).values())).sum()
        (loss * scale).backward()
        values.append(float(loss.detach()))
        return loss.detach() * scale

    with kept_memory():
        optimiser.step(closure)
    return values


def curves(size: int, files: list[str]) -> dict[str, list[float]]:
    """Of one pair."""
    backbone, pictures = load(pooling="avg"), pair(size, files)
    objective = ours(backbone, pictures)
    found = {"impasto": curve_of_ours(objective, pictures.photo)}
    for scale in SCALES:
        found[f"torch x {scale:g}"] = curve_of_torch(objective, pictures.photo, scale)
    return found


def needed(values: list[float], goal: float) -> float:
    """Evaluations until the lowest value so far is at ``goal``; infinite if it never is."""
    best = accumulate(values, min)
    return next((n for n, value in enumerate(best, 1) if value <= goal), float("inf"))


def table(found: dict[str, list[float]]) -> float:
    """Print the curves of a pair; evaluations of impasto for the textbook loop's last value."""
    print(f"{'evaluation':>12} " + " ".join(f"{name:>14}" for name in found))
    for n in (10, 20, 40, 60, 100, 150, 200, 250, 300, 350, 400):
        row = [min(values[:n]) if n <= len(values) else None for values in found.values()]
        cells = " ".join(f"{'-' if v is None else format(v, '.4f'):>14}" for v in row)
        print(f"{n:12} {cells}")
    goal = min(min(values) for name, values in found.items() if name != "impasto")
    count = needed(found["impasto"], goal)
    print(f"goal {goal:.4f}: torch's L-BFGS {GOAL}, impasto {count:g} evaluations")
    return count


def report(times: dict[str, float], every: list[dict[str, list[float]]]) -> None:
    """Print all curves, the median over the pairs, and what it comes to in time."""
    count = median(table(found) for found in every)
    print(f"median of {len(every)} pairs: {count:g} evaluations of impasto")
    mine = count * times["impasto"]
    for name in ("textbook", "as coded"):
        print(f"{name:9} {times[name]:.3f} s an evaluation: {GOAL * times[name] / mine:.2f} x ours")
    print(f"impasto   {times['impasto']:.3f} s an evaluation")


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else "all"
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 512
    kept = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() and what != "all" else {}
    if what in ("seconds", "all"):
        kept["seconds"] = seconds(size, sys.argv[3:5])
    if what in ("curves", "all"):
        files = sys.argv[3:]
        pairs = [files[i : i + 2] for i in range(0, len(files), 2)] or [[]]
        kept["curves"] = [curves(size, one) for one in pairs]
    KEPT.write_text(json.dumps(kept), encoding="utf-8")
    if len(kept) == 2:
        report(kept["seconds"], kept["curves"])


if __name__ == "__main__":
    main()
