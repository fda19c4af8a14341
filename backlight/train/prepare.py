"""What is made of a caller's classifier and pictures before training, and what cannot be trained at all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.wrapping import copy_of
from backlight.core.errors import DataError, ModelError, OtherProcessError, UsageError
from backlight.core.processes import Engine
from backlight.data.dataset import Dataset
from backlight.train.layers import rest_frozen
from backlight.train.recipe import Recipe

_IN_MEMORY = 2 * 1024**3  # bytes of pictures that are decoded once and kept


def prepare_data(classifier: Classifier, data: Dataset) -> Dataset:
    """Bring pictures to input size and channels, without broken ones, decoded at once where they fit into memory.

    Raises ModelError for a model of unknown input size, DataError for data that is empty,
    unlabeled or unreadable, and for channels that pictures do not have.

    >>> from backlight.data.load import load_data
    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> prepare_data(Classifier.from_module(net, size=8), load_data("shapes:n=10,size=16,classes=2")).read([0]).shape
    torch.Size([1, 3, 8, 8])
    """
    if classifier.resize is None:
        raise ModelError("the model's input size is unknown", hint="Classifier.from_module(..., size=32)")
    if not len(data):
        raise DataError(f"the {data.split} part of {data.name} is empty", expected="at least one picture")
    if not data.labeled:
        raise DataError(f"the {data.split} part of {data.name} has pictures without labels", expected="all labeled")
    height, width = classifier.resize.size
    sized = data.with_channels(classifier.channels).resized(classifier.resize)
    fits = len(data) * classifier.channels * height * width <= _IN_MEMORY
    ready = sized.in_memory() if fits else sized.checked()
    if not len(ready):
        raise DataError(f"no picture of {data.name} can be read", expected="at least one")
    return ready


def private_copy(classifier: Classifier, label_names: tuple[str, ...], engine: Engine) -> Classifier:
    """Copy what is trained onto a process's device; a classifier without labels gets those of its pictures.

    Raises ModelError for a model without logits, where no parameter requires a gradient, and where the module's state
    holds more than tensors.

    >>> import torch
    >>> from torch import nn
    >>> private_copy(Classifier.from_module(nn.Linear(2, 2)), ("a", "b"), Engine(torch.device("cpu"))).labels
    ('a', 'b')
    """
    if classifier.outputs != "logits":
        raise ModelError(f"the model returns {classifier.outputs}", expected="logits, for training")
    module = copy_of(classifier.module).to(engine.device)
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ModelError(f"{classifier.name} has nothing to train", expected="parameters that require gradients")
    odd = next((name for name, one in module.state_dict().items() if not isinstance(one, Tensor)), None)
    if odd is not None:
        raise ModelError(
            f"the state of {classifier.name} holds {odd!r}, which is no tensor",
            expected="a network without quantized layers, for training",
        )
    return classifier.replace(module=module, labels=classifier.labels or label_names)


def check_same(train: Dataset, val: Dataset, engine: Engine) -> None:
    """Raise DataError where processes have found other pictures than the main one, as on machines with other disks.

    >>> from backlight.data.load import load_data
    >>> data = load_data("shapes:n=4,size=8,classes=2")
    >>> check_same(data, data, Engine(torch.device("cpu")))
    """
    seen = engine.gather_objects((train.fingerprint(), val.fingerprint()))
    other = next((rank for rank, one in enumerate(seen) if one != seen[0]), 0)
    if other == 0:
        return
    problem = f"process {other} of {engine.world} has found other pictures in {train.name} than the main process"
    if engine.is_main:
        raise DataError(problem, expected="the same pictures on every machine")
    raise OtherProcessError(problem)


def check_sizes(recipe: Recipe, classifier: Classifier, count: int, engine: Engine) -> None:
    """Raise UsageError for batches that cannot be shared out, of `count` pictures, and for a crop beyond the picture.

    >>> import torch
    >>> net = Classifier.from_module(torch.nn.Flatten(), size=8)
    >>> check_sizes(Recipe(), net, 100, Engine(torch.device("cpu")))
    """
    size = min(recipe.batch_size, count)
    if size < engine.world:
        raise UsageError(f"batches of {size} for {engine.world} processes", expected="at least one picture for each")
    if classifier.size is not None and recipe.augment.crop >= min(classifier.size):
        raise UsageError(f"crop={recipe.augment.crop} of {min(classifier.size)} pixels", expected="less than them")


def check_single(module: nn.Module, frozen: frozenset[str], image: Tensor, size: int, recipe: Recipe) -> None:
    """Raise UsageError where steps of `size` compute single pictures and a layer takes no statistics of one.

    A copy of the module is tried, as it is trained, on `image` `[1,C,H,W]`, which is normalized.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4))
    >>> check_single(net, frozenset(), torch.zeros(1, 3, 2, 2), 1, Recipe(batch_size=1))
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: a batch of 1 picture, ...; expected 2 or more, for BatchNorm's statistics...
    """
    if size // min(recipe.accumulate, size) > 1:
        return
    tried = copy_of(module).train()
    rest_frozen(tried, frozen)
    try:
        with torch.no_grad(), torch.random.fork_rng():
            tried(image)
    except ValueError as error:  # as torch's normalizations refuse it
        raise UsageError(
            f"a batch of 1 picture, or parts of 1, does not suit this model ({error})",
            expected="2 or more, for BatchNorm's statistics",
            hint=f"--batch-size {2 * recipe.accumulate} or more",
        ) from None
