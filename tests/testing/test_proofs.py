"""Every proof fails on a plug-in that is broken in that one way, and holds for what is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from backlight.attack import Challenge
from backlight.attack.gradient import pgd
from backlight.core.plugins import Registry
from backlight.core.random import Random
from backlight.data import Dataset, sources
from backlight.data.sources import DATA_SOURCES, DataSource
from backlight.explain.scores import Metric
from backlight.explain.scores.judge import Judge
from backlight.explain.session import Session
from backlight.testing import check_attack, check_corruption, check_method, check_metric, check_source


def gradient(session: Session) -> Tensor:
    return session.gradient()


def of_the_batch(session: Session) -> Tensor:
    return session.gradient() - session.gradient().mean(0, keepdim=True)


def drawn_globally(session: Session) -> Tensor:
    with torch.random.fork_rng():
        return torch.rand_like(session.images)


def in_place(session: Session) -> Tensor:
    session.classifier.module[0].weight.data.mul_(1.5)
    return session.gradient()


def training(session: Session) -> Tensor:
    session.classifier.module.train()
    session.classifier.module(session.images)
    return session.gradient()


def infinite(session: Session) -> Tensor:
    return session.gradient() / 0


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (of_the_batch, "a picture alone"),
        (drawn_globally, "when called again"),
        (in_place, "again|changed: values"),
        (infinite, "not finite"),
        (training, "again|alone|changed"),
    ],
)
def test_broken_methods(method: Callable[..., Any], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_method(method)


@pytest.mark.parametrize("method", [gradient, "gradcam", "smoothgrad:samples=2", "occlusion:window=8,stride=8"])
def test_sound_methods(method: Any) -> None:
    check_method(method)


def brightest(judge: Judge, maps: Tensor) -> Tensor:
    return maps.flatten(1).amax(1)


def changes_maps(judge: Judge, maps: Tensor) -> Tensor:
    return maps.mul_(2).flatten(1).amax(1)


def ranked(judge: Judge, maps: Tensor) -> Tensor:
    return maps.flatten(1).sum(1).argsort().argsort().double()


def noisy(judge: Judge, maps: Tensor) -> Tensor:
    with torch.random.fork_rng():
        return torch.rand(len(maps))


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (changes_maps, "changes the maps"),
        (ranked, "a picture alone"),
        (noisy, "when called again"),
        (lambda judge, maps: maps.amax(1), "numbers of shape"),
        (lambda judge, maps: None, "returns NoneType"),
        (lambda judge, maps: maps.flatten(1).amax(1) / 0, "not finite"),
        (Metric("mine", brightest, "larger"), "better='larger'"),
        (Metric("mine", brightest, "higher", "masks"), "needs='masks'"),
    ],
)
def test_broken_metrics(metric: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_metric(metric)


@pytest.mark.parametrize("metric", [brightest, "mass", "border", "max_sensitivity"])
def test_sound_metrics(metric: Any) -> None:
    check_metric(metric)


def noise(challenge: Challenge, random: Random | None = None) -> Tensor:
    random = random or Random((challenge.seed, "noise"), challenge.ids)
    sign = random.sign(*challenge.images.shape[1:]).to(challenge.images)
    size = challenge.threat.size / (1 if challenge.threat.norm == "linf" else 3 * 16 * 16)
    return (challenge.images + size * sign).clamp(0, 1)


def numbered_by_place(challenge: Challenge) -> Tensor:
    return noise(challenge, Random(0, list(range(len(challenge.images)))))


def too_far(challenge: Challenge) -> Tensor:
    return challenge.images + 2 * (noise(challenge) - challenge.images)


def liar(challenge: Challenge) -> Any:
    found = pgd(challenge, steps=1)
    return found.__class__(**{**vars(found), "success": torch.ones_like(found.success), "images": challenge.images})


def overwrites(challenge: Challenge) -> Tensor:
    return challenge.images.mul_(0.99)


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (numbered_by_place, "alone"),
        (too_far, "outside of the ball"),
        (lambda challenge: challenge.images + 0.9, "outside of the ball or the box"),
        (liar, "claims successes"),
        (overwrites, "changes the originals|outside"),
        (lambda challenge: torch.rand_like(challenge.images), "outside|again"),
        (lambda challenge: None, "returns NoneType"),
    ],
)
def test_broken_attacks(attack: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_attack(attack)


@pytest.mark.parametrize("attack", [noise, "pgd:steps=2,restarts=2", "fgsm", "targeted-l2:steps=5"])
def test_sound_attacks(attack: Any) -> None:
    check_attack(attack)


def test_corruptions() -> None:
    def darker(images: Tensor, constants: tuple[float, ...], random: Random) -> Tensor:
        return images / (1 + constants[0])

    def grainy(images: Tensor, constants: tuple[float, ...], random: Random) -> Tensor:
        with torch.random.fork_rng():
            return images + 0.2 * torch.randn(images.shape)

    def alike(images: Tensor, constants: tuple[float, ...], random: Random) -> Tensor:
        return images - images.mean(0, keepdim=True) / 2

    check_corruption(darker)
    check_corruption("jpeg")
    for broken, words in ((grainy, "when called again"), (alike, "a?nother picture alone")):
        with pytest.raises(AssertionError, match=words):
            check_corruption(broken)


def dots(*, names: str = "a-b", shift: int = 0) -> Dataset:
    """Draw gray squares, each brighter than the last; `shift` makes every reading another."""
    dots.calls += shift
    images = torch.arange(12, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 8, 8) * 8 + dots.calls
    return Dataset.of(images, [0, 1] * 6, names.split("-"))


dots.calls = 0


def test_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = (*DATA_SOURCES.built_in.values(), DataSource("dots", dots))
    monkeypatch.setattr(sources, "DATA_SOURCES", Registry("data_sources", "source of data", cards, DataSource))
    check_source("dots")
    check_source("shapes:n=9,size=16,classes=3")
    with pytest.raises(AssertionError, match="other pictures when read again"):
        check_source("dots:shift=1")
