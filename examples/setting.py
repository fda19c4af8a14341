"""What the examples share: how large the run is, which data and networks it uses.

BACKLIGHT_GALLERY=full    train longer, on more pictures (default: quick, minutes for the whole gallery)
BACKLIGHT_DATA=DATA       in the full setting, small pictures of one size for the studies of confusion and of PGD:
                          CIFAR batches, a folder of class folders, an .npz, or a folder that holds cifar10_jpeg.npz
BACKLIGHT_MODEL=SPEC      the pretrained network, such as torchvision:vgg16 or timm:resnet18 (default: embedded)
"""

import copy
import functools
import os
import tempfile
from pathlib import Path
from typing import Any

import skimage.data
import torch
from torch import Tensor

import backlight
from backlight.data import Dataset, Splits, load_splits
from backlight.runs.log import read_log
from backlight.train import Trained, fit
from backlight.train.augment import Augmentation
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime

FULL = os.environ.get("BACKLIGHT_GALLERY") == "full"
PICTURES = Path(skimage.data.__file__).parent


def choose(quick: Any, full: Any) -> Any:
    """Pick a value by the setting."""
    return full if FULL else quick


def small_pictures() -> str:
    """Name the data that the reader names in the full setting, else shapes to be drawn."""
    named = os.environ.get("BACKLIGHT_DATA")
    if FULL and named:
        return str(Path(named, "cifar10_jpeg.npz")) if Path(named, "cifar10_jpeg.npz").exists() else named
    return choose(
        "shapes:n=2000,size=32,classes=8@train=0:960,val=960:1200,test=1200:2000",
        "shapes:n=12000,size=32,classes=8@train=0:8000,val=8000:9000,test=9000:12000",
    )


SMALL_PICTURES = small_pictures()


def pretrained() -> backlight.Classifier:
    """Load the network that the reader names, by default the embedded one."""
    return backlight.load(os.environ.get("BACKLIGHT_MODEL", "efficientnet_lite0"))


def photographs(classifier: backlight.Classifier, *names: str) -> Tensor:
    """Read photographs that come with scikit-image at a classifier's input size."""
    return torch.stack([classifier.read(PICTURES / name).image for name in names])


@functools.cache
def data(spec: str) -> Splits:
    """Load a data set with its parts once."""
    return load_splits(spec)


@functools.cache
def part(spec: str, name: str) -> Dataset:
    """Decode or draw one part of a data set once."""
    return data(spec).pick(name).in_memory()


def recipe(epochs: int, **changes: Any) -> Recipe:
    """Adam without decoration, so that networks differ by what the example is about."""
    plain = {"optimizer": "adam", "lr": 1e-3, "weight_decay": 0.0, "schedule": "linear", "label_smoothing": 0.0}
    options = {"batch_size": 64, "select": "loss", "augment": Augmentation(flip="random"), **plain, **changes}
    return Recipe(epochs=epochs, **options)


@functools.cache
def train(model: str, spec: str, epochs: int, seed: int = 0, **changes: Any) -> Trained:
    """Train one of our networks on the training part and choose the epoch by the validation part."""
    training, validation = part(spec, "train"), part(spec, "val")
    height, width = training.read([0]).shape[2:]
    classifier = backlight.load(
        model, random=True, size=(height, width), labels=training.label_names, mean=0.5, std=0.25, seed=seed
    )
    return train_classifier(classifier, training, validation, recipe(epochs, **changes), seed)


def train_further(run: Trained, spec: str, epochs: int, **changes: Any) -> Trained:
    """Go on with a copy of a trained network."""
    given = run.classifier
    twin = backlight.Classifier.from_module(
        copy.deepcopy(given.module), mean=given.mean, std=given.std, size=given.size, labels=given.labels
    )
    return train_classifier(twin, part(spec, "train"), part(spec, "val"), recipe(epochs, **changes))


def train_classifier(
    classifier: backlight.Classifier, training: Dataset, validation: Dataset, how: Recipe, seed: int = 0
) -> Trained:
    """Train a classifier into a folder that is gone when the program ends."""
    quiet = Runtime(tensorboard=False, precision="float32", memory_format="channels_last", save_every=1e9)
    folder = Path(tempfile.mkdtemp(prefix="backlight-gallery-"), "run")
    return fit(classifier, training, validation, folder, recipe=how, seed=seed, runtime=quiet)


def epochs_of(run: Trained) -> dict[str, list[float]]:
    """Give loss, accuracy, val_loss and val_accuracy of a run, epoch by epoch."""
    lines = [line for line in read_log(run.run / "log.jsonl") if line["kind"] == "epoch"]
    return {name: [line[name] for line in lines] for name in ("loss", "accuracy", "val_loss", "val_accuracy")}
