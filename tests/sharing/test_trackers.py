"""Trackers: TensorBoard itself, and the public calls of MLflow and Weights & Biases, each with its own signature."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backlight.core.errors import BacklightError, UsageError
from backlight.sharing import TRACKERS, Record, Tracker, TrackerCard, open_tracker
from backlight.sharing.mlflow import allowed_names

DOCUMENT = {
    "accuracy": 0.5,
    "per_class": {"a+b": {"n": 3}, "a*b": {"n": 4}, "caf\udce9": {"n": 5}},
    "model": {"name": "nets/first", "weights": "abc"},
    "data": {"name": "photos", "split": "test", "n": 7, "fingerprint": "def"},
    "seconds": 3.0,
}


@pytest.fixture
def record(tmp_path: Path) -> Record:
    page, table = tmp_path / "page.html", tmp_path / "samples.parquet"
    page.write_text("<p>page</p>", encoding="utf-8")
    table.write_bytes(b"rows")
    return Record("evaluate", DOCUMENT, (page, table), "backlight evaluate --data photos")


def test_the_same_result_has_the_same_name_and_another_one_another(record: Record) -> None:
    again = Record("evaluate", DOCUMENT | {"seconds": 9.0})
    other = Record("evaluate", DOCUMENT | {"accuracy": 0.6})
    assert record.name == again.name != other.name
    assert record.name.startswith("evaluate-first-")


def test_tensorboard_reads_the_numbers_back(record: Record, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    where = open_tracker(f"tensorboard:dir={tmp_path}/board").hand_over(record)
    events = EventAccumulator(where)
    events.Reload()
    found = {name: events.Scalars(name)[0].value for name in events.Tags()["scalars"]}
    assert found == {name: pytest.approx(value) for name, value in record.numbers.items()}
    assert len(found) == 5
    (text,) = events.Tensors("about/text_summary")
    about = text.tensor_proto.string_val[0].decode()
    assert "nets/first" in about
    assert "page.html" in about


class FakeMlflow:
    """The calls of mlflow that are made, with their parameters' names."""

    def __init__(self) -> None:
        self.uri = self.experiment = self.name = ""
        self.params: dict[str, str] = {}
        self.metrics: dict[str, float] = {}
        self.artifacts: list[str] = []
        self.open = False

    def set_tracking_uri(self, uri: str) -> None:
        self.uri = uri

    def set_experiment(self, experiment_name: str) -> None:
        self.experiment = experiment_name

    def start_run(self, *, run_name: str) -> FakeMlflow:
        self.name = run_name
        return self

    def __enter__(self) -> Any:
        self.open = True
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def __exit__(self, *error: object) -> None:
        self.open = False

    def log_params(self, params: dict[str, str]) -> None:
        assert self.open
        self.params |= params

    def log_metrics(self, metrics: dict[str, float]) -> None:
        assert self.open
        assert len(metrics) <= 1000
        self.metrics |= metrics

    def log_artifact(self, local_path: str) -> None:
        assert self.open
        self.artifacts.append(Path(local_path).name)


def test_mlflow_is_handed_metrics_parameters_and_files(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    card = TRACKERS.find("mlflow")
    assert Tracker(card, {"uri": "file:here", "experiment": "mine"}).hand_over(record) == "run r1"
    assert (fake.uri, fake.experiment, fake.name, fake.open) == ("file:here", "mine", record.name, False)
    assert fake.params["data_split"] == "test"
    assert fake.metrics["per_class/a_b/n"] == 3
    assert fake.metrics["per_class/a_b/n 2"] == 4
    assert fake.artifacts == ["page.html", "samples.parquet"]


def test_no_name_is_lost_where_many_become_equal() -> None:
    numbers = {f"{sign}/n": float(place) for place, sign in enumerate("+*?!$%")}
    assert list(allowed_names(numbers).values()) == list(numbers.values())


class FakeWandb:
    """The calls of wandb that are made."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.summary: dict[str, float] = {}
        self.logged: dict[str, Any] = {}
        self.artifacts: list[Any] = []
        self.url = "https://example.org/run"
        self.finished: object = "no"

    def init(self, **given: Any) -> FakeWandb:
        self.given = given
        return self

    def __enter__(self) -> FakeWandb:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.finished = kind

    def log(self, data: dict[str, Any]) -> None:
        self.logged |= data

    def log_artifact(self, artifact: Any) -> None:
        self.artifacts.append(artifact)

    @staticmethod
    def Html(data: str, inject: bool = True) -> str:  # noqa: N802
        return data

    @staticmethod
    def Artifact(name: str, type: str) -> Any:  # noqa: N802, A002
        files: list[str] = []
        return SimpleNamespace(name=name, type=type, files=files, add_file=files.append)


def test_wandb_is_handed_a_summary_the_page_and_an_artifact(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    where = Tracker(TRACKERS.find("wandb"), {"project": "mine", "mode": "offline"}).hand_over(record)
    assert where == fake.url
    assert (fake.given["project"], fake.given["mode"], fake.given["job_type"]) == ("mine", "offline", "evaluate")
    assert fake.summary == record.numbers
    assert fake.logged == {"page": "<p>page</p>"}
    assert [Path(one).name for one in fake.artifacts[0].files] == ["page.html", "samples.parquet"]
    assert fake.finished is None


def test_a_tracker_that_fails_says_so_in_one_line(record: Record) -> None:
    def fails(record: Record, options: object) -> str:
        raise ConnectionError("no route\nmore")

    with pytest.raises(BacklightError, match="mine did not take the result: no route$"):
        Tracker(TrackerCard("mine", fails)).hand_over(record)


def test_what_is_not_installed_or_unknown_is_refused_before_the_work() -> None:
    with pytest.raises(UsageError, match="no tracker"):
        open_tracker("tensorbord")
    with pytest.raises(UsageError, match="no option 'folder'"):
        open_tracker("tensorboard:folder=x")
    with pytest.raises(UsageError, match="pip install wandb"):
        open_tracker("wandb")
