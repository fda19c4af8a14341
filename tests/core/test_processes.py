import pytest
import torch

from backlight.core.errors import UsageError
from backlight.core.processes import Engine, choose_device, make_engine
from tests.processes import run_processes

SCRIPT = """
import torch
from backlight.core.processes import make_engine
engine = make_engine("auto")
assert (engine.world, engine.device.type) == (2, "cpu"), engine
rows = [one for part in engine.gather_objects(engine.shard(7).tolist()) for one in part]
assert sorted(rows) == list(range(7))                        # uneven shares
assert engine.gather_objects(("rank", engine.rank)) == [("rank", 0), ("rank", 1)]
assert engine.share(lambda: f"chosen by {engine.rank}") == "chosen by 0"
assert engine.sum(torch.tensor([1.0 + engine.rank])).item() == 3
assert make_engine("cpu") == engine                            # a later call joins
engine.barrier()
if engine.is_main:
    print("main done")
"""


def test_two_processes_exchange_what_each_has():
    assert run_processes(SCRIPT) == "main done\n"


def test_one_process_joins_no_other(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    engine = make_engine("cpu")
    engine.barrier()
    assert engine.share(lambda: 5) == 5
    assert engine.sum(torch.tensor(2)).item() == 2
    assert engine.gather_objects("here") == ["here"]
    assert not torch.distributed.is_initialized()


def test_shards_cover_every_row_once():
    for count in range(9):
        rows = torch.cat([Engine(torch.device("cpu"), rank, 4).shard(count) for rank in range(4)])
        assert sorted(rows.tolist()) == list(range(count))


def test_devices():
    with pytest.raises(UsageError, match="no_such"):
        choose_device("no_such")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="cuda"):
            choose_device("cuda")
        assert choose_device("auto").type in ("cpu", "mps")
