"""From what a request names to a classifier and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from backlight.classifier import Classifier
from backlight.core.errors import UsageError, counted, did_you_mean
from backlight.core.processes import make_engine
from backlight.data import Dataset, load_data
from backlight.data.trained import trained_on
from backlight.evaluate import match_labels
from backlight.evaluate.normalization import NormalizationCheck
from backlight.models import load
from backlight.models.stated import read_size

DEFAULT_MODEL = "efficientnet_lite0"
MEMORY_FORMATS = {"auto": None, "contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class ModelRequest:
    """Which classifier, with which weights, in which form: the options of `load`, on a device.

    >>> ModelRequest("classic_cnn", random=True).load(seed=3).name
    'classic_cnn'
    """

    model: str = DEFAULT_MODEL
    random: bool = False
    weights: Path | None = None
    labels: Path | None = None
    mean: float | tuple[float, ...] | None = None
    std: float | tuple[float, ...] | None = None
    size: str | int | Sequence[int] | None = None
    resize: int | None = None
    crop: str | float | None = None
    interpolation: str | None = None
    outputs: str | None = None
    classes: Path | None = None
    templates: Path | None = None
    device: str = "auto"
    memory_format: str = "auto"

    def __post_init__(self) -> None:
        if self.memory_format not in MEMORY_FORMATS:
            hint = did_you_mean(self.memory_format, MEMORY_FORMATS)
            raise UsageError(f"--memory-format {self.memory_format}", expected=" | ".join(MEMORY_FORMATS), hint=hint)

    def load(self, seed: int = 0) -> Classifier:
        """Load it on this process's device; `seed` draws random weights. Raises as `load` does."""
        classifier = load(
            self.model,
            random=self.random,
            weights=self.weights,
            labels=self.labels,
            mean=self.mean,
            std=self.std,
            size=self.size,
            resize=self.resize,
            crop=self.crop,
            interpolation=self.interpolation,
            outputs=self.outputs,
            classes=self.classes,
            templates=self.templates,
            seed=seed,
            device=make_engine(self.device).device,
        )
        layout = MEMORY_FORMATS[self.memory_format]
        if layout is not None:
            classifier.module.to(memory_format=layout)
        return classifier

    @property
    def words(self) -> tuple[str, ...]:
        """Return the options by which a command line names this model.

        >>> ModelRequest("vit", mean=(0.5, 0.5, 0.5), size=(32, 24)).words
        ('--model', 'vit', '--mean', '0.5,0.5,0.5', '--size', '32x24')
        """
        given = {one.name: getattr(self, one.name) for one in fields(self) if getattr(self, one.name) != one.default}
        size = given.get("size")
        given |= {} if size is None else {"size": "x".join(map(str, read_size(size)))}
        return ("--model", self.model, *option_words({**given, "model": None}))


def option_words(options: Mapping[str, object]) -> tuple[str, ...]:
    """Write options as a command line has them: flags alone, several numbers with commas between, None not at all.

    >>> option_words({"random": True, "std": (0.5, 0.2), "labels": None, "memory_format": "auto"})
    ('--random', '--std', '0.5,0.2', '--memory-format', 'auto')
    """
    words: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        words += [f"--{name.replace('_', '-')}", *([] if value is True else [text])]
    return tuple(words)


Model = str | ModelRequest | Classifier


def as_classifier(model: Model, seed: int) -> Classifier:
    """Load what a request names; a classifier that is loaded already is taken as it is."""
    if isinstance(model, Classifier):
        return model
    return (ModelRequest(model) if isinstance(model, str) else model).load(seed)


def model_name(model: Model) -> str:
    """Return the specification of a model.

    >>> model_name(ModelRequest("classic_cnn"))
    'classic_cnn'
    """
    return model if isinstance(model, str) else model.name if isinstance(model, Classifier) else model.model


def told_apart(models: Sequence[Model]) -> tuple[str, ...]:
    """Name models without their folders: by their weights too where the names are equal, else by their place.

    >>> told_apart([ModelRequest("vit", weights=Path("runs/a.pth")), ModelRequest("vit", weights=Path("b.pth"))])
    ('vit (a.pth)', 'vit (b.pth)')
    >>> told_apart(["runs/vit", "vit"])
    ('vit (1)', 'vit (2)')
    """
    names = [Path(model_name(one)).name for one in models]
    files = [one.weights.name if isinstance(one, ModelRequest) and one.weights else "" for one in models]
    both = [f"{name} ({file})" if file else name for name, file in zip(names, files)]
    numbered = [f"{name} ({place})" for place, name in enumerate(names, 1)]
    return tuple(next((each for each in (names, both) if len(set(each)) == len(each)), numbered))


def memory_format_of(model: Model) -> str:
    """Return how the model's weights are to lie in memory, `auto` where nothing was asked for."""
    return model.memory_format if isinstance(model, ModelRequest) else "auto"


@dataclass(frozen=True)
class DataRequest:
    """Which pictures: a data set by the DATA grammar, or loaded already, a part of it, and how many.

    `limit` takes pictures spread evenly, `sample` draws them by class; `follow_links` reads what links lead to.

    >>> DataRequest("shapes:n=20,size=16,classes=2", limit=3).load()
    Dataset(shapes:n=20,size=16,classes=2, all: 3 pictures, 2 classes)
    """

    data: str | Dataset
    split: str | None = None
    limit: int | None = None
    sample: int | None = None
    follow_links: bool = False

    @property
    def described(self) -> dict[str, Any]:
        """Describe which pictures these are, to tell one study from another."""
        return {"data": self.name, "split": self.split, "limit": self.limit, "sample": self.sample}

    def load(self, *models: Model, seed: int = 0) -> Dataset:
        """Load the part that is named, for models that will look at it; raises as `load_data` does.

        Without a split it is the test part where the data has one, or where one of the models is a run that was
        trained on the rest of it; else all of it.
        """
        if isinstance(self.data, Dataset):
            return self.data.sampled(self.sample, seed).limited(self.limit)
        return load_data(
            self.data,
            split=self.split,
            limit=self.limit,
            sample=self.sample,
            seed=seed,
            trained_on=trained_on(*map(model_name, models)),
            follow_links=self.follow_links,
        )

    @property
    def part_words(self) -> tuple[str, ...]:
        """Return the options by which a command line names this part of the data.

        >>> DataRequest("photos/", "test", sample=100).part_words
        ('--split', 'test', '--sample', '100')
        """
        names = ("split", "limit", "sample", "follow_links")
        return option_words({name: getattr(self, name) for name in names})

    @property
    def name(self) -> str:
        """Return the specification, or the name of a data set that is loaded."""
        return self.data.name if isinstance(self.data, Dataset) else self.data


def data_of_run(run: str | Path) -> DataRequest:
    """Return the data set that a run was trained on, as it was named then; raises UsageError where it says of none.

    >>> data_of_run("no-such-folder")
    Traceback (most recent call last):
    ...
    backlight.core.errors.UsageError: no-such-folder is no run that says which data it was trained on; ...
    """
    found = trained_on(str(run))
    if found is None:
        raise UsageError(f"{run} is no run that says which data it was trained on", hint="name both: --model --data")
    return DataRequest(found.name)


def matched(classifier: Classifier, pictures: Dataset) -> Dataset:
    """Number labels and bring channels as a classifier has them; raises DataError as `match_labels` does."""
    return match_labels(classifier, pictures).with_channels(classifier.channels)


def named(classifier: Classifier, pictures: Dataset) -> Classifier:
    """Return a classifier that has the data's class names where it has none of its own and as many classes.

    >>> from backlight import load
    >>> bare, data = load("classic_cnn", random=True).replace(labels=()), DataRequest("shapes:n=20,classes=10").load()
    >>> named(bare, data).labels[:2]
    ('circle', 'square')
    """
    if classifier.labels or classifier.size is None or len(pictures.label_names) != classifier.classes:
        return classifier
    return classifier.replace(labels=pictures.label_names)


def told(data: Dataset) -> tuple[str, ...]:
    """Describe which part of a data set is looked at and why, and what was left out of it.

    >>> told(DataRequest("shapes:n=20,size=16,classes=2").load())
    ('shapes:n=20,size=16,classes=2: all, 20 pictures (the data has no parts of its own)',)
    """
    why = f" ({data.reason})" if data.reason else ""
    return f"{data.name}: {data.split}, {counted(len(data), 'picture')}{why}", *data.notes


def data_title(data: Dataset) -> str:
    """Name a data set and its split for a page.

    Only the last part of its path: the page may be sent to people whom the sender's folders do not concern.
    """
    return f"{data.name.rstrip('/').rsplit('/', 1)[-1]} ({data.split})"


def data_facts(data: Dataset) -> str:
    """Name a data set for the facts below a page's title: what it is called, how many pictures, its fingerprint.

    >>> import torch
    >>> data_facts(Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8)))[:28]
    'data (all), 2 pictures, fing'
    """
    return f"{data_title(data)}, {counted(len(data), 'picture')}, fingerprint {data.fingerprint()}"


def with_model(classifier: Classifier, document: Mapping[str, Any], data: Dataset | None = None) -> dict[str, Any]:
    """Add to a document which model it is about, on which data, and what makes its numbers doubtful."""
    about = {} if data is None else {"data": about_data(data)}
    return {**document, "model": classifier.passport.to_json(), **about, "warnings": list(doubts_of(classifier))}


def about_data(data: Dataset) -> dict[str, Any]:
    """Say which pictures numbers are about, so that two documents can be seen to be about the same."""
    return {"name": data.name, "split": data.split, "n": len(data), "fingerprint": data.fingerprint()}


def measured_by(*classifiers: Classifier) -> tuple[str, ...]:
    """Describe in a line each how pictures reach the models that measured numbers, and who says so."""
    return tuple(f"{one.passport.name}: {one.passport.describe()}" for one in classifiers)


def doubts_of(*classifiers: Classifier) -> tuple[str, ...]:
    """Warn of what had to be assumed of models with weights, and of what was seen that makes their numbers doubtful."""
    told = (
        text
        for one in classifiers
        for text in (*one.passport.warnings(), *(f"{one.passport.name}: {doubt}" for doubt in one.doubts))
    )
    return tuple(dict.fromkeys(told))


def take_doubt(classifier: Classifier, check: NormalizationCheck | None) -> None:
    """Note a normalization in doubt on the classifier, where warnings, documents and pages find it."""
    classifier.take_doubt("" if check is None else check.sentence())
