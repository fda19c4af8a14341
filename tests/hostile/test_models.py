"""Every verb on every kind of model that goes wrong: what it says, that its numbers are right, that it harms nothing.

`python -m tests.hostile.page` draws the page of the docs from the same expectations.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.hidden import hidden_modules
from backlight.classifier.returned import call_module
from backlight.core.errors import BacklightError
from backlight.images import open_picture, to_tensor
from backlight.testing.unchanged import snapshot
from tests.hostile.expected import EXPECTED, expected
from tests.hostile.kinds import KINDS, Kind
from tests.hostile.models import pictures
from tests.hostile.page import PAGE, draw
from tests.hostile.verbs import REFUSED, VERBS, Pictures, Said, ask, classifier_of, write_pictures

UNSTEADY = {
    "answers that change with a counter", "answers that change between calls", "writes its own weights",
    "dropout always on", "noise of the global generator", "seeds the global generator", "BatchNorm by batch",
    "normalizes over the batch", "int8 weights", "raises in the third pass", "raises on some picture",
    "other classes in a later pass",
}  # fmt: skip
QUICK = {
    "NaN for every picture", "NaN for some pictures", "fewer rows than pictures", "a sigmoid written by hand",
    "raises in the third pass", "raises in the backward pass", "nothing wrong",
}  # fmt: skip
# What such a model changes by itself.
ITS_OWN = {"writes its own weights": {"values"}}
ITS_OWN |= {
    kind: {"torch"} for kind in ("dropout always on", "noise of the global generator", "seeds the global generator")
}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Pictures]:
    folder = tmp_path_factory.mktemp("pictures")
    return {classes: write_pictures(folder / str(classes), classes) for classes in (2, 3)}


def kinds() -> list[object]:
    return [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow, id=kind) for kind in KINDS]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("kind", kinds())
def test_every_verb_says_what_is_expected_and_harms_nothing(
    kind: str, shown: dict[int, Pictures], tmp_path: Path
) -> None:
    for verb in VERBS:
        made = KINDS[kind].make()
        net = made if isinstance(made, nn.Module) else next(iter(hidden_modules(made).values()))
        seen = shown[min(3, len(KINDS[kind].labels))]
        before = snapshot(net)
        said = asked(verb, made, KINDS[kind], seen, tmp_path / verb)
        ended, words = expected(kind, verb)
        assert said.ended == ended, f"{verb}: {said.words}"
        for one in words:
            assert one in said.words, f"{verb}: {said.words}"
        assert words or "model: " not in said.words, f"{verb}: {said.words}"
        check_unchanged(net, before, ITS_OWN.get(kind, set()))
        if said.ended != REFUSED:
            json.dumps(said.document, allow_nan=False)
            if kind not in UNSTEADY:
                check_numbers(verb, said, classifier_of(made, KINDS[kind].labels, KINDS[kind].outputs), seen)


def asked(verb: str, made: object, kind: Kind, seen: Pictures, out: Path) -> Said:
    try:
        classifier = classifier_of(made, kind.labels, kind.outputs)
    except BacklightError as error:
        return Said(REFUSED, str(error))
    return ask(verb, classifier, seen, out)


def check_unchanged(net: nn.Module, before: dict[str, object], own: set[str]) -> None:
    if any(tensor.is_meta for tensor in (*net.parameters(), *net.buffers())):
        return
    after = snapshot(net)
    for name, value in before.items():
        if name not in own:
            assert same(value, after[name]), name


def same(left: object, right: object) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return torch.equal(left.nan_to_num(7.25), right.nan_to_num(7.25))
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def check_numbers(verb: str, said: Said, classifier: Classifier, seen: Pictures) -> None:
    """Compare with what the bare module answers for the same pixels, by a few lines of NumPy."""
    document = said.document
    prediction, confidence = answers(classifier, pictures() / 255)
    right = prediction == seen.labels
    if verb == "evaluate":
        assert document["accuracy"] == pytest.approx(right.mean(), abs=1e-12)
        known = prediction >= 0
        ece = calibration_error(confidence[known], right[known])
        assert document["ece"] == (pytest.approx(ece, abs=1e-5) if known.any() else None)
        assert len(document["not_finite"]) == int((~known).sum())
    elif verb == "robustness":
        assert document["clean_accuracy"] == pytest.approx(right.mean(), abs=1e-12)
        assert document["robust_accuracy"] <= document["clean_accuracy"]
    elif verb == "transfer":
        assert document["clean_accuracy"]["model"] == pytest.approx(right.mean(), abs=1e-12)
    elif verb in ("corruptions", "universal", "certify"):
        assert document["clean_accuracy"] == pytest.approx(right.mean(), abs=1e-12)
    elif verb == "calibrate":
        assert document["ece_before"] == pytest.approx(
            calibration_error(confidence[prediction >= 0], right[prediction >= 0]), abs=1e-5
        )
        assert document["loss_after"] <= document["loss_before"] + 1e-9
    elif verb == "predict":
        best = [classifier.class_index(f"index:{one['predictions'][0]['index']}") for one in named(document)]
        places = [int(Path(one["path"]).stem) for one in named(document)]
        assert best == prediction[places].tolist()
    elif verb == "attack":
        for one in named(document):
            after, _ = answers(classifier, to_tensor(open_picture(one["png"]))[None])
            assert one["success"] == (after[0] >= 0 and classifier.label(int(after[0])) != one["label_before"])


def named(document: list[dict[str, object]]) -> list[dict[str, object]]:
    return [one for one in document if "error" not in one]


def answers(classifier: Classifier, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the class and the confidence of the bare module, -1 and NaN where it has no prediction."""
    with torch.no_grad(), classifier.guard():
        values = call_module(classifier.module, classifier.normalize(images), width=classifier.head.width).values
    scores = values.double().numpy()
    if classifier.outputs == "probabilities":
        scores = np.log(scores)
    known = np.isfinite(scores.max(1))
    prediction = np.where(known, scores.argmax(1), -1)
    shifted = scores[known] - scores[known].max(1, keepdims=True)
    confidence = np.full(len(scores), np.nan)
    confidence[known] = 1 / np.exp(shifted).sum(1)
    return prediction, confidence


def calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected error over fifteen bins of equal width."""
    place = np.minimum((confidence.astype(np.float32).astype(np.float64) * 15).astype(int), 14)
    gaps = [abs(right[place == one].mean() - confidence[place == one].mean()) for one in np.unique(place)]
    return float(sum(gap * (place == one).mean() for gap, one in zip(gaps, np.unique(place))))


def test_every_expectation_is_of_a_kind_and_there_are_many() -> None:
    assert set(EXPECTED) <= set(KINDS)
    assert len(KINDS) >= 43
    for rows in EXPECTED.values():
        verbs = [verb for one in rows for verb in one.verbs.split()]
        assert set(verbs) <= set(VERBS)
        assert len(verbs) == len(set(verbs))


def test_the_page_of_the_docs_is_drawn_from_these_expectations() -> None:
    assert PAGE.read_text(encoding="utf-8") == draw(), "python -m tests.hostile.page"
