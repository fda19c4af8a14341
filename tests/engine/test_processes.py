import sys

import pytest
import torch

from backlight.engine.processes import Engine, choose_device, choose_precision, make_engine
from backlight.errors import DataError, InputError, UsageError
from tests.processes import run_processes

SCRIPT = """
import torch
from backlight.engine.processes import make_engine
from backlight.errors import DataError
engine = make_engine("auto")
assert (engine.world, engine.device.type) == (2, "cpu"), engine
for count in (0, 1, 2, 7):                                   # uneven, and fewer rows than processes
    rows = engine.shard(count)
    values = torch.stack([rows.double() * 10, rows.double() + 0.5], 1)
    result = engine.gather(rows, values, count)
    expected = torch.stack([torch.arange(count).double() * 10, torch.arange(count).double() + 0.5], 1)
    assert torch.equal(result, expected.reshape(result.shape)), result
for rows in (torch.arange(3), engine.shard(4)):              # double, then incomplete
    try:
        engine.gather(rows, rows, 5)
    except DataError:
        continue
    raise AssertionError("an incomplete gather passed")
assert engine.gather_objects(("rank", engine.rank)) == [("rank", 0), ("rank", 1)]
assert engine.share(lambda: f"chosen by {engine.rank}") == "chosen by 0"
assert engine.sum(torch.tensor([1.0 + engine.rank])).item() == 3
with engine.main_first():
    pass
engine.barrier()
if engine.is_main:
    print("main done")
"""


def test_two_processes_gather_by_row_what_one_would_see():
    assert run_processes(SCRIPT) == "main done\n"


@pytest.mark.skipif("accelerate" in sys.modules, reason="something else imported accelerate")
def test_one_process_needs_no_accelerate(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    engine = make_engine("cpu")
    engine.barrier()
    with engine.main_first():
        assert engine.share(lambda: 5) == 5
    assert engine.sum(torch.tensor(2)).item() == 2
    assert "accelerate" not in sys.modules


def test_shards_cover_every_row_once():
    for count in range(9):
        rows = torch.cat([Engine(torch.device("cpu"), rank, 4).shard(count) for rank in range(4)])
        assert sorted(rows.tolist()) == list(range(count))


@pytest.mark.parametrize("rows", [[0, 0, 1], [0, 1], [0, 1, 3], [0, 1, 2, 2]])
def test_gather_refuses_missing_and_double_rows(rows):
    with pytest.raises(DataError, match="once"):
        make_engine("cpu").gather(torch.tensor(rows), torch.zeros(len(rows)), 3)


def test_gather_keeps_type_and_refuses_uneven_columns():
    values = torch.tensor([[2**24 + 1], [5]])
    assert torch.equal(make_engine("cpu").gather(torch.tensor([1, 0]), values, 2), values.flip(0))
    with pytest.raises(InputError):
        make_engine("cpu").gather(torch.arange(2), torch.zeros(3), 3)


def test_devices_and_precisions():
    with pytest.raises(UsageError, match="no_such"):
        choose_device("no_such")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="cuda"):
            choose_device("cuda")
        assert choose_device("auto").type in ("cpu", "mps")
    assert choose_precision("auto", torch.device("cpu")) == "float32"
    assert choose_precision("float16", torch.device("cpu")) == "float16"
    with pytest.raises(UsageError, match="bfloat61"):
        choose_precision("bfloat61", torch.device("cpu"))
    with make_engine("cpu").autocast("float32"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
