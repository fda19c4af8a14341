from __future__ import annotations

from typing import Any

import pytest

from backlight.sharing import robustbench_card

KEYS = (
    *("link", "name", "authors", "additional_data", "number_forward_passes", "dataset", "venue", "architecture"),
    *("eps", "clean_acc", "reported", "autoattack_acc", "external", "footnote", "unreliable"),
)
FOUND: dict[str, Any] = {
    "n": 1000,
    "planned": 1000,
    "attack": "autoattack",
    "mode": "exact",
    "norm": "linf",
    "eps": 8 / 255,
    "target": None,
    "clean_accuracy": 0.8123,
    "robust_accuracy": 0.345,
    "interval": [0.32, 0.37],
    "by_attack": {"apgd-ce": 0.36},
    "verdicts": [],
    "model": {"name": "net", "weights": "abc"},
    "data": {"name": "cifar10", "n": 1000},
}


def test_the_entry_has_the_keys_of_the_leaderboard() -> None:
    card = robustbench_card(FOUND)
    assert list(card) == [*KEYS, "backlight"]
    assert (card["eps"], card["clean_acc"], card["autoattack_acc"], card["external"]) == ("8/255", "81.23", "34.50", "")
    assert card["unreliable"] is False
    assert (card["backlight"]["n"], card["backlight"]["interval"]) == (1000, [0.32, 0.37])


@pytest.mark.parametrize(
    "other",
    [
        {"attack": "pgd:steps=20"},
        {"attack": "autoattack-fast", "stands_in_for": "autoattack"},
        {"mode": "audited"},
        {"target": "second"},
        {"planned": 2000},
    ],
)
def test_nothing_else_is_called_autoattack(other: dict[str, Any]) -> None:
    card = robustbench_card(FOUND | other)
    assert (card["autoattack_acc"], card["external"]) == ("", "34.50")
    assert "not AutoAttack as published" in card["footnote"]


def test_signs_of_a_hindered_attack_are_told() -> None:
    assert robustbench_card(FOUND | {"verdicts": ["masked"]})["unreliable"] is True


def test_l2_and_any_size() -> None:
    assert robustbench_card(FOUND | {"norm": "l2", "eps": 0.5})["eps"] == "0.5"
    assert robustbench_card(FOUND | {"eps": None})["eps"] == "any size"
