import pickle
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from backlight.core.errors import FileError, InputError
from backlight.pixels import Adam, Box, Jitter, Lattice, Pixels, Run, Sign, cross_entropy, logit, margin, turns
from backlight.testing import small_net
from tests.pixels.problems import classifier_of, pictures

X, Y = pictures(4), torch.tensor([0, 1, 2, 3])


def problem(**changes: Any) -> dict[str, Any]:
    parts = {"classifier": classifier_of(), "objective": cross_entropy(Y), "parametrization": Pixels(X)}
    return parts | {"rule": Adam(0.01), "steps": 3, "constraint": Box()} | changes


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "run.pt"
    for run in turns(**problem()):
        if run.t == 2:
            run.save(path)
            break
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": cross_entropy(Y.flip(0))},
        {"objective": margin(Y)},
        {"parametrization": Pixels(X.flip(0))},
        {"parametrization": Lattice(X)},
        {"rule": Adam(0.02)},
        {"rule": Sign(0.01)},
        {"steps": 4},
        {"constraint": Box(0.1)},
        {"constraint": None},
        {"transforms": Jitter(1)},
        {"success": margin(Y) > 0},
        {"stop": margin(Y) > 0},
        {"keep": "last"},
        {"random": (1, None)},
        {"random": (0, [9, 8, 7, 6])},
        {"classifier": classifier_of(small_net(5, seed=1))},
    ],
    ids=str,
)
def test_a_run_goes_on_with_its_own_problem_only(tmp_path: Path, changes: dict[str, Any]) -> None:
    run = Run.load(saved(tmp_path))
    with pytest.raises(InputError, match="another problem"):
        turns(**problem(**changes), run=run)
    assert [one.t for one in turns(**problem(), run=run)] == [2, 3, 3]


def test_chunks_may_change_on_the_way(tmp_path: Path) -> None:
    assert len(list(turns(**problem(), run=Run.load(saved(tmp_path)), chunk=2))) == 3


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("raise SystemExit('code from the file was run')",)


def broken_files(good: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Tensor] = good["result"]
    return {
        "other data": {"weights": torch.zeros(3)},
        "a tensor": torch.zeros(3),
        "another version": good | {"format": "backlight run 0"},
        "rows out of range": good | {"rows": torch.tensor([0, 1, 2, 99])},
        "rows twice": good | {"rows": torch.tensor([0, 1, 1, 2])},
        "rows of floats": good | {"rows": torch.rand(4)},
        "short params": good | {"params": good["params"][:2]},
        "short state": good | {"state": {"mean": torch.zeros(1)}},
        "no tensor": good | {"state": {"mean": 3}},
        "negative turn": good | {"t": -1},
        "turn of text": good | {"t": "2"},
        "short result": good | {"result": result | {"value": torch.zeros(1)}},
        "missing result": good | {"result": {"value": torch.zeros(4)}},
        "code": good | {"state": Bomb()},
    }


def test_no_broken_or_hostile_file_is_a_run(tmp_path: Path) -> None:
    path = saved(tmp_path)
    for data in broken_files(torch.load(path, weights_only=True)).values():
        torch.save(data, path)
        with pytest.raises(FileError, match="a file written by Run.save"):
            Run.load(path)
    for content in (b"", b"text", pickle.dumps(Bomb()), pickle.dumps({"t": 1})):
        path.write_bytes(content)
        with pytest.raises(FileError, match="a file written by Run.save"):
            Run.load(path)


def test_a_truncated_file_is_no_run(tmp_path: Path) -> None:
    path = saved(tmp_path)
    data = path.read_bytes()
    for size in (10, len(data) // 2, len(data) - 5):
        path.write_bytes(data[:size])
        with pytest.raises(FileError, match="a file written by Run.save"):
            Run.load(path)


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="does not exist"):
        Run.load(tmp_path / "nowhere.pt")


def test_saving_over_a_run_is_all_or_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = path.read_bytes()

    run = Run.load(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(FileError, match="cannot be written: File too large"):
            run.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["run.pt"]


def test_a_loaded_run_saves_the_same(tmp_path: Path) -> None:
    first, second = Run.load(saved(tmp_path)), tmp_path / "again.pt"
    first.save(second)
    again = Run.load(second)
    assert again.fingerprint() == first.fingerprint()
    assert torch.equal(again.params, first.params)
    assert repr(again) == "Run(turn 2, 4 of 4 images, Result(4 images, 0 successes; 4 running))"


def test_hashing_waits_until_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise AssertionError("hashed without need")

    monkeypatch.setattr("backlight.pixels.problem.fingerprint", refuse)
    assert len(list(turns(**problem(objective=logit(0))))) == 5
