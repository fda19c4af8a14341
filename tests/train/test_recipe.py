"""Recipes, rates and orders: plain data and pure functions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from backlight.core.errors import FileError, UsageError
from backlight.train.layers import freeze, layer_groups
from backlight.train.recipe import CLASSIC, Recipe, read_recipe


@pytest.mark.parametrize("recipe", [Recipe(), CLASSIC, read_recipe("default", ["torchvision=RandAugment+AutoAugment"])])
def test_a_recipe_survives_json(recipe: Recipe) -> None:
    assert Recipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_a_recipe_from_a_file_with_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"lr": 0.5, "epochs": 3, "augment": {"crop": 4}}')
    recipe = read_recipe(path, ["augment.scale=0.9:1.1", "hue=1/10", "optimizer=sgd"])
    assert (recipe.lr, recipe.epochs, recipe.optimizer) == (0.5, 3, "sgd")
    assert (recipe.augment.crop, recipe.augment.scale, recipe.augment.hue) == (4, (0.9, 1.1), 0.1)


@pytest.mark.parametrize("given", [{"epochs": True}, {"lr": False}, {"augment": {"crop": True}}])
def test_true_is_no_number(given: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="=(True|False); expected a value like"):
        Recipe.from_json(given)


@pytest.mark.parametrize(("count", "frozen"), [(-1, 2), (-2, 1), (0, 0), (1, 1), (2, 2), (-3, None), (-5, None)])
def test_layers_are_counted_from_either_end(count: int, frozen: int | None) -> None:
    net = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(3)))
    if frozen is None:
        with pytest.raises(UsageError, match=f"freeze={count} of 3 layers freezes nothing; expected -2 to 2"):
            freeze(net, count)
    else:
        assert len(freeze(net, count)) == frozen


WRONG = (
    "lr",
    "lr=",
    "lr=fast",
    "epochs=1.5",
    "epochs=0",
    "rate=1",
    "scale=1",
    "optimizer=adm",
    "ema=1",
    "warmup=2",
    "lr=-1",
    "schedule=step",
)


@pytest.mark.parametrize("setting", WRONG)
def test_settings_that_are_not_understood(setting: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_recipe("default", [setting])
    assert setting.split("=")[0] in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", '"lr"'])
def test_files_that_are_no_recipes(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(FileError, match=r"mine\.json"):
        read_recipe(tmp_path / "mine.json")
    with pytest.raises(UsageError, match="classic"):
        read_recipe("clasic")
    with pytest.raises(UsageError, match="object"):
        Recipe.from_json({"augment": 3})


def test_layers_in_order_and_frozen_from_the_input() -> None:
    net = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), nn.Linear(2, 2))
    assert [names[0] for names in layer_groups(net)] == ["0.0.weight", "0.1.weight", "1.weight"]
    assert freeze(net, 0) == frozenset()
    assert freeze(net, -1) == {"0.0.weight", "0.0.bias", "0.1.weight", "0.1.bias"} == freeze(net, 2)
