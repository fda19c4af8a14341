"""Prove a check of the audit."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from backlight.audit import CHECKS, SECTIONS, CheckCard, Examined, Kept, LinearHead, Part
from backlight.audit.kept import HEALTH, PROPERTIES
from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.data import Dataset
from backlight.testing.setting import global_seed, require

_COUNT, _CLASSES, _WIDTH, _SIDE = 60, 4, 12, 16
_NAMES = ("circle", "square", "triangle", "star")


def check_check(check: str | CheckCard) -> None:
    """Prove a check: well-formed findings, the same when called again, and what it is given left as it was.

    Raises AssertionError that says what does not hold, and what the check raises.

    >>> check_check("accuracy")
    """
    card = CHECKS.find(check)
    require(card.section in SECTIONS, card.name, f"section {card.section!r}, expected one of {list(SECTIONS)}")
    examined = small_audit()
    require(card.needs <= examined.has, card.name, f"needs {sorted(card.needs - examined.has)}, which nothing offers")
    before = _copied(examined)
    with global_seed(0):
        first = [one.to_json() for one in card.function(examined)]
    with global_seed(1):
        again = [one.to_json() for one in card.function(examined)]
    same = json.dumps(first, allow_nan=False) == json.dumps(again, allow_nan=False)
    require(same, card.name, "finds something else when called again: key all draws by `examined.seed`")
    require(before == _copied(examined), card.name, "changes what it is given")
    known = {one for part in (examined.kept, examined.train, examined.against) if part is not None for one in part.ids}
    for found in first:
        require(found["section"] in SECTIONS, card.name, f"a finding in {found['section']!r}, which is no section")
        require(set(found["pictures"]) <= known, card.name, "pictures that are not in the data")
        require(bool(found["sentence"]), card.name, "a finding without a sentence")


def small_audit() -> Examined:
    """Return what a check is given: 60 drawn pictures with all that may be at hand.

    >>> "against" in small_audit().has
    True
    """
    part = _part("data")
    second = replace(part.kept, logits=np.roll(part.kept.logits, 1, axis=0))
    return Examined(part, _classifier(), _part("train"), _part("against"), second=second)


def _classifier() -> Classifier:
    """Build a model with as many features and the last layer that the parts tell of."""
    last = nn.Linear(_WIDTH, _CLASSES)
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(_centers() / 2))
        last.bias.zero_()
    net = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), last)
    return Classifier.from_module(net, size=_SIDE, mean=(0.0,) * 3, std=(1.0,) * 3, labels=_NAMES)


def _centers() -> np.ndarray:
    return 3 * np.eye(_CLASSES, _WIDTH, dtype=np.float32)


def _part(name: str) -> Part:
    ids = [f"{name}-{row}" for row in range(_COUNT)]
    random = Random(("check", name), ids)
    labels = random.integer(_CLASSES, stream="label").numpy()
    centers = _centers()
    features = centers[labels] + random.normal(_WIDTH, stream="features").numpy()
    head = LinearHead(centers / 2, np.zeros(_CLASSES, np.float32))
    drawn = random.uniform(len(PROPERTIES) + len(HEALTH), stream="properties").numpy()
    more: dict[str, Any] = dict(zip((*PROPERTIES, *HEALTH), drawn.T))
    half = features.astype(np.float16)
    kept = Kept.of(
        head.logits(half), labels=labels, label_names=_NAMES, features=half, ids=ids, head=head, name=name, **more
    )
    pixels = random.integer(256, 3, _SIDE, _SIDE, stream="pixels").to(torch.uint8)
    return Part(kept, Dataset.of(pixels, torch.from_numpy(labels), _NAMES, ids))


def _copied(examined: Examined) -> list[bytes]:
    parts = [part for part in (examined.kept, examined.train, examined.against, examined.second) if part is not None]
    values = [getattr(part, one.name) for part in parts for one in fields(part)]
    values += [column for part in parts for column in part.properties.values()]
    return [one.tobytes() for one in values if isinstance(one, np.ndarray)]
