"""The study of transfer: against counting by hand, for any batch size, order and after a kill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel, TransferRequest, ensemble, evaluate_transfer
from backlight.attack.transfer.ensemble import seen_by
from backlight.attack.transfer.parts import transfer_card
from backlight.attack.transfer.study import NOT_ATTACKED
from backlight.classifier import Classifier
from backlight.core.errors import DataError, UsageError
from backlight.data import Dataset
from backlight.table.statistics import wilson
from tests.attack.nets import sharp_net

LABELS = ("a", "b", "c", "d", "e")
COUNT = 24


def model(seed: int, size: int = 16, labels: tuple[str, ...] = LABELS) -> Classifier:
    if size == 16:
        return Classifier.from_module(sharp_net(seed=seed, scale=3.0).double(), size=16, labels=labels)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(54, 5))
        net[4].weight.data *= 10
    return Classifier.from_module(net.double(), size=size, labels=labels, mean=(0.5,) * 3, std=(0.25,) * 3)


def data_for(classifier: Classifier, count: int = COUNT) -> Dataset:
    """Draw pictures, labeled as a model answers, but for every fourth."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 16, 16), generator=draw, dtype=torch.uint8)
    labels = classifier.logits(images.double() / 255).argmax(1)
    labels[::4] = (labels[::4] + 1) % 5
    return Dataset.of(images, labels, classifier.labels, [f"picture {row}" for row in range(count)])


@pytest.fixture(scope="module")
def models() -> dict[str, Classifier]:
    return {"first": model(0), "twin": model(0), "other": model(3), "large": model(5, size=20)}


@pytest.fixture(scope="module")
def data(models: dict[str, Classifier]) -> Dataset:
    return data_for(models["first"])


REQUEST = TransferRequest.of("i-fgsm:steps=3,mi+dim:steps=3", eps="8/255")


def by_hand(attack: str, surrogate: Classifier, victim: Classifier, data: Dataset) -> tuple[int, int]:
    """Count the pictures that both name rightly, and those that fool the victim, without the study's own code."""
    images, labels = data[:].images.double(), data.labels
    sized = torch.stack([one for one in images])
    if surrogate.size != (16, 16):
        sized = data.resized(surrogate.resize)[:].images.double()
    right = surrogate.logits(sized).argmax(1) == labels
    right &= victim.logits(seen_by(victim, sized)).argmax(1) == labels
    threat = ThreatModel("linf", "8/255", lattice=True)
    challenge = Challenge.of(surrogate, sized.float(), labels, threat=threat, ids=list(data.ids))
    changed = transfer_card(attack).run(challenge, steps=3).images
    fooled = right & (victim.logits(seen_by(victim, changed.double())).argmax(1) != labels)
    return int(fooled.sum()), int(right.sum())


def test_rates_are_those_counted_by_hand(models: dict[str, Classifier], data: Dataset) -> None:
    study = evaluate_transfer(models, data, REQUEST)
    assert [(one.surrogate, one.victim) for one in study.rates[:5]] == [
        *(("first", name) for name in models),
        ("twin", "first"),
    ]
    for rate in study.rates:
        fooled, n = by_hand(rate.attack.partition(":")[0], models[rate.surrogate], models[rate.victim], data)
        assert (rate.fooled, rate.n) == (fooled, n), rate
        assert rate.success == (fooled / n if n else None)
        assert rate.interval == (wilson(fooled, n) if n else None)
    assert any(0 < one.fooled < one.n for one in study.between)


def test_a_twin_is_fooled_as_the_surrogate_itself(models: dict[str, Classifier], data: Dataset) -> None:
    study = evaluate_transfer(models, data, REQUEST)
    for attack in study.request.labels:
        own, twin = study.rate(attack, "first", "first"), study.rate(attack, "first", "twin")
        assert (own.fooled, own.n) == (twin.fooled, twin.n)
        assert own.white_box
        assert not twin.white_box
        assert own.n == 18


def test_what_a_surrogate_names_wrongly_is_not_attacked(models: dict[str, Classifier], data: Dataset) -> None:
    study = evaluate_transfer(models, data, REQUEST)
    said = study.table["mi+dim:steps=3: first > first"]
    assert np.array_equal(said == NOT_ATTACKED, np.arange(COUNT) % 4 == 0)
    assert not study.fooled("mi+dim:steps=3", "first", "other")[::4].any()


@pytest.mark.promises
def test_the_table_is_the_same_for_any_batch_size_order_and_company(
    models: dict[str, Classifier], data: Dataset, tmp_path: Path
) -> None:
    pair, data = {name: models[name] for name in ("first", "large")}, data.take(list(range(10)))
    asked = TransferRequest.of("mi+dim:steps=2,admix:steps=2,samples=3,bsr:steps=2,samples=2", eps="8/255")
    whole = evaluate_transfer(pair, data, asked)
    for size in (1, 4):
        assert evaluate_transfer(pair, data, asked, batch_size=size).table.rows() == whole.table.rows()
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    shuffled = evaluate_transfer(pair, data.take(order), asked).table
    assert shuffled.at(whole.table.ids).rows() == whole.table.rows()
    few = evaluate_transfer(pair, data.take([5, 2]), asked).table
    assert few.rows() == whole.table.at(few.ids).rows()
    kept = evaluate_transfer(pair, data, asked, cache=tmp_path)
    again = evaluate_transfer(pair, data, asked, cache=tmp_path)
    assert kept.table.rows() == again.table.rows() == whole.table.rows()
    assert all(torch.equal(one.changed[key], other.changed[key])
               for one, other in zip(kept.examples, again.examples) for key in one.changed)  # fmt: skip


def test_ensembles_are_shown_to_whom_is_not_in_them(models: dict[str, Classifier], data: Dataset) -> None:
    three = {name: models[name] for name in ("first", "other", "large")}
    study = evaluate_transfer(three, data, replace(REQUEST, ensemble=True))
    together = [one for one in study.rates if one.surrogate.startswith("all but")]
    assert {(one.surrogate, one.victim) for one in together} == {(f"all but {name}", name) for name in three}
    joined = ensemble([three["first"], three["large"]])
    fooled, n = by_hand("i-fgsm", joined, three["other"], data)
    rate = study.rate("i-fgsm:steps=3", "all but other", "other")
    assert (rate.fooled, rate.n) == (fooled, n)
    with pytest.raises(UsageError, match="3 or more"):
        evaluate_transfer([models["first"], models["other"]], data, replace(REQUEST, ensemble=True))


def test_only_some_may_be_attacked(models: dict[str, Classifier], data: Dataset) -> None:
    pair = {name: models[name] for name in ("first", "large")}
    both, one = (evaluate_transfer(pair, data, replace(REQUEST, surrogates=who)) for who in ((), ("first",)))
    assert one.rates == tuple(rate for rate in both.rates if rate.surrogate == "first")
    assert one.clean_accuracy("first") == both.clean_accuracy("first") == 0.75
    assert one.clean_accuracy("large") <= 1
    with pytest.raises(UsageError, match="no model 'frist'"):
        evaluate_transfer(pair, data, replace(REQUEST, surrogates=("frist",)))


def test_classes_may_be_numbered_otherwise(models: dict[str, Classifier], data: Dataset) -> None:
    order = [4, 2, 0, 1, 3]
    turned = model(3)
    turned.module[3].weight.data, turned.module[3].bias.data = (
        turned.module[3].weight.data[order],
        turned.module[3].bias.data[order],
    )
    renamed = turned.replace(labels=tuple(LABELS[place] for place in order))
    plain = evaluate_transfer({"first": models["first"], "other": models["other"]}, data, REQUEST)
    other = evaluate_transfer({"first": models["first"], "other": renamed}, data, REQUEST)
    assert [one.to_json() for one in plain.rates] == [one.to_json() for one in other.rates]


class Rounded(nn.Module):
    """A network that sees pictures of two levels, and so has no gradient anywhere."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images.round())


def test_a_surrogate_without_gradients_is_doubted(models: dict[str, Classifier]) -> None:
    hidden = Classifier.from_module(Rounded(models["other"].module), size=16, labels=LABELS)
    study = evaluate_transfer({"hidden": hidden, "other": models["other"]}, data_for(hidden), REQUEST)
    attacked = int(study.both_right("hidden", "hidden").sum())
    assert attacked == COUNT * 3 // 4
    assert [one.found.split(" pictures")[0] for one in study.verdicts] == [
        f"{attack} on hidden: {attacked} of {attacked}" for attack in REQUEST.labels
    ]
    assert study.to_json()["verdicts"][0]["remedy"].startswith("low rates from it prove nothing")
    assert study.rate(REQUEST.labels[0], "hidden", "hidden").fooled == 0


def test_the_document_holds_what_is_promised(models: dict[str, Classifier], data: Dataset) -> None:
    document = evaluate_transfer([models["first"], models["other"]], data, REQUEST).to_json()
    assert {"n", "eps", "rates"} <= set(document)
    assert document["n"] == COUNT
    assert document["eps"] == 8 / 255
    assert {"attack", "surrogate", "victim", "success", "interval"} <= set(document["rates"][0])


def test_examples_are_inside_eps_and_drawn_by_key(models: dict[str, Classifier], data: Dataset) -> None:
    study = evaluate_transfer({"first": models["first"], "large": models["large"]}, data, REQUEST)
    assert len(study.examples) == 8
    shown = [one for one in study.examples if one.changed]
    assert shown
    for one in shown:
        for (_, surrogate), image in one.changed.items():
            gap = (image.int() - one.originals[surrogate].int()).abs().max()
            assert 0 < int(gap) <= 8
    backwards = evaluate_transfer(
        {"first": models["first"], "large": models["large"]}, data.take(range(23, -1, -1)), REQUEST
    )
    assert [one.name for one in backwards.examples] == [one.name for one in study.examples]


@pytest.mark.parametrize(
    ("attacks", "words"),
    [
        ("mi,mi", "mi twice"),
        ("mi,nonsense", "no attack 'nonsense'"),
        ("mi:target=a", "with a target"),
        ("", "names nothing"),
    ],
)
def test_requests_that_cannot_be_met_are_told(
    attacks: str, words: str, models: dict[str, Classifier], data: Dataset
) -> None:
    with pytest.raises(UsageError, match=words):
        evaluate_transfer([models["first"], models["other"]], data, TransferRequest.of(attacks))


def test_wrong_models_and_data_are_told(models: dict[str, Classifier], data: Dataset) -> None:
    with pytest.raises(UsageError, match="2 or more"):
        evaluate_transfer([models["first"]], data, REQUEST)
    unlabeled = replace(data, labels=torch.full((COUNT,), -1))
    with pytest.raises(DataError, match="without labels"):
        evaluate_transfer([models["first"], models["other"]], unlabeled, REQUEST)
    with pytest.raises(DataError, match="does not know"):
        evaluate_transfer([models["first"], model(1, labels=("v", "w", "x", "y", "z"))], data, REQUEST)
    with pytest.raises(UsageError, match="option 'speed'"):
        evaluate_transfer([models["first"], models["other"]], data, replace(REQUEST, options={"speed": 3}))


class Silent(nn.Module):
    """Answer nothing at all for pictures that are darker than others."""

    def forward(self, images: Tensor) -> Tensor:
        logits = images.flatten(1)[:, :5].double()
        return torch.where(images.flatten(1).mean(1, keepdim=True) > 0.5, logits, torch.nan)


def test_no_prediction_is_no_success(models: dict[str, Classifier], data: Dataset) -> None:
    silent = Classifier.from_module(Silent(), labels=LABELS)
    study = evaluate_transfer({"first": models["first"], "silent": silent}, data, REQUEST)
    said = study.table["mi+dim:steps=3: first > silent"]
    fooled = study.fooled("mi+dim:steps=3", "first", "silent")
    assert not fooled[said < 0].any()
