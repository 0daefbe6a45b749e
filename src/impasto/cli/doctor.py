"""``impasto doctor``: what is installed, what works, and how fast."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import time
from itertools import pairwise
from typing import Any

import impasto
from impasto.cli.session import Session
from impasto.errors import WeightsError
from impasto.estimate import clock
from impasto.events import Step

#: Extra to the modules that it brings.
EXTRAS = {
    "formats": ("scipy", "h5py", "pi_heif"),
    "examples": ("skimage",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "tensorboard": ("tensorboard",),
    "studio": ("fastapi", "uvicorn"),
}
PACKAGES = ("torch", "numpy", "Pillow", "safetensors", "pydantic", "cyclopts", "rich")
#: Longest side of the measurement and of the pictures whose time is estimated, in px.
MEASURED, ESTIMATED = 256, 512


def doctor(session: Session) -> None:
    """Check the installation: versions, devices, memory, weights, formats, speed."""
    report: dict[str, Any] = {
        "versions": versions(),
        "extras": extras(),
        "devices": devices(),
        "kernels": kernels(),
        "memory": memory(),
        "weights": weights(),
        "formats": formats(),
    }
    healthy = all(w["state"] == "verified" for w in report["weights"])
    report["speed"] = speed() if healthy else None
    session.answer("\n".join(lines(report)), report)
    if not healthy:
        broken = next(w for w in report["weights"] if w["state"] != "verified")
        raise WeightsError(broken["state"], hint=broken["hint"])


def versions() -> dict[str, str]:
    """Of impasto, Python, the system and the packages that matter."""
    found = {"impasto": impasto.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name.lower()] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name.lower()] = "not installed"
    return found | {"system": f"{platform.system()} {platform.machine()}"}


def extras() -> dict[str, dict[str, bool]]:
    """Which modules of each optional extra are there."""
    return {
        extra: {module: importlib.util.find_spec(module) is not None for module in modules}
        for extra, modules in EXTRAS.items()
    }


def devices() -> list[dict[str, Any]]:
    """Where jobs can run; the first one is what ``auto`` takes."""
    import torch

    found = [
        {"name": f"cuda:{i}", "what": torch.cuda.get_device_name(i)}
        for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0)
    ]
    if torch.backends.mps.is_available():
        found.append({"name": "mps", "what": "Apple GPU"})
    cores = os.cpu_count() or 1
    threads = torch.get_num_threads()
    return [*found, {"name": "cpu", "what": f"{threads} threads on {cores} cores"}]


def kernels() -> str:
    """Whose convolutions the CPU runs."""
    from impasto import native

    return native.describe()


def memory() -> dict[str, float | None]:
    """Free bytes for a job on the device that ``auto`` takes."""
    from impasto.engine import memory as room
    from impasto.engine.devices import pick_device

    return {"free_bytes": room.available(pick_device("auto"))}


def weights() -> list[dict[str, str]]:
    """The weights that install with impasto, each with its state after checking the sha256."""
    from impasto.backbones import ENTRIES
    from impasto.backbones import weights as room

    found = []
    for entry in (e for _, e in ENTRIES if e.kind == "embedded"):
        row = {"name": entry.name, "state": "verified", "hint": "", "licence": entry.licence}
        try:
            room.verify(room.locate(entry))
        except WeightsError as error:
            row |= {"state": error.message, "hint": error.hint}
        found.append(row)
    return found


def formats() -> dict[str, list[str]]:
    """Picture formats that can be read and written here."""
    from PIL import features

    from impasto.images.sniff import READABLE
    from impasto.images.writing import EXTENSIONS

    absent = {n for n, f in (("WEBP", "webp"), ("AVIF", "avif")) if not features.check(f)}
    if importlib.util.find_spec("pi_heif") is None:
        absent.add("HEIF")
    return {
        "read": [name for name in READABLE if name not in absent],
        "write": [name for name in dict.fromkeys(EXTENSIONS.values()) if name not in absent],
    }


def speed() -> dict[str, Any]:
    """Seconds of one evaluation of the default objective, and what whole jobs would take."""
    from impasto.engine.scales import pyramid
    from impasto.recipes import RECIPES

    seconds = _evaluation()
    schedule = RECIPES.get("impasto").schedule
    estimates = {}
    for quality in ("draft", "good"):
        scales = pyramid(
            ESTIMATED * 3 // 4,
            ESTIMATED,
            schedule.steps[quality],
            ratio=schedule.ratio,
            smallest=schedule.smallest,
        )
        pixels = sum(s.height * s.width * s.steps for s in scales)
        estimates[quality] = round(seconds * pixels / MEASURED**2, 1)
    return {"evaluation_256px_seconds": round(seconds, 4), "job_512px_seconds": estimates}


def _evaluation() -> float:
    """Seconds of the fastest of a few steps of a real job; a step is one evaluation."""
    from impasto import jobs, samples

    picture = samples.painting(samples.names()[0], (MEASURED, MEASURED))
    sources = {"<sample>": picture}
    spec = jobs.spec_type("stylize").build(
        content="<sample>", style=("<sample>",), size=MEASURED, quality="draft", iterations=3
    )
    steps = (e for e in jobs.run(spec, sources=sources) if isinstance(e, Step))
    times = [(step.scale, _when(step)) for step in steps]
    last = [t for scale, t in times if scale == times[-1][0]]
    return min(b - a for a, b in pairwise(last))


def _when(step: Step) -> float:
    """The time when the device has finished ``step``."""
    float(step.loss)
    return time.perf_counter()


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people."""
    free = report["memory"]["free_bytes"]
    rows = [(name, text) for name, text in report["versions"].items()]
    rows += [
        (f"extra {extra}", ", ".join(f"{m}: {'yes' if ok else 'no'}" for m, ok in found.items()))
        for extra, found in report["extras"].items()
    ]
    rows += [(f"device {d['name']}", d["what"]) for d in report["devices"]]
    rows += [("kernels", report["kernels"])]
    rows += [("free memory", "unknown" if free is None else f"{free / 1e9:.1f} GB")]
    rows += [(f"weights {w['name']}", f"{w['state']} ({w['licence']})") for w in report["weights"]]
    rows += [(f"formats {k}", ", ".join(names)) for k, names in report["formats"].items()]
    if report["speed"] is not None:
        seconds, jobs = report["speed"].values()
        rows += [("speed", f"{seconds:.3f} s for one evaluation at {MEASURED} px")]
        rows += [(f"{q} at {ESTIMATED} px", f"about {clock(t)}") for q, t in jobs.items()]
    width = max(len(name) for name, _ in rows)
    return [f"{name:{width}}  {text}" for name, text in rows]
