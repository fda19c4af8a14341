"""How often a universal change fools pictures that it never saw: counted by hand, on planted and constant nets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from backlight.attack import (
    PatchRequest,
    PerturbationRequest,
    UniversalRequest,
    UniversalStudy,
    evaluate_universal,
    read_universal_request,
)
from backlight.classifier import Classifier
from backlight.core.errors import DataError, InputError, ModelError, UsageError
from backlight.data import Dataset
from backlight.images import round_to_8bit
from backlight.sweep.parts import FolderParts
from backlight.table.statistics import wilson
from tests.attack.nets import sharp_net

LABELS = ("a", "b", "c", "d", "e")
QUICK: dict[str, UniversalRequest] = {
    "perturbation": PerturbationRequest(eps="16/255", epochs=3),
    "targeted": PerturbationRequest(eps="16/255", epochs=3, target="b"),
    "patch": PatchRequest(steps=10, size="0.3-0.6"),
}


def sharp() -> Classifier:
    return Classifier.from_module(sharp_net(scale=3.0).double(), size=16, labels=LABELS)


def data_of(classifier: Classifier, count: int = 40, seed: int = 0) -> Dataset:
    """Draw pictures, labeled as the model answers, but for every fourth."""
    draw = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 256, (count, 3, 16, 16), generator=draw, dtype=torch.uint8)
    answers = classifier.logits(values / 255).argmax(1)
    wrong = torch.arange(count) % 4 == 0
    return Dataset.of(values, torch.where(wrong, (answers + 1) % 5, answers), LABELS)


def evaluated(name: str = "perturbation", **more: object) -> UniversalStudy:
    return evaluate_universal(sharp(), data_of(sharp()), QUICK[name], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", QUICK)
def test_every_rate_is_what_counting_gives(name: str) -> None:
    classifier, data, study = sharp(), data_of(sharp()), evaluated(name)
    parts = dict(zip(study.table.ids, study.table["part"]))
    assert sorted(parts, key=int) == list(data.ids)
    control = study.change.control(0)
    for part in ("learned", "others"):
        rows = [row for row, name in enumerate(data.ids) if parts[name] == part]
        assert len(rows) == 20
        batch = data[rows]
        counts = fooled = plain = right = 0
        for image, label, key in zip(batch.images, batch.labels.tolist(), batch.ids):
            looks = [image[None], *(one.applied(image[None], [key]) for one in (study.change, control))]
            before, after, beside = (int(classifier.logits(one.double()).argmax()) for one in looks)
            right += before == label
            if before != label or label == study.target:
                continue
            counts += 1
            fooled += after != label if study.target is None else after == study.target
            plain += beside != label if study.target is None else beside == study.target
        rate = study.rate(part)
        assert (rate.pictures, rate.n, rate.fooled, rate.control_fooled) == (20, counts, fooled, plain)
        assert rate.clean_accuracy == right / 20
        assert (rate.success, rate.interval) == (fooled / counts, wilson(fooled, counts))
        assert rate.difference == (fooled - plain) / counts


def test_it_fools_what_it_never_saw_more_than_noise_does() -> None:
    classifier = sharp()
    study = evaluate_universal(classifier, data_of(classifier, 200), PerturbationRequest(eps="16/255", epochs=5))
    others = study.rate("others")
    assert others.difference_interval is not None
    assert others.difference_interval[0] > 0.2
    assert study.verdicts == ()


class Red(nn.Module):
    """Say `red` where some few pixels together are red, else whether the picture is light or dark."""

    def forward(self, images: Tensor) -> Tensor:
        red = images[:, :1] - images[:, 1:].mean(1, keepdim=True)
        spot = nn.functional.avg_pool2d(red, 3, 1).flatten(1).amax(1)
        light = images.flatten(1).mean(1)
        return torch.stack([20 * (light - 0.5), 20 * (0.5 - light), 40 * (spot - 0.6)], 1)


@pytest.mark.parametrize("shape", ["circle", "square"])
def test_a_patch_finds_what_is_planted(shape: str) -> None:
    classifier = Classifier.from_module(Red(), size=16, labels=("light", "dark", "red"))
    draw = torch.Generator().manual_seed(0)
    values = torch.randint(0, 160, (60, 3, 16, 16), generator=draw, dtype=torch.uint8)
    values[::2] += 90
    data = Dataset.of(values, classifier.logits(values / 255).argmax(1), classifier.labels)
    asked = PatchRequest(target="red", shape=shape, steps=60, size="0.4-0.6")
    study = evaluate_universal(classifier, data, asked)
    others = study.rate("others")
    assert others.n == 30
    assert others.success is not None
    assert others.success > 0.9
    assert others.control == 0
    red, *rest = study.change.values[:, study.change.values.shape[1] // 2, study.change.values.shape[2] // 2].tolist()
    assert red > max(rest)
    assert sum(rate.n for _, _, rate in study.by_size()) == others.n


def test_nothing_fools_a_constant_classifier() -> None:
    class Constant(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([images.flatten(1).sum(1) * 0 + one for one in (1.0, 0.0)], 1)

    classifier = Classifier.from_module(Constant(), size=16, labels=("a", "b"))
    values = torch.randint(0, 256, (12, 3, 16, 16), dtype=torch.uint8)
    data = Dataset.of(values, [0] * 12, ("a", "b"))
    for asked in (PerturbationRequest(epochs=1), PatchRequest(steps=3), PatchRequest(steps=3, target="b")):
        study = evaluate_universal(classifier, data, asked)
        assert [one.fooled for one in study.rates] == [0, 0]
        assert [one.name for one in study.verdicts] == ["zero gradients", "no better than the control"]


@pytest.mark.parametrize("name", QUICK)
def test_the_same_bits_for_any_batch_size_and_order_and_after_a_kill(name: str, tmp_path: Path) -> None:
    classifier, data = sharp(), data_of(sharp())
    first = evaluate_universal(classifier, data, QUICK[name], cache=tmp_path / "blocks")
    turned = data.take(list(range(len(data) - 1, -1, -1)))
    for study in (
        evaluate_universal(classifier, data, QUICK[name], batch_size=3),
        evaluate_universal(classifier, turned, QUICK[name], batch_size=7),
        evaluate_universal(classifier, data, QUICK[name], cache=tmp_path / "blocks"),
    ):
        assert study.change.values.equal(first.change.values)
        assert study.course.equal(first.course)
        assert study.table.at(first.table.ids, exact=True).rows() == first.table.rows()
    assert not evaluated(name, seed=1).change.values.equal(first.change.values)


def test_finished_learning_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = evaluated(cache=tmp_path)

    def never(*arguments: object, **options: object) -> None:
        raise AssertionError("work was done again")

    monkeypatch.setattr(FolderParts, "write", never)
    assert evaluated(cache=tmp_path).table.rows() == first.table.rows()


def test_other_data_is_measured_on() -> None:
    classifier = sharp()
    data, on = data_of(classifier), data_of(classifier, 12, seed=5)
    study = evaluate_universal(classifier, data, QUICK["patch"], on=on)
    assert (study.rate("learned").pictures, study.rate("others").pictures) == (40, 12)
    assert study.table.ids[40:] == [f"on/{one}" for one in on.ids]
    assert all(one.name.startswith("on/") for one in study.examples)


def test_examples_are_what_files_would_hold_of_pictures_that_count() -> None:
    classifier, study = sharp(), evaluated("patch")
    assert study.examples
    table = {row["id"]: row for row in study.table.rows()}
    for one in study.examples:
        row = table[one.name]
        assert row["part"] == "others"
        assert row["clean"] == row["label"] == one.label
        assert one.named == (row["clean"], row["changed"])
        again = study.change.applied(one.original[None] / 255, [one.name])
        assert (round_to_8bit(again) * 255).round().byte()[0].equal(one.changed)
        share = classifier.logits(one.changed[None].double() / 255).softmax(1).max()
        assert one.confidence[1] == pytest.approx(float(share), abs=1e-6)


def test_summary_and_document_say_the_same() -> None:
    study = evaluated()
    document, rows = study.to_json(), study.summary_table().rows()
    assert [(row["part"], row["change"]) for row in rows] == [
        (part, change) for part in ("learned", "others") for change in ("perturbation", "control")
    ]
    assert document["fooling"]["others"]["success"] == rows[2]["success"]
    assert document["fooling"]["others"]["control"]["success"] == rows[3]["success"]
    assert document["n"] == 40
    assert np.isclose(document["fooling"]["others"]["clean_error"], 0.25, atol=0.2)


def test_what_cannot_be_done_is_told() -> None:
    classifier, data = sharp(), data_of(sharp())
    answers = classifier.logits(data[range(8)].images).argmax(1)
    wrong = Dataset.of(data.read(range(8)), (answers + 1) % 5, LABELS)
    with pytest.raises(DataError, match=r"none of 4 pictures to learn from is named rightly; expected at least one"):
        evaluate_universal(classifier, wrong)
    with pytest.raises(InputError, match="class 9"):
        evaluate_universal(classifier, data, PerturbationRequest(target=9))
    with pytest.raises(DataError, match="pictures without labels"):
        evaluate_universal(classifier, Dataset.of(data.read(range(4))))
    with pytest.raises(DataError, match="one to learn from and another to measure on"):
        evaluate_universal(classifier, data.take([1]))
    several = Classifier.from_module(sharp_net(), size=16, labels=LABELS, outputs="multilabel")
    with pytest.raises(ModelError, match="one class among all"):
        evaluate_universal(several, data)
    with pytest.raises(UsageError, match="eps of a patch"):
        read_universal_request("circle", eps="8/255")
    with pytest.raises(UsageError, match="steps of a perturbation; expected one of .*; try: --patch circle"):
        read_universal_request(steps=3)


def test_of_pictures_of_the_target_alone_nothing_is_learned() -> None:
    classifier, data = sharp(), data_of(sharp())
    answers = classifier.logits(data[range(40)].images).argmax(1)
    (rows,) = np.nonzero((answers == data.labels).numpy() & (data.labels == 1).numpy())
    with pytest.raises(DataError, match="named rightly and is of another class than the target"):
        evaluate_universal(classifier, data.take(rows.tolist()), PerturbationRequest(target="b"))


def test_pictures_without_a_prediction_are_named_and_never_fooled() -> None:
    class Breaking(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            flat = images.flatten(1)
            # Whatever is changed has no prediction any more.
            broken = torch.where((flat.amax(1) > 200 / 255)[:, None], torch.nan, 0.0)
            return torch.stack([flat.sum(1), -flat.sum(1)], 1) + broken

    classifier = Classifier.from_module(Breaking(), size=8, labels=("a", "b"))
    data = Dataset.of(torch.full((8, 3, 8, 8), 198, dtype=torch.uint8), [0] * 8, ("a", "b"))
    study = evaluate_universal(classifier, data, PerturbationRequest(eps="20/255", epochs=1))
    assert study.rate("others").fooled == 0
    assert len(study.failed) == 8
    assert "no well-defined prediction in" in study.failed[0].error
