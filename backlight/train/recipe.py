"""Recipes: everything that decides how a network is trained, as plain data that is stored with the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from backlight.core.errors import FileError, UsageError, did_you_mean
from backlight.core.grammar import parse_number
from backlight.core.reading import read_json
from backlight.train.adversaries import read_adversary
from backlight.train.augment import Augmentation
from backlight.train.losses import read_loss
from backlight.train.order import BALANCES
from backlight.train.teacher import TeacherSpec

OPTIMIZERS = ("sgd", "adam", "adamw", "muon")
SCHEDULES = ("constant", "cosine", "linear", "triangle")
SELECTIONS = ("loss", "accuracy", "robust")

T = TypeVar("T", "Recipe", Augmentation)

_CHOICES = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "select": SELECTIONS, "balance": BALANCES}
_LOWEST = {"epochs": 1, "batch_size": 1, "accumulate": 1}
_BELOW_ONE = ("label_smoothing", "ema", "swa", "momentum")


@dataclass(frozen=True)
class Recipe:
    """Hold a recipe; `augment` holds what is done to the pictures.

    `lr` is the highest learning rate of the schedule; `warmup` the share of all steps that lead up to it, `final`
    what is left of it at the end, as a factor. `layer_decay` below 1 makes each layer learn slower than the one after
    it by that factor. `loss`: `cross-entropy`, `focal:gamma=2`, `file.py:function`. `label_smoothing`: share of the
    target spread over all classes. `ema`: decay of the averaged
    weights that are then evaluated and kept, 0 for none. `swa`: share of all steps after which the plain mean of the
    weights is taken in its place, 0 for never. `clip`: largest norm of the gradient, 0 for none.
    `accumulate`: parts, of equal size or nearly, in which a batch is computed. `balance`: `none`, `weights` (loss by
    inverse class frequency) or `sampling`. With weights the loss of a picture is its whole smoothed loss times
    the weight of its own class; `torch.nn.CrossEntropyLoss(weight=..., label_smoothing=...)` weighs each class of the
    target.
    `freeze`: how many layers, from the input, stay as they are; -1 leaves only the last free, -2 the last
    two. `patience`: epochs without a better one before it stops, 0 for never. `select`: the best epoch is the one of
    lowest validation `loss`, highest `accuracy`, or highest accuracy under PGD, `robust`. `adversary`: such as
    `pgd:eps=8/255,steps=3`; with one, as many validation pictures as `watched` are attacked by PGD after each epoch,
    and a training that collapses ends there.
    `teacher`: a trained model whose answers are learned too, `MODEL:temperature=4,weight=0.9`.

    Raises UsageError for values that make no sense.

    >>> Recipe(epochs=3).lr
    0.002
    """

    epochs: int = 15
    batch_size: int = 128
    optimizer: str = "adamw"
    lr: float = 0.002
    weight_decay: float = 0.05
    momentum: float = 0.9
    layer_decay: float = 1.0
    schedule: str = "cosine"
    warmup: float = 0.1
    final: float = 0.0
    loss: str = "cross-entropy"
    label_smoothing: float = 0.1
    ema: float = 0.0
    swa: float = 0.0
    clip: float = 0.0
    accumulate: int = 1
    balance: str = "none"
    freeze: int = 0
    patience: int = 0
    select: str = "accuracy"
    adversary: str = ""
    watched: int = 256
    teacher: str = ""
    augment: Augmentation = field(default_factory=lambda: Augmentation(flip="alternating", crop=2))

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise UsageError(f"{name}={getattr(self, name)}", hint=did_you_mean(getattr(self, name), known))
        for one in fields(self):
            value = getattr(self, one.name)
            if not isinstance(value, int | float) or one.name == "freeze":
                continue
            if not value >= _LOWEST.get(one.name, 0) or (one.name in _BELOW_ONE and value >= 1):
                expected = "0 to below 1" if one.name in _BELOW_ONE else f"at least {_LOWEST.get(one.name, 0)}"
                raise UsageError(f"{one.name}={value}", expected=expected)
        read_loss(self.loss)
        ball = None
        if self.adversary:
            ball = read_adversary(self.adversary).ascent
        if self.teacher:
            TeacherSpec.read(self.teacher)
        if self.teacher and self.adversary and read_adversary(self.adversary).worst_case is not None:
            raise UsageError(f"a teacher with {self.adversary}", expected="one of them: bounds answer no teacher")
        if self.select == "robust" and (ball is None or not self.watched):
            raise UsageError("select=robust", expected="an adversary in a ball, and watched above 0", hint="nfgsm")
        if self.ema and self.swa:
            raise UsageError(f"ema={self.ema} and swa={self.swa}", expected="one average", hint="ema=0, then swa")
        if self.warmup > 1 or self.final > 1 or self.lr <= 0 or self.layer_decay <= 0:
            raise UsageError(
                f"lr={self.lr}, warmup={self.warmup}, final={self.final}, layer_decay={self.layer_decay}",
                expected="lr and layer_decay above 0, warmup and final at most 1",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as JSON has it; `Recipe.from_json` reads it back."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Recipe:
        """Read a recipe from a JSON object; what is absent keeps its default.

        Raises UsageError for unknown names and values of another type.

        >>> Recipe.from_json({"lr": 0.1, "augment": {"flip": "random"}}).augment.flip
        'random'
        """
        given = dict(data)
        changes = given.pop("augment", None)
        recipe = _changed(Recipe(), given)
        if changes is None:
            return recipe
        if not isinstance(changes, Mapping):
            raise UsageError(f"augment={changes!r}", expected="an object of augmentation settings")
        return replace(recipe, augment=_changed(Augmentation(), changes))


# Adam at 1e-4, flips, rotations by 5 degrees, scales and colors: the recipe of a much-copied CIFAR-10 exercise.
CLASSIC = Recipe(
    epochs=15,
    batch_size=64,
    optimizer="adam",
    lr=1e-4,
    weight_decay=0.0,
    schedule="constant",
    warmup=0.0,
    label_smoothing=0.0,
    select="loss",
    augment=Augmentation(flip="random", degrees=5.0, scale=(0.8, 1.2), brightness=(0.8, 1.2), saturation=(0.8, 1.2)),
)
# One noisy step against every batch, an average of the weights, and augmentation.
ADVERSARIAL = Recipe(
    epochs=15,
    lr=0.001,
    weight_decay=0.0005,
    label_smoothing=0.0,
    ema=0.999,
    select="robust",
    adversary="nfgsm:eps=8/255",
    augment=Augmentation(flip="alternating", crop=2),
)
RECIPES = {"adversarial": ADVERSARIAL, "classic": CLASSIC, "default": Recipe()}


def read_recipe(name: str | Path = "default", settings: Iterable[str] = ()) -> Recipe:
    """Find a recipe by name or in a JSON file, and change it by settings `key=value`.

    Keys are the names of the recipe's and its augmentation's values; ranges are written `0.8:1.2`; `augment` alone
    is its `corruption`.

    Raises UsageError for unknown names and values that do not fit, FileError for a file that is no recipe.

    >>> recipe = read_recipe("classic", ["lr=0.01", "scale=0.9:1.1", "flip=none"])
    >>> recipe.lr, recipe.augment.scale, recipe.augment.flip
    (0.01, (0.9, 1.1), 'none')
    """
    return change_recipe(find_recipe(name), settings)


def change_recipe(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Change a recipe by settings `key=value`; raises as `read_recipe` does.

    >>> change_recipe(CLASSIC, ["lr=0.01"]).lr
    0.01
    """
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not (key and equals):
            raise UsageError(f"setting {setting!r}", expected="key=value")
        inner = {one.name for one in fields(Augmentation)}
        key = "augment.corruption" if key == "augment" else key
        if key.removeprefix("augment.") in inner:
            augment = _changed(recipe.augment, {key.removeprefix("augment."): value})
            recipe = replace(recipe, augment=augment)
        else:
            recipe = _changed(recipe, {key: value}, more=inner)
    return recipe


def find_recipe(name: str | Path) -> Recipe:
    """Find a recipe by name or in a JSON file; raises as `read_recipe` does.

    >>> find_recipe("classic") == CLASSIC
    True
    """
    if str(name) in RECIPES:
        return RECIPES[str(name)]
    path = Path(name)
    if path.suffix != ".json":
        raise UsageError(f"no recipe {str(name)!r}", hint=did_you_mean(str(name), [*RECIPES, "FILE.json"]))
    data = read_json(path, limit=2**20, expected="a recipe, a JSON object")
    if not isinstance(data, dict):
        raise FileError(path, "is not a recipe", expected="a JSON object")
    return Recipe.from_json(data)


def _changed(thing: T, given: Mapping[str, Any], more: Iterable[str] = ()) -> T:
    known: dict[str, Any] = {one.name: getattr(thing, one.name) for one in fields(thing) if one.name != "augment"}
    for key in given:
        if key not in known:
            raise UsageError(f"a recipe has no {key!r}", hint=did_you_mean(key, [*known, *more]))
    return replace(thing, **{key: _read(key, value, known[key]) for key, value in given.items()})


def _read(key: str, value: Any, old: Any) -> Any:
    """Read a value, from JSON or as text, as the type of the old one."""
    try:
        if isinstance(old, str):
            if not isinstance(value, str):
                raise TypeError
            return value
        if key == "torchvision":
            return tuple(value.split("+")) if isinstance(value, str) else tuple(str(one) for one in value)
        if isinstance(old, tuple):
            low, high = value.split(":") if isinstance(value, str) else value
            return parse_number(low), parse_number(high)
        if isinstance(value, bool):  # JSON's true would count as 1
            raise TypeError
        number = parse_number(value)
        if isinstance(old, int) and number != int(number):
            raise ValueError
        return int(number) if isinstance(old, int) else number
    except (TypeError, ValueError, UsageError):
        expected = "a range such as 0.8:1.2" if isinstance(old, tuple) else f"a value like {old!r}"
        raise UsageError(f"{key}={value!r}", expected=expected) from None
