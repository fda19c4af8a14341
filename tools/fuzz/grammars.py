"""Every grammar: how it is called on a text, and valid texts of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import torch

from backlight.attack.choosing import choose_attack
from backlight.classifier import Classifier
from backlight.classifier.targets import resolve_targets
from backlight.core import grammar
from backlight.corrupt import CorruptionRequest
from backlight.corrupt.augmenting import read_augmenter
from backlight.corrupt.converted import parse_corruption
from backlight.data import load_data
from backlight.explain.choosing import choose_methods
from backlight.explain.scores.metrics import choose_metrics
from backlight.models import load
from backlight.models.registry import find_blueprint
from backlight.pixels.features import read_objective
from backlight.train.adversaries import read_adversary
from backlight.train.losses import read_loss
from backlight.train.recipe import read_recipe
from tools.fuzz import model_seeds


@cache
def classifier() -> Classifier:
    """Return a small network with awkward labels."""
    return load(model_seeds.MODEL, random=True, size=model_seeds.SIZE, labels=["cat", "dog, hound", "7"], device="cpu")


def _numbers(text: str) -> None:
    for read in (
        grammar.parse_number,
        grammar.parse_epsilon,
        grammar.parse_numbers,
        grammar.parse_duration,
        grammar.parse_size,
    ):
        try:
            read(text)
        except grammar.UsageError:
            continue


def _spec(text: str) -> None:
    for one in grammar.split_specs(text):
        spec = grammar.parse_spec(one)
        assert grammar.parse_spec(str(spec)) == spec
        spec.integer("steps", 1), spec.number("alpha", 1.0), spec.epsilon("eps", 0.1)


def _data(text: str) -> None:
    found = load_data(text, split="all")
    assert len(found) == len(found.ids)


def _target(text: str) -> None:
    resolve_targets(classifier(), torch.zeros(2, 3), text, random=None)


def _setting(text: str) -> None:
    read_recipe("default", [text])


GRAMMARS: Mapping[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "NAME:key=value": (_spec, ("pgd:steps=20,eps=8/255", "saliency,smoothgrad:samples=25,alpha=1/3,gradcam", "a.py:f")),
    "numbers": (_numbers, ("8/255", "0.5,0.5,0.5", "224x192", "1.5h", "90", "1e-3")),
    "data": (_data, ("shapes:n=20,size=8,classes=2@train=0:10,test=10:", "shapes:n=20,size=16", "~/photos", "hf:a/b")),
    "model": (find_blueprint, ("vit:depth=2,patch=4", "timm:resnet18", "hf:nobody/none", "onnx:net.onnx", "a.py:f")),
    "target": (_target, ("dog", "index:1", "label:top", "7", "hound", "top")),
    "attack": (choose_attack, ("pgd:eps=8/255,steps=3,norm=l2", "targeted-l2", "square:steps=10", "mi+dim+tim")),
    "methods": (lambda text: choose_methods(grammar.split_specs(text)), ("saliency,rise:samples=8", "captum:Saliency")),
    "metrics": (lambda text: choose_metrics(text.split(",")), ("deletion,pointing-game",)),
    "objective": (lambda text: read_objective(classifier(), text), ("blocks.0:3", "blocks.0:3:1,2")),
    "adversary": (read_adversary, ("pgd:eps=8/255,target=random", "trades:beta=6,awp=0.005", "free:replays=4")),
    "recipe setting": (_setting, ("lr=0.1", "scale=0.8:1.2", "augment=augmix:severity=3")),
    "loss": (read_loss, ("focal:gamma=2", "cross-entropy")),
    "augmentation": (read_augmenter, ("corruptions:kinds=noise+fog,severity=3,share=0.5", "gaussian:sigma=0.25")),
    "corruptions": (CorruptionRequest.of, ("noise,fog", "published", "all")),
    "corruption": (parse_corruption, ("fog:severity=3",)),
    "severities": (lambda text: CorruptionRequest.of("fog", severities=text), ("1-5", "1,3-4")),
}  # fmt: skip
