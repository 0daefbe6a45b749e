"""A sample photo in the manner of a sample painting, written to demo/.

The photo comes with scikit-image (CC0), the painting is drawn by impasto itself.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from impasto import images, samples

PHOTO, PAINTING = "cat", "nocturne"
FOLDER = Path("demo")


def main() -> None:
    """Write photo, painting, result and the three side by side."""
    FOLDER.mkdir(exist_ok=True)
    photo, painting = FOLDER / "photo.png", FOLDER / "painting.png"
    result = FOLDER / "result.png"
    images.save(data.cat().astype(np.float32) / 255, photo, force=True)
    images.save(samples.painting(PAINTING, (640, 800)), painting, force=True)
    command = ["stylize", str(photo), str(painting), "-o", str(result), "--force"]
    subprocess.run([sys.executable, "-m", "impasto", *command], check=True)
    side_by_side([photo, painting, result], FOLDER / "impasto.jpg")
    print(f"\nLook at {result}, and at {FOLDER / 'impasto.jpg'} for all three.")


def side_by_side(paths: list[Path], out: Path, height: int = 300, gap: int = 12) -> None:
    """Write the pictures in one row, as a JPEG."""
    row = [Image.open(p).convert("RGB") for p in paths]
    row = [i.resize((round(i.width * height / i.height), height), Image.LANCZOS) for i in row]
    sheet = Image.new("RGB", (sum(i.width for i in row) + gap * (len(row) - 1), height), "white")
    x = 0
    for picture in row:
        sheet.paste(picture, (x, 0))
        x += picture.width + gap
    sheet.save(out, quality=88)


if __name__ == "__main__":
    main()
