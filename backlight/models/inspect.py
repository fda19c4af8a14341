"""What a network is made of: its size, its work, its head and its layers; and what its weights add to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.multiply_adds import count_multiply_adds
from backlight.classifier.passport import Passport
from backlight.classifier.predictions import Prediction, top_classes
from backlight.classifier.recording import Layer
from backlight.core.errors import ModelError
from backlight.models.blueprint import ModelShape
from backlight.models.loader import as_classifier, load
from backlight.models.registry import find_blueprint

COUNTED = "convolutions, linear layers and the matrix products of attention"


@dataclass(frozen=True)
class Head:
    """The layer that turns features into logits: its name, and how many of each.

    >>> Head("fc", 2048, 1000).in_features
    2048
    """

    name: str
    in_features: int
    classes: int


@dataclass(frozen=True)
class ModelSummary:
    """What `inspect_model` found; `input` is (channels, height, width), shapes are those of one image.

    `multiply_adds` counts, for one forward pass of one image, the multiplications in convolutions, linear layers
    and the matrix products of attention; normalization, activation, pooling and addition are not counted.

    >>> passport = Classifier.from_module(nn.Flatten(), name="toy").passport
    >>> ModelSummary(passport, 10, 8, (3, 2, 2), None, ()).to_json()["model"]["name"]
    'toy'
    """

    model: Passport
    parameters: int
    multiply_adds: int
    input: tuple[int, int, int]
    head: Head | None
    layers: tuple[Layer, ...]

    def to_json(self) -> dict[str, object]:
        """Return the document of `inspect`; its layers are `{"name", "type", "output"}`."""
        head = {"in_features": self.head.in_features, "classes": self.head.classes} if self.head else None
        layers = [{"name": one.name, "type": one.type, "output": list(one.shape)} for one in self.layers]
        counts = {"parameters": self.parameters, "multiply_adds": self.multiply_adds}
        return {"model": self.model.to_json(), **counts, "input": list(self.input), "head": head, "layers": layers}


def inspect_model(classifier: Classifier) -> ModelSummary:
    """Count a classifier's parameters and multiply-adds and list its layers, in two passes of one image.

    Raises ModelError where the input size is unknown.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> summary = inspect_model(Classifier.from_module(net, size=2))
    >>> summary.parameters, summary.multiply_adds, summary.head.in_features
    (26, 24, 12)
    """
    if classifier.size is None:
        raise ModelError("the model's input size is unknown", hint="--size 224, or size=224")
    layers, shape = classifier.layers(), (classifier.channels, *classifier.size)
    return ModelSummary(
        classifier.passport,
        sum(parameter.numel() for parameter in classifier.module.parameters()),
        count_multiply_adds(classifier, shape),
        shape,
        _head(classifier.module, layers),
        layers,
    )


def _head(module: nn.Module, layers: tuple[Layer, ...]) -> Head | None:
    for layer in reversed(layers):
        part = module.get_submodule(layer.name)
        if isinstance(part, nn.Linear):
            return Head(layer.name, part.in_features, part.out_features)
        if isinstance(part, nn.Conv2d):
            return Head(layer.name, part.in_channels, part.out_channels)
    return None


@dataclass(frozen=True)
class RandomComparison:
    """The most likely classes of one picture by trained and by random weights of the same network, best first.

    >>> RandomComparison((Prediction("cat", 3, 0.9, 7.1),), (Prediction("dog", 5, 0.1, 0.2),), 0).seed
    0
    """

    trained: tuple[Prediction, ...]
    random: tuple[Prediction, ...]
    seed: int

    def to_json(self) -> dict[str, object]:
        """Return `{"trained", "random": [{"label", "index", "probability", "logit"}], "seed"}`."""
        trained, random = ([vars(one) for one in rows] for rows in (self.trained, self.random))
        return {"trained": trained, "random": random, "seed": self.seed}


def compare_random(model: Classifier | str, image: Tensor, *, seed: int = 0, top: int = 5) -> RandomComparison:
    """Compare what a network says with its weights and with random ones about one image.

    `model` is a specification, or a classifier that `load` made (its name is its specification); `image` is
    `[3,H,W]` or `[1,3,H,W]` in `[0,1]`. The random weights are drawn from `seed`, the global generators untouched.

    Raises UsageError for a classifier whose name is no specification, ModelError for one without random weights.

    >>> trained = load("timm:resnet18", random=True, size=32, seed=1)
    >>> len(compare_random(trained, torch.rand(3, 32, 32), top=3).random)
    3
    """
    trained = load(model) if isinstance(model, str) else model
    images = image[None] if image.ndim == 3 else image
    with torch.no_grad():
        rows = [top_classes(one, one.logits(images)[:1], top)[0] for one in (trained, _random_twin(trained, seed))]
    return RandomComparison(rows[0], rows[1], seed)


def _random_twin(trained: Classifier, seed: int) -> Classifier:
    blueprint = find_blueprint(trained.name, seed)
    if blueprint.no_random:
        raise ModelError(f"random weights do not fit: {blueprint.no_random}", expected="a model by its name")
    own_size = blueprint.resize is not None and blueprint.resize.size == trained.size
    shape = ModelShape(trained.classes, None if own_size else trained.size, trained.channels)
    blueprint = replace(blueprint, mean=trained.mean, std=trained.std, resize=trained.resize)
    module = blueprint.build(shape).to(trained.device).eval()
    return as_classifier(blueprint, module, trained.labels)
