import socket

import pytest
import torch

from backlight.core.errors import UsageError
from backlight.core.processes import Engine, choose_device, make_engine
from tests.processes import run_processes, run_script

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


PROBLEMS = """
from backlight.core.errors import DataError, OtherProcessError
from backlight.core.processes import make_engine
engine = make_engine("cpu")

def refuse(text):
    raise DataError(text)

def told(work):
    try:
        work()
    except (DataError, OtherProcessError) as error:
        return engine.gather_objects(f"{type(error).__name__}: {error}")
    return engine.gather_objects("nothing")

assert engine.agree(lambda: engine.rank) == engine.rank
alike = told(lambda: engine.agree(lambda: refuse("a")))
two = told(lambda: engine.agree(lambda: refuse(str(engine.rank))))
assert alike == ["DataError: a", "OtherProcessError: DataError: a"], alike
assert two == ["DataError: 0", "DataError: 1"], two
one = told(lambda: engine.agree(lambda: engine.rank and refuse("b")))
assert one == ["OtherProcessError: DataError: b", "DataError: b"], one
main = told(lambda: engine.share(lambda: refuse("c")))
assert main == ["DataError: c", "OtherProcessError: DataError: c"], main
"""


def test_a_problem_ends_all_and_is_told_once():
    run_processes(PROBLEMS)


LOST = """
import os, signal
from backlight.core.errors import BacklightError
from backlight.core.processes import make_engine
engine = make_engine("cpu")
engine.barrier()
if engine.rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
try:
    with engine.connected():
        engine.barrier()
except BacklightError as error:
    print(error)
"""


def test_a_process_that_was_killed_is_told_of_in_a_sentence():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    ended = run_script(LOST, world=2, **where)
    assert ended.out.startswith("process 0 of 2 has lost the others: one of them, or its machine, has ended; try: ")


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
