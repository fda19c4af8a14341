"""What several processes cannot share is refused, not done by one of them in silence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backlight import load, tasks
from backlight.attack import RobustnessRequest
from backlight.core.errors import UsageError
from backlight.core.share import Share
from backlight.tasks.outcome import Outcome
from backlight.tasks.pulling import Pulling
from tests.data.samples import write_folder


def within_a_budget(folder: Path, pulling: Pulling) -> Outcome:
    data = tasks.DataRequest("shapes:n=4,size=32,classes=10", "all")
    asked = RobustnessRequest("fgsm", budget=60.0)
    request = tasks.RobustnessOfDataRequest(data, load("classic_cnn", random=True), asked, out=folder / "out")
    return tasks.robustness(request, pulling=pulling)


def several_labels(folder: Path, pulling: Pulling) -> Outcome:
    write_folder(folder, {"x": 2})
    (folder / "list.csv").write_text("path,label\nx/0.png,cat;dog\nx/1.png,dog\n")
    data, model = tasks.DataRequest(str(folder / "list.csv")), load("classic_cnn", random=True)
    return tasks.evaluate(tasks.EvaluateRequest(data, (model,), out=folder / "out"), pulling=pulling)


def only_told(folder: Path, pulling: Pulling) -> Outcome:
    write_folder(folder, {"x": 1})
    return tasks.predict(tasks.PredictRequest((folder,), load("classic_cnn", random=True)), pulling=pulling)


@pytest.mark.parametrize(
    ("pulling", "option"),
    [
        (Pulling(workers=2), "--workers"),
        (Pulling(part=Share(0, 2)), "--shard"),
        (Pulling(planning=True), "--plan"),
    ],
)
@pytest.mark.parametrize(
    ("work", "what"),
    [
        (within_a_budget, "a budget of seconds"),
        (several_labels, "several labels a picture"),
        (only_told, "predictions that are only told"),
    ],
)
def test_work_of_one_process_is_not_shared(
    tmp_path: Path, work: Callable[[Path, Pulling], Outcome], what: str, pulling: Pulling, option: str
) -> None:
    with pytest.raises(UsageError, match=f"{option} with {what}; expected one process"):
        work(tmp_path, pulling)
    assert not (tmp_path / "out").exists()
