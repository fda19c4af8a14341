"""A data set of certificates: shares follow from the table, attacks stay above proofs, blocks make no difference."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight import Classifier
from backlight.certify import CertificateStudy, CertifyRequest, evaluate_certificates
from backlight.core.errors import DataError, LayerError, UsageError
from backlight.core.random import Random
from backlight.data import Dataset
from backlight.table import Table

NAMES = ["a", "b", "c"]


def classifier(net: nn.Module | None = None) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        small = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    return Classifier.from_module(net or small, mean=(0.5,) * 3, std=(0.25,) * 3, size=6, labels=NAMES)


def data(count: int = 20) -> Dataset:
    images = (Random("study", list(range(count))).uniform(3, 6, 6) * 255).byte()
    model = classifier()
    return Dataset.of(images, model.logits(images / 255).argmax(1).tolist(), NAMES)


@pytest.mark.parametrize("method", ["ibp", "crown"])
def test_no_share_is_proved_that_an_attack_breaks(method: str) -> None:
    found = evaluate_certificates(classifier(), data(), CertifyRequest(method, eps="3/255"))
    (share,) = found.shares
    assert share.attacked is not None
    assert 0 < share.share <= share.attacked
    stood = found.stands(found.request.size)
    assert stood is not None
    assert not (found.holds(found.request.size) & ~stood).any()


def test_shares_of_smoothing_follow_from_the_table() -> None:
    found = evaluate_certificates(classifier(), data(), CertifyRequest("smoothing:n=200,n0=20"))
    radius = found.table["radius"]
    right = np.asarray(found.table["certified"] == found.table["label"])
    for one in found.shares:
        assert one.share == float((right & (radius >= one.radius)).mean())
    assert found.shares[-1].radius <= found.request.largest < found.shares[-1].radius + 0.25 / 4
    assert float(radius.max()) <= found.request.largest + 1e-12
    assert list(found.to_json()["certified_accuracy"])[:3] == ["0", "0.0625", "0.125"]


def test_blocks_and_batches_make_no_difference(tmp_path: Path) -> None:
    asked = CertifyRequest("smoothing:n=30,n0=5")
    whole = evaluate_certificates(classifier(), data(), asked, cache=tmp_path)
    again = evaluate_certificates(classifier(), data(), asked, cache=tmp_path)
    single = evaluate_certificates(classifier(), data(), asked, batch_size=1)
    for name in ("certified", "radius"):
        assert whole.table[name].tolist() == again.table[name].tolist() == single.table[name].tolist()


def test_the_largest_radius_is_the_published_one() -> None:
    assert CertifyRequest("smoothing:sigma=1,n=1000").largest == pytest.approx(2.46326, rel=1e-5)
    assert CertifyRequest("smoothing:sigma=1,n=100000").largest == pytest.approx(3.81146, rel=1e-5)


class Undefined(nn.Module):
    """Give NaN for dark pictures, in every look."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(108, 3)

    def forward(self, images: Tensor) -> Tensor:
        dark = images.mean((1, 2, 3), keepdim=True).flatten(1) < 0
        return torch.where(dark, math.nan, self.last(images.flatten(1)))


def test_without_a_prediction_nothing_is_proved_and_the_picture_is_named() -> None:
    images = torch.cat([torch.full((1, 3, 6, 6), 20), torch.full((1, 3, 6, 6), 235)]).byte()
    found = evaluate_certificates(
        classifier(Undefined()), Dataset.of(images, [0, 0], NAMES), CertifyRequest("smoothing:n=50,n0=5,sigma=0.05")
    )
    assert (found.table["prediction"][0], found.table["certified"][0], found.table["radius"][0]) == (-1, -1, 0.0)
    assert [one.path for one in found.failed] == ["0"]


def test_an_attack_that_saw_nothing_is_doubted() -> None:
    table = Table.of(
        id=["a", "b"], label=[0, 1], prediction=[0, 1], margin=[0.1, -1.0], attacked=[math.inf] * 2, blind=[False, True]
    )
    (doubt,) = CertificateStudy(table, CertifyRequest("ibp")).verdicts
    assert "of 1 picture the attack saw no gradient" in doubt.found


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"method": "smoothing:copies=3"}, UsageError, "no option 'copies'"),
        ({"method": "ibp:n=3"}, UsageError, "no option 'n'"),
        ({"method": "guess"}, UsageError, "smoothing, ibp or crown"),
        ({"method": "crown", "eps": "2"}, UsageError, "scale 0..255"),
        ({"method": "smoothing:sigma=-1"}, UsageError, "positive standard deviation"),
    ],
)
def test_wrong_questions_are_told_before_any_work(asked: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        evaluate_certificates(classifier(), data(2), CertifyRequest(**asked))


def test_networks_and_data_that_cannot_be_certified() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 3), nn.GELU())
    with pytest.raises(LayerError, match="GELU"):
        evaluate_certificates(classifier(net), data(2), CertifyRequest("ibp"))
    unlabeled = Dataset.of(torch.zeros(2, 3, 6, 6, dtype=torch.uint8))
    with pytest.raises(DataError, match="without labels"):
        evaluate_certificates(classifier(), unlabeled)
