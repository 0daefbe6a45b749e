"""Makes ``docs/gallery/recipes.md`` and its pictures: ``python docs/recipe_pictures.py``.

Every recipe, or those that are named, paints the same three photos in the manner of the same three
paintings. These come from the folder of samples beside the checkout (or ``IMPASTO_SHARED``). Their
licences differ, so the page shows results only; ``--look FOLDER`` writes every row there once more,
with photo and painting beside each result, to be looked at.

A picture that was made with the same numbers before is not made again (``--work`` holds them), so
that an interrupted run goes on where it was. All of it takes some twelve minutes of processor time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import impasto
from impasto import images
from impasto.images.resize import resize
from impasto.recipes import RECIPES

Array = npt.NDArray[np.float32]

FOLDER = Path(__file__).with_name("gallery") / "recipes"
PAGE = FOLDER.with_suffix(".md")
FOUND = FOLDER / "found.json"
SHARED = Path(os.environ.get("IMPASTO_SHARED", Path(__file__).resolve().parents[2] / "shared"))
#: What of a recipe does not change the picture.
WORDS: dict[str, Any] = {
    "title": True,
    "summary": True,
    "paper": True,
    "sources": True,
    "deviations": True,
    "stand_in": {"reason"},
}
WORK = Path(tempfile.gettempdir()) / "impasto-recipes"
#: Photo and painting, by the names of their files.
PAIRS = (
    ("tubingen", "van_gogh_starry_night"),
    ("golden_gate", "munch_the_scream"),
    ("cornell", "kandinsky"),
)
SIZE, QUALITY, HEIGHT, GAP, BYTES = 256, "draft", 192, 6, 90_000
#: Recipes that have a photo to keep; the others make textures, see docs/gallery/texture.md.
NAMES = [name for name, recipe in RECIPES if any(t.role == "content" for t in recipe.terms)]
#: What is seen in the pictures, for one who has the photos and paintings beside them.
SEEN: dict[str, str] = {
    "impasto": "the painting's colours and larger shapes (a moon, the red sky, Kandinsky's lines) "
    "over a sharp drawing of the photo, windows and cables too; a trace of grain in even parts, "
    "which more steps take away.",
    "tf-vgg19": "short dark strokes all over, in the painting's colours; houses and tower well "
    "readable; few large shapes, since all is done at one size.",
    "vgg16-adam": "the photo drawn sharply in softened colours of its own, as with pastels; round "
    "shapes of the painting in sky, water and edges. The painting's palette does not come: the "
    "content layers are shallow, as in S2.",
    "tf-tutorial": "swirls and clear colours, strong contrast; small things lose their drawing, "
    "since content is kept at relu5_2 only.",
    "survey": "short, rough strokes in the painting's colours over a sharp drawing of the photo; "
    "pale where the painting is dark.",
    "lbfgs-hooks": "the photo with fine swirls in sky and water and bright rings where something "
    "is round; its colours stay, for only one deep layer counts.",
    "lbfgs-hooks-meant": "brush strokes in sky and water over a photo that is otherwise left in "
    "peace, colours included; some grain in dark water.",
    "gatys2016": "the painting's palette throughout, strokes that follow the photo's lines; single "
    "dark dots in even parts.",
    "gatys2016-notebook": "large strokes and the painting's colours, the photo's drawing kept.",
    "neural-style": "the painting's palette and flowing strokes, one or two large lights, all "
    "drawing kept; a trace of a grid along the frame.",
    "li-wand2016": "passages of the painting (swirls, hills, the Scream's sea) where the photo has "
    "something like them, over a photo that stays readable; paler than the painting.",
    "controlling2017": "the fullest palette and the largest shapes, a whole moon; thin things "
    "(cables, windows) are lost, and the left border of the Golden Gate is ragged.",
    "risser2017": "the painting's strokes in sky and water, the photo's drawing sharp and its "
    "colours mostly kept; single black or white dots along the picture's edge.",
    "strotss2019": "the painting as if it had been painted here: its sky, light and brush, forms "
    "translated rather than traced; details go with them, and Cornell's tower is soft.",
    "crowson2021": "rich, close strokes and the painting's lights; of the photo the large parts "
    "stay, roofs and half a bridge dissolve.",
    "swd": "fine, close strokes and deep colours; the photo's drawing sharp.",
}


@dataclass(frozen=True)
class Picture:
    """One result.

    Attributes:
        array: (H, W, 3) in [0, 1].
        seconds: Of one processor, all threads together.
        network: That looked at it.
    """

    array: Array
    seconds: float
    network: str


def source(kind: str, name: str) -> Path:
    """The file of a sample."""
    return SHARED / "data" / kind / f"{name}.jpg"


def digest(*facts: object) -> str:
    """Sixteen characters that are others for other facts."""
    return hashlib.sha256(" ".join(str(f) for f in facts).encode()).hexdigest()[:16]


def numbers(recipe: str) -> str:
    """Of a recipe: all that changes its pictures."""
    return RECIPES.get(recipe).model_dump_json(exclude=WORDS, exclude_defaults=True)


def painted(recipe: str, pair: tuple[str, str], work: Path) -> Picture:
    """A result, made now or found in ``work`` with the same numbers."""
    key = digest(numbers(recipe), pair, SIZE, QUALITY)
    path, facts = work / f"{recipe}-{pair[0]}-{key}.png", work / f"{recipe}-{pair[0]}-{key}.json"
    if not facts.exists():
        began = time.process_time()
        photo, painting = source("photos", pair[0]), source("paintings", pair[1])
        done = impasto.stylize(photo, painting, recipe=recipe, size=SIZE, quality=QUALITY)
        found = {
            "seconds": time.process_time() - began,
            "network": str(done.settings["backbone"]),
        }
        images.save(done.array, path, force=True)
        facts.write_text(json.dumps(found), encoding="utf-8")
    return Picture(images.load(path).rgb, **json.loads(facts.read_text(encoding="utf-8")))


def small(picture: Array) -> Array:
    """A picture of the height of a row."""
    tensor = images.to_tensor(images.load(np.ascontiguousarray(picture)))
    width = round(picture.shape[1] * HEIGHT / picture.shape[0])
    return images.from_tensor(resize(tensor, (HEIGHT, width), clamp=True))


def row(pictures: list[Array], path: Path) -> None:
    """Pictures side by side, as a file below :data:`BYTES`."""
    parts: list[Array] = []
    for picture in pictures:
        parts += [small(picture), np.ones((HEIGHT, GAP, 3), np.float32)]
    sheet = np.concatenate(parts[:-1], axis=1)
    for quality in (88, 80, 70, 60, 50):
        images.save(sheet, path, quality=quality, force=True)
        if path.stat().st_size < BYTES:
            break


def paint(recipe: str, work: Path, look: Path | None) -> dict[str, Any]:
    """The row of a recipe, and what was found on the way."""
    pictures = [painted(recipe, pair, work) for pair in PAIRS]
    row([p.array for p in pictures], FOLDER / f"{recipe}.jpg")
    if look is not None:
        beside: list[Array] = []
        for (photo, painting), picture in zip(PAIRS, pictures, strict=True):
            inputs = source("photos", photo), source("paintings", painting)
            beside += [*(images.load(path).rgb for path in inputs), picture.array]
        row(beside, look / f"{recipe}.png")
    seconds = [round(p.seconds, 1) for p in pictures]
    return {
        "seconds": seconds,
        "network": pictures[0].network,
        "numbers": digest(numbers(recipe), SIZE, QUALITY),
    }


def current(found: dict[str, Any]) -> dict[str, Any]:
    """What was painted with the numbers that the recipes have now."""
    return {
        name: facts
        for name, facts in found.items()
        if name in NAMES and facts["numbers"] == digest(numbers(name), SIZE, QUALITY)
    }


def page(found: dict[str, Any]) -> str:
    """The page, from what was found."""
    found = current(found)
    pairs = "; ".join(f"`{a}` in the manner of `{b}`" for a, b in PAIRS)
    parts = [
        "# Recipes, seen",
        "Printed by `docs/recipe_pictures.py`, which makes the pictures too. From left to right: "
        f"{pairs}. Longest side {SIZE} px, `--quality {QUALITY}`, seed 0, nothing else set. "
        "The samples' licences differ, so photos and paintings themselves are not shown.",
        "Seconds are those of one processor core, all threads together, as a mean over the three. "
        "Where a recipe's own network is not here, the embedded one stood in, with the weights "
        "that [recipes.md](../recipes.md) lists under *On other networks*; so these pictures show "
        "what a recipe does without downloads, not what its source published.",
    ]
    for name in NAMES:
        if name not in found:
            continue
        recipe = RECIPES.get(name)
        seconds, network = np.mean(found[name]["seconds"]), found[name]["network"]
        parts.append(f"## {name}\n\n{recipe.summary}\n\n![{name}](recipes/{name}.jpg)")
        parts.append(f"Source: {recipe.paper}. On `{network}`, {seconds:.0f} s.")
        parts += [f"Seen: {SEEN[name]}"] if SEEN.get(name) else []
    missing = [f"`{name}`" for name in NAMES if name not in found]
    parts += [f"Not painted yet: {', '.join(missing)}."] if missing else []
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Make what is missing, or what was named; then print the page."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument(
        "--work", type=Path, default=Path(tempfile.gettempdir()) / "impasto-recipes"
    )
    parser.add_argument("--look", type=Path)
    options = parser.parse_args()
    for folder in (FOLDER, options.work, options.look):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    found = json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.exists() else {}
    for name in options.names:
        found[name] = paint(name, options.work, options.look)
        sys.stdout.write(f"{name} {found[name]}\n")
        sys.stdout.flush()
        FOUND.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(found), encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
