"""Tables that verbs leave name true and predicted classes beside their numbers."""

from pathlib import Path

import torch
from torch import nn

from backlight import tasks
from backlight.attack import RobustnessRequest
from backlight.classifier import Classifier
from backlight.data import Dataset
from backlight.explain.request import Request
from backlight.table import Table
from backlight.tasks.named_tables import with_names

NAMES = ("<b>owl</b>", "cat")


class Dark(nn.Module):
    """Take every dark picture for the second class, by a convolution that maps can be made of."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        dark = 0.5 - values.mean((1, 2, 3))
        return torch.stack([-dark, dark], 1) + 1e-4 * self.layers(values).mean((2, 3))


def data(names: tuple[str, ...] = NAMES) -> tasks.DataRequest:
    pixels = torch.tensor([10, 240, 20, 250], dtype=torch.uint8).view(4, 1, 1, 1).expand(4, 3, 8, 8).contiguous()
    return tasks.DataRequest(Dataset.of(pixels, [1, 0, 0, 0], names))


def rows(path: Path) -> list[dict[str, object]]:
    found = Table.read(path).rows()
    assert [row["label_name"] for row in found] == [NAMES[int(str(row["label"]))] for row in found]
    return found


def test_evaluate_and_explain(tmp_path: Path) -> None:
    model = Classifier.from_module(Dark(), size=8, labels=NAMES)
    tasks.evaluate(tasks.EvaluateRequest(data(), (model,), table=True, out=tmp_path / "a"))
    seen = rows(tmp_path / "a" / "samples.parquet")
    assert [row["prediction_name"] for row in seen] == ["cat", NAMES[0], "cat", NAMES[0]]
    asked = Request(("saliency",), "top")
    tasks.explain_data(tasks.ExplainDataRequest(data(), model, asked, out=tmp_path / "b"))
    assert [row["target_name"] for row in rows(tmp_path / "b" / "explain.parquet")] == [
        row["prediction_name"] for row in seen
    ]


def test_a_map_is_named_as_the_model_counts_and_its_picture_as_the_data_do(tmp_path: Path) -> None:
    model = Classifier.from_module(Dark(), size=8, labels=NAMES[::-1])
    tasks.explain_data(tasks.ExplainDataRequest(data(), model, Request(("saliency",), "top"), out=tmp_path))
    found = rows(tmp_path / "explain.parquet")
    assert [row["target_name"] for row in found] == [NAMES[0], "cat", NAMES[0], "cat"]


def test_robustness_and_corruptions(tmp_path: Path) -> None:
    model = Classifier.from_module(Dark(), size=8, labels=NAMES)
    asked = RobustnessRequest("fgsm", eps=0.9, checks=False)
    tasks.robustness(tasks.RobustnessOfDataRequest(data(), model, asked, out=tmp_path / "a"))
    for row in rows(tmp_path / "a" / "robustness.parquet"):
        for kind in ("prediction", "attacked_prediction"):
            assert row[f"{kind}_name"] == NAMES[int(str(row[kind]))]
    tasks.corruptions(tasks.CorruptionsRequest(data(), model, kinds="fog", severities="1,3", out=tmp_path / "b"))
    for row in rows(tmp_path / "b" / "corruptions.parquet"):
        listed = row["fog.prediction"]
        assert isinstance(listed, list)
        assert row["fog.prediction_name"] == [NAMES[one] for one in listed]


def test_without_names_there_is_nothing_to_add() -> None:
    table = Table.of(id=["a"], label=[0], prediction=[3])
    assert with_names(table, (), ()).names == table.names
    assert with_names(table, ("cat",), ("cat",)).rows()[0]["prediction_name"] == "3"
    assert with_names(Table.of(id=[]), NAMES, NAMES).names == ["id"]
