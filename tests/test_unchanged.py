"""Every public function that takes a classifier leaves it, its gradients, modes and hooks, and the global RNG alone."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from backlight.attack import (
    ATTACKS,
    Challenge,
    PatchRequest,
    PerturbationRequest,
    TransferRequest,
    attack,
    ensemble,
    evaluate_robustness,
    evaluate_transfer,
    evaluate_universal,
)
from backlight.attack.request import RobustnessRequest
from backlight.audit import look_once
from backlight.certify import CertifyRequest, certify_by_bounds, certify_by_smoothing, evaluate_certificates
from backlight.classifier import Classifier
from backlight.classifier.heads import Head
from backlight.classifier.targets import resolve_targets
from backlight.core.errors import ModelError
from backlight.core.random import Random
from backlight.corrupt import CorruptionRequest, evaluate_corruptions
from backlight.data import Dataset, load_data
from backlight.evaluate import evaluate, evaluate_multilabel, predict
from backlight.evaluate.doubts import doubt_normalization, doubt_normalization_on_files
from backlight.evaluate.multilabel import evaluate_targets
from backlight.evaluate.normalization import check_normalization
from backlight.evaluate.samples import predict_dataset
from backlight.explain import METHODS, explain, explain_data, method
from backlight.explain.request import Request
from backlight.explain.scores import METRICS, score, score_explanations
from backlight.images import write_png
from backlight.models import inspect_model
from backlight.models.sidecar import write_passport
from backlight.pixels import Adam, Ball, Box, Pixels, Sign, cross_entropy, optimize, read_objective, turns
from backlight.testing import CALLERS, caller, small_net, unchanged
from backlight.train import fit
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime
from backlight.visualize import class_image, dream, feature_image, fooling_image, invert, style_transfer

SIDE = 16
IMAGES = torch.linspace(0, 1, 3 * 3 * SIDE * SIDE).view(3, 3, SIDE, SIDE).round(decimals=2)
LABELS = torch.tensor([0, 1, 2])
MASKS = torch.zeros(3, SIDE, SIDE, dtype=torch.bool).index_fill(2, torch.arange(4), True)
SHAPES = f"shapes:n=24,size={SIDE},classes=4"
LAST = "6"
ATTENTION = ("rollout", "gradient_attention", "legrad")
ROBUST = RobustnessRequest("pgd", eps=0.1, options={"steps": 3})
MOVED = TransferRequest.of("mi+dim:steps=2")
ADDED, LAID = PerturbationRequest(epochs=1), PatchRequest(steps=2)
PROVED = CertifyRequest("smoothing:n=12,n0=4")
CORRUPTED = CorruptionRequest.of("fog,jpeg", severities=[3], stability=True)
Call = Callable[[Classifier, Path], Any]


def explaining(method: str) -> Call:
    short = {"rise": "rise:samples=8", "occlusion": "occlusion:window=8,stride=8", "smoothgrad": "smoothgrad:samples=3"}
    short |= {"lime": "lime:samples=5", "kernelshap": "kernelshap:samples=6"}
    return lambda classifier, _: explain(classifier, IMAGES, methods=[short.get(method, method)])


def attacking(method: str) -> Call:
    target = "random" if ATTACKS[method].targeted == "always" else None
    steps = {name: count for name, count in (("steps", 4), ("queries", 40)) if name in ATTACKS[method].options}
    # So large a ball that every attack succeeds at once: what matters here is what it leaves behind.
    largest = SIDE * SIDE * 3 if ATTACKS[method].norms[0] == "l0" else 1.0 - 1e-6
    eps = None if ATTACKS[method].minimum_norm or target else largest
    return lambda classifier, _: attack(classifier, IMAGES, method=method, eps=eps, target=target, **steps)


def optimizing(classifier: Classifier, _: Path) -> None:
    ball = Ball("linf", IMAGES, 0.1) & Box()
    optimize(classifier, cross_entropy(LABELS), Pixels(IMAGES), Sign(0.05), steps=3, constraint=ball)


def turning(classifier: Classifier, _: Path) -> None:
    for run in turns(classifier, cross_entropy(LABELS), Pixels(IMAGES), Adam(0.05), steps=6, constraint=Box()):
        if run.t == 3:
            break  # a generator left half way must not keep the module frozen


def several(classifier: Classifier) -> Classifier:
    return classifier.replace(head=Head("multilabel"))


def predicting(classifier: Classifier, folder: Path) -> None:
    write_png(folder / "one.png", IMAGES[0])
    predict(classifier, [folder / "one.png"])


def doubting(classifier: Classifier, folder: Path) -> None:
    write_png(folder / "one.png", IMAGES[0])
    assert doubt_normalization_on_files(classifier, [folder / "one.png"]) is not None


def marked() -> Dataset:
    data = load_data(SHAPES)
    return replace(data, targets=torch.arange(len(data) * 4).view(-1, 4) % 3 == 0)


def fitting(classifier: Classifier, folder: Path) -> None:
    train, val = (load_data(SHAPES, split=part) for part in ("train", "val"))
    settled = Runtime("float32", "contiguous", tensorboard=False)
    fit(classifier, train, val, folder / "run", recipe=Recipe(epochs=1, batch_size=8), runtime=settled)


def scoring(classifier: Classifier, _: Path) -> None:
    methods, random = [method("saliency")], Random(0, [0, 1, 2])
    found = explain(classifier, IMAGES, methods=methods, random=random)
    score_explanations(classifier, found, methods, ["max_sensitivity"], random=random)


CALLS: dict[str, Call] = {
    "logits": lambda classifier, _: classifier.logits(IMAGES),
    "features": lambda classifier, _: classifier.features(IMAGES, [LAST]),
    "fast": lambda classifier, _: classifier.fast(),
    "layers": lambda classifier, _: classifier.layers(),
    "resolve_targets": lambda classifier, _: resolve_targets(classifier, classifier.logits(IMAGES), "second"),
    "inspect_model": lambda classifier, _: inspect_model(classifier),
    "optimize": optimizing,
    "turns": turning,
    "predict": predicting,
    "predict_dataset": lambda classifier, _: predict_dataset(classifier, load_data(SHAPES, split="all"), batch_size=8),
    "evaluate": lambda classifier, _: evaluate(classifier, load_data(SHAPES), tta=True),
    "fit": fitting,
    "evaluate_multilabel": lambda classifier, _: evaluate_multilabel(several(classifier), IMAGES, torch.eye(3, 4)),
    "evaluate_targets": lambda classifier, _: evaluate_targets(several(classifier), marked()),
    "check_normalization": lambda classifier, _: check_normalization(classifier, IMAGES),
    "doubt_normalization": lambda classifier, _: doubt_normalization(classifier, load_data(SHAPES)),
    "doubt_normalization_on_files": doubting,
    "write_passport": lambda classifier, folder: write_passport(classifier, folder),
    "question": lambda classifier, _: attack(several(classifier), IMAGES, target=1, eps=0.1, steps=3),
    "read_objective": lambda classifier, _: read_objective(classifier, f"{LAST}:2"),
    "Challenge.of": lambda classifier, _: Challenge.of(classifier, IMAGES, fast=True),
    "evaluate_robustness": lambda classifier, _: evaluate_robustness(classifier, load_data(SHAPES), ROBUST),
    "evaluate_transfer": lambda classifier, _: evaluate_transfer([classifier, classifier], load_data(SHAPES), MOVED),
    "evaluate_universal": lambda classifier, _: evaluate_universal(classifier, load_data(SHAPES), ADDED),
    "evaluate_universal patch": lambda classifier, _: evaluate_universal(classifier, load_data(SHAPES), LAID),
    "ensemble": lambda classifier, _: attack(ensemble([classifier, classifier]), IMAGES, method="mi", steps=2),
    "look_once": lambda classifier, _: look_once(classifier, load_data(SHAPES)),
    "evaluate_corruptions": lambda classifier, _: evaluate_corruptions(classifier, load_data(SHAPES), CORRUPTED),
    "certify_by_smoothing": lambda classifier, _: certify_by_smoothing(classifier, IMAGES, n=20, n0=5),
    "certify_by_bounds": lambda classifier, _: certify_by_bounds(classifier, IMAGES, LABELS, eps="2/255"),
    "evaluate_certificates": lambda classifier, _: evaluate_certificates(classifier, load_data(SHAPES), PROVED),
    "class_image": lambda classifier, _: class_image(classifier, [0, 2], steps=2),
    "feature_image": lambda classifier, _: feature_image(classifier, LAST, [0, 3], copies=2, steps=2),
    "invert": lambda classifier, _: invert(classifier, IMAGES[:1], LAST, steps=2),
    "dream": lambda classifier, _: dream(classifier, IMAGES[:1], LAST, octaves=1, steps=2),
    "fooling_image": lambda classifier, _: fooling_image(classifier, IMAGES, 1, steps=3),
    "style_transfer": lambda classifier, _: style_transfer(classifier, IMAGES[:1], IMAGES[1:2], preset=quick_style()),
    "explain_data": lambda classifier, _: explain_data(classifier, load_data(SHAPES), Request(("saliency", "gradcam"))),
    "score_explanations": scoring,
    **{f"explain {name}": explaining(name) for name in METHODS if name not in ATTENTION and ":" not in name},
    **{f"attack {name}": attacking(name) for name in ATTACKS},
    **{f"score {name}": (lambda c, _, name=name: score(c, IMAGES, metrics=[name], masks=MASKS)) for name in METRICS},
}
# These do not run the model on their own once its layers are known.
NO_PASS = {"resolve_targets", "layers", "read_objective", "write_passport"}
# These do without the faster copy that an exception keeps from being made, and run no pass after it.
NO_COPY = {"fast", "Challenge.of"}
# These refuse a network that is hooked into, for what they say would not hold for it.
NO_HOOKS = {"certify_by_bounds"}
ONE_PASS = {"features", "logits", "predict", "inspect_model", "explain rise", "evaluate_targets"}
ONE_PASS |= {f"score {name}" for name in ("pointing_game", "mass", "border")}
ONE_PASS |= {f"explain {name}" for name, card in METHODS.items() if card.needs & {"gradient", "ReLU", "layer"}}


def quick_style() -> Any:
    from backlight.visualize.style_presets import preset_of

    preset = preset_of("default")
    return replace(preset, content_layer="4", style_layers=("0", "4"), scales=(1.0,), steps=2)


def classifier_of(net: nn.Module) -> Classifier:
    return Classifier.from_module(net, size=SIDE, labels=["circle", "square", "triangle", "star"])


def states() -> list[object]:
    """List the states of callers; that of most, and the one that forbids most, are not slow."""
    daily = {"plain", "inference_mode"}
    return [pytest.param(one, marks=[] if one in daily else [pytest.mark.slow]) for one in CALLERS]


@pytest.mark.parametrize("state", states())
@pytest.mark.parametrize("name", CALLS)
def test_leaves_everything_as_it_was(name: str, state: str, tmp_path: Path) -> None:
    net = small_net()
    classifier = classifier_of(net)
    if (name, state) == ("fit", "frozen"):
        pytest.skip("a network whose every parameter is frozen cannot be trained")
    with caller(net, state), unchanged(net):
        CALLS[name](classifier, tmp_path)


@pytest.mark.parametrize("name", sorted(NO_COPY))
def test_leaves_everything_as_it_was_where_no_copy_can_be_made(name: str, tmp_path: Path) -> None:
    net = small_net()
    classifier = classifier_of(net)
    breaks = iter((False, True))

    def break_in_the_copy(*_: object) -> None:
        if next(breaks, True):
            raise RuntimeError("in the middle")

    if name == "fast":
        next(breaks)
    net[4].register_forward_hook(break_in_the_copy)
    with unchanged(net):
        found = CALLS[name](classifier, tmp_path)
    search = found if isinstance(found, Classifier) else found.search
    assert search.module is net
    assert "in the middle" in search.probe.reason


@pytest.mark.parametrize("name", [name for name in CALLS if name not in NO_PASS | NO_COPY | NO_HOOKS])
def test_leaves_everything_as_it_was_after_an_exception(name: str, tmp_path: Path) -> None:
    net = small_net()
    classifier = classifier_of(net)
    classifier.layers()
    passes = 0

    def break_in_the_middle(*_: object) -> None:
        nonlocal passes
        passes += 1
        if passes >= (1 if name in ONE_PASS else 2):
            raise RuntimeError("in the middle")

    net[4].register_forward_hook(break_in_the_middle)
    with pytest.raises(ModelError, match="the model itself failed.*in the middle"), unchanged(net):
        CALLS[name](classifier, tmp_path)


def test_every_public_function_that_takes_a_classifier_is_listed() -> None:
    listed = {name.split(" ")[0] for name in CALLS}
    elsewhere = {"write_report", "compare_random"}  # tests/report, tests/models
    rooms = ("attack", "certify", "explain", "explain.scores", "visualize", "models", "pixels", "report")
    for room in rooms:
        module = importlib.import_module(f"backlight.{room}")
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing) and "classifier" in inspect.signature(thing).parameters:
                assert name in listed | elsewhere, f"backlight.{room}.{name} is not in CALLS"
