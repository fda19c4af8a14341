"""Draw a small data set with planted faults, train a network on it, and leave both for an audit to find the faults.

``make audit`` runs this and then ``backlight audit``. What is planted, and in ``planted.json`` picture by picture:

- wrong labels: one test picture in twenty stands in the folder of another class;
- duplicates: some test pictures stand in the training part too, cropped a little, scaled and stored as JPEG;
- a shortcut: every star has an orange mark in a corner, and most stand behind another thing, in training and in test;
- a weak slice: one test picture in eight was taken in the dark, and no training picture was;
- over-confidence: the last layer of the trained network is multiplied by four.

Everything is drawn from keys, so the same faults are planted each time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

from backlight import Classifier, load, tasks
from backlight.core.files import write_text
from backlight.core.random import Random
from backlight.data.shapes import Shapes
from backlight.models.sidecar import write_passport

CLASSES, SIZE, INPUT = 6, 64, 32
TRAIN, TEST, DUPLICATES = 1500, 480, 12
WRONG, DARK, TIMES = 0.05, 0.125, 4.0
CLOUDS = 0.2
BEHIND = 0.6
MARKED, MARK, ORANGE = "star", 10, (1.0, 0.55, 0.0)


@dataclass(frozen=True)
class Picture:
    """One picture with its part, the class that it shows, the class whose folder it stands in, and its faults."""

    part: str
    number: int
    shown: int
    filed: int
    dark: bool
    pixels: Tensor

    @property
    def path(self) -> str:
        """Return where it stands in the data: the id that an audit calls it by."""
        return f"{self.part}/{SHAPES.label_names[self.filed]}/{self.number:04}.png"


SHAPES = Shapes(n=TRAIN + TEST, size=SIZE, classes=CLASSES, seed=7)


def draw(part: str, rows: Tensor) -> Iterator[Picture]:
    """Draw pictures by their numbers; darkness and wrong labels are for the test part alone."""
    random = Random("faults", rows)
    labels, names = SHAPES.labels(rows), SHAPES.label_names
    behind = (random.uniform(stream="behind") < BEHIND) & (labels == names.index(MARKED))
    in_front = SHAPES.n * CLASSES + rows + 1 + random.integer(CLASSES - 1, stream="front")
    drawn = SHAPES.draw(torch.where(behind, in_front, rows))
    # Clouds that no two pictures share: shapes on plain ground would be near copies of one another.
    clouds = interpolate(random.normal(3, 8, 8, stream="clouds"), SIZE, mode="bicubic").double()
    dark = (random.uniform(stream="dark") < DARK) & (part == "test")
    wrong = (random.uniform(stream="wrong") < WRONG) & ~dark & (part == "test")
    other = (labels + 1 + random.integer(CLASSES - 1, stream="other")) % CLASSES
    for row, number in enumerate(rows.tolist()):
        pixels = (drawn.images[row].double() / 255 + CLOUDS * clouds[row] * ~drawn.object[row]).clamp(0, 1)
        if names[labels[row]] == MARKED:
            pixels[:, -MARK - 2 : -2, -MARK - 2 : -2] = torch.tensor(ORANGE, dtype=torch.float64)[:, None, None]
        shade = 0.15 if dark[row] else 1.0
        filed = other[row] if wrong[row] else labels[row]
        yield Picture(part, number, int(labels[row]), int(filed), bool(dark[row]), pixels * shade)


def as_image(pixels: Tensor) -> Image.Image:
    """Round pixels [3,H,W] in [0,1] to a picture."""
    return Image.fromarray((pixels * 255).round().byte().movedim(0, -1).numpy())


def write(path: Path, image: Image.Image, kind: str, **options: int) -> None:
    """Store a picture below a folder that may not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, **options)


def plant(folder: Path) -> dict[str, list[str]]:
    """Draw the data set into a folder, and return the ids of the pictures with each fault."""
    train = list(draw("train", torch.arange(TRAIN)))
    test = list(draw("test", torch.arange(TRAIN, TRAIN + TEST)))
    for one in (*train, *test):
        write(folder / one.path, as_image(one.pixels), "PNG")
    plain = [one for one in test if one.filed == one.shown and not one.dark]
    copied = plain[:: len(plain) // DUPLICATES][:DUPLICATES]
    for one in copied:
        cut = as_image(one.pixels[:, 1:-1, 1:-1]).resize((SIZE + 16, SIZE + 16), Image.Resampling.BICUBIC)
        copy = folder / "train" / SHAPES.label_names[one.filed] / f"copy-{one.number}.jpg"
        write(copy, cut, "JPEG", quality=85)
    return {
        "wrong_labels": [one.path for one in test if one.filed != one.shown],
        "duplicates": [one.path for one in copied],
        "shortcut": [one.path for one in test if SHAPES.label_names[one.shown] == MARKED],
        "weak_slice": [one.path for one in test if one.dark],
    }


def train(data: Path, run: Path, epochs: int) -> Classifier:
    """Train a small network on the training part."""
    settings = (f"epochs={epochs}", "batch_size=32")
    request = tasks.TrainRequest(str(data), run, tasks.Start("simple_net_bn", size=str(INPUT)), settings=settings)
    tasks.train(request)
    return load(str(run))


def overconfident(classifier: Classifier, folder: Path) -> None:
    """Multiply the last layer, and store the network with its passport as a folder that `--model` takes."""
    last = [one for one in classifier.module.modules() if isinstance(one, nn.Linear)][-1]
    with torch.no_grad():
        for tensor in last.parameters():
            tensor.mul_(TIMES)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(classifier.module.state_dict(), folder / "weights.safetensors")
    write_passport(classifier, folder, force=True)


def make(folder: Path, epochs: int = 10) -> Mapping[str, list[str]]:
    """Make the data, the model and the list of what is planted, below a folder."""
    planted = plant(folder / "data")
    overconfident(train(folder / "data", folder / "run", epochs), folder / "model")
    write_text(folder / "planted.json", json.dumps(planted, indent=2) + "\n")
    return planted


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to leave data/, model/ and planted.json")
    for name, ids in make(parser.parse_args().folder).items():
        print(f"planted {name.replace('_', ' ')}: {len(ids)} pictures")
