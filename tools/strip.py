"""Make `docs/images/strip.jpg`: one picture by each verb that makes pictures, by the embedded model.

python tools/strip.py [FOLDER]     FOLDER keeps what the verbs wrote, by default a temporary one
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

OUT = Path(__file__).resolve().parents[1] / "docs" / "images" / "strip.jpg"
SIDE, GAP, TEXT, QUALITY = 224, 8, 22, 85
VERBS = {
    "explain": ["explain", "cat.png", "--methods", "gradcam"],
    "attack": ["attack", "cat.png", "--method", "pgd", "--eps", "2/255", "--target", "red fox"],
    "visualize class": ["visualize", "class", "goldfish"],
    "visualize dream": ["visualize", "dream", "coffee.png", "--layer", "blocks.4"],
    "fool": ["fool", "cat.png", "--target", "goldfish"],
    "style": ["style", "cat.png", "rocket.png", "--longest", "224"],
    "denoise": ["denoise", "noisy.png", "--smooth-norm", "l1"],
}


def write_samples(folder: Path) -> None:
    """Write sample photographs, square, and one of them with noise."""
    for name, picture in {"cat": data.chelsea(), "coffee": data.coffee(), "rocket": data.rocket()}.items():
        height, width = picture.shape[:2]
        side, left = min(height, width), (width - min(height, width)) // 2
        square = Image.fromarray(picture[:side, left : left + side]).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        square.save(folder / f"{name}.png")
    clean = np.asarray(Image.open(folder / "cat.png"), dtype=np.float64)
    noisy = clean + np.random.default_rng(0).normal(0, 25, clean.shape)
    Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8)).save(folder / "noisy.png")


def picture_of(verb: str, folder: Path) -> Image.Image:
    """Run a verb and read the picture that it says it wrote."""
    out = folder / verb.replace(" ", "-")
    words = [sys.executable, "-m", "backlight", *VERBS[verb], "--json", "--quiet", "--force", "--out", str(out)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    first = document[0] if isinstance(document, list) else document
    return Image.open(folder / (first["maps"][0] if "maps" in first else first)["png"]).convert("RGB")


def strip(pictures: dict[str, Image.Image]) -> Image.Image:
    """Put pictures of one size side by side, each with its name below."""
    whole = Image.new("RGB", (len(pictures) * (SIDE + GAP) - GAP, SIDE + TEXT), "white")
    pen, font = ImageDraw.Draw(whole), ImageFont.load_default(14)
    for place, (name, picture) in enumerate(pictures.items()):
        left = place * (SIDE + GAP)
        whole.paste(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, 0))
        pen.text((left + SIDE // 2, SIDE + TEXT // 2 + 2), name, fill="black", font=font, anchor="mm")
    return whole


def main() -> None:
    """Run every verb and write the strip."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        write_samples(folder)
        noisy = {"the noisy photograph": Image.open(folder / "noisy.png")}
        strip({**{verb: picture_of(verb, folder) for verb in list(VERBS)[:-1]}, **noisy,
               "denoise": picture_of("denoise", folder)}).save(OUT, quality=QUALITY, optimize=True)  # fmt: skip


if __name__ == "__main__":
    main()
