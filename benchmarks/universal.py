"""How long a pass takes: ``python benchmarks/universal.py [PHOTO PAINTING] [SIZE ...]``.

Each row is a way to paint at a size (512 and 1024 px, without sizes): seconds of the whole call
with a painting that was never seen, and with one whose encoding is on disk (the fastest and the
slowest of some calls). Networks are loaded before, and a first call at each size, which measures
what convolutions are fastest here, does not count. Sizes of 2048 px and more are worked on in
tiles; for all, the most memory that the process ever had, so far.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import impasto
from impasto import samples

#: Name, recipe, quality, largest size at which it is timed.
WAYS = (
    ("instant, light", "instant", "instant", 4096),
    ("instant", "instant", "good", 2048),
    ("wct", "wct", "good", 4096),
    ("adain", "adain", "good", 4096),
)
#: Calls with a known painting.
CALLS = 3


def seconds(photo: object, painting: object, **options: object) -> float:
    """Of one call."""
    begun = time.perf_counter()
    impasto.stylize(photo, painting, **options)
    return time.perf_counter() - begun


def row(photo: object, painting: object, size: int, recipe: str, quality: str) -> list[float]:
    """With a new painting, then the fastest and the slowest with a known one."""
    options = {"recipe": recipe, "quality": quality, "size": size}
    found = []
    with tempfile.TemporaryDirectory() as home:
        os.environ["IMPASTO_HOME"] = home
        seconds(photo, painting, **options)
        for path in Path(home).rglob("*.safetensors"):
            path.unlink()
        found.append(seconds(photo, painting, **options))
        calls = CALLS if size <= 1024 else 1
        again = [seconds(photo, painting, **options) for _ in range(calls)]
    return [*found, min(again), max(again)]


def main(words: list[str]) -> None:
    """Print the table."""
    files = [w for w in words if not w.isdecimal()]
    sizes = [int(w) for w in words if w.isdecimal()] or [512, 1024]
    photo: object = samples.photo("harbour", (1536, 2048))
    painting: object = samples.painting("nocturne", (1536, 2048))
    if len(files) == 2:
        photo, painting = files
    print(f"{'':16}{'px':>6}{'new':>8}{'known':>8}{'slowest':>8}{'MB':>8}")
    for size in sizes:
        for name, recipe, quality, largest in WAYS:
            if size <= largest:
                found = "".join(f"{s:8.2f}" for s in row(photo, painting, size, recipe, quality))
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(f"{name:16}{size:6}{found}{peak:8}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
