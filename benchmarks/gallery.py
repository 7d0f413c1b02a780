"""Make the README's strip of pictures, ``docs/gallery.png``, from fresh runs: ``python -m benchmarks.gallery``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

import zoo

ROOT = Path(__file__).resolve().parent.parent
HEIGHT = 300  # pixels
# Which pictures of which run; a family adds its line.
RUNS = {("cnn", "digits"): ("curves", "confusion"), ("fnn", "digits"): ("mistakes",)}


def main() -> None:
    """Train, paste side by side, save in a palette of 128 colors."""
    parts = []
    with tempfile.TemporaryDirectory() as above:
        for number, ((model, data), names) in enumerate(RUNS.items()):
            run = zoo.train(model, data=data, run_dir=f"{above}/{number}")
            for name in names:
                picture = Image.open(run.folder / "plots" / f"{name}.png").convert("RGB")
                width = round(picture.width * HEIGHT / picture.height)
                parts.append(picture.resize((width, HEIGHT), Image.Resampling.LANCZOS))
    strip = Image.new("RGB", (sum(p.width for p in parts), HEIGHT), "white")
    left = 0
    for part in parts:
        strip.paste(part, (left, 0))
        left += part.width
    (ROOT / "docs").mkdir(exist_ok=True)
    strip.quantize(128).save(ROOT / "docs" / "gallery.png", optimize=True)


if __name__ == "__main__":
    main()
