"""The result of many finished blocks needs little memory a row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import run_script

_MANY = """
import re, sys, json
from pathlib import Path
import torch
from torch import nn
from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.evaluate import evaluate as evaluate_pictures
from backlight.tasks.evaluating import EvaluateRequest, evaluate
from backlight.tasks.loading import DataRequest

def request(count, out):
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 2, 2), generator=random, dtype=torch.uint8)
    names = [f"class {number}" for number in range(10)]
    data = Dataset.of(images, torch.randint(0, 10, (count,), generator=random), names)
    layer = nn.Linear(12, 10)
    layer.load_state_dict({"weight": torch.randn(10, 12, generator=random), "bias": torch.zeros(10)})
    model = Classifier.from_module(nn.Sequential(nn.Flatten(), layer), size=2, labels=names)
    return EvaluateRequest(DataRequest(data), (model,), out=out, resume=True, batch_size=1000)

what, count, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
asked = request(count, out)
if what == "work":
    evaluate_pictures(asked.models[0], asked.data.data, batch_size=1000, folder=out / "evaluate-blocks")
    sys.exit()
read = lambda name: int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
evaluate(request(2_000, out / "few"))  # whatever it imports is not of the rows
Path("/proc/self/clear_refs").write_text("5")
before = read("VmRSS")
found = evaluate(asked)
del found.document["seconds"]
(out / "document.json").write_text(json.dumps(found.document))
print(read("VmHWM") - before)
"""
PER_ROW = 300
"""Bytes: 228 were measured, 110 of them the table; 670 where every choice of rows copied and checked the table."""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak of memory")
def test_memory_of_the_reduce_is_that_of_one_table(tmp_path: Path) -> None:
    count = 400_000
    worked = run_script(_MANY, "work", count, tmp_path, timeout=600)
    assert worked.status == 0, worked.err
    reduced = run_script(_MANY, "reduce", count, tmp_path, timeout=600)
    assert reduced.status == 0, reduced.err
    assert int(reduced.out) < count * PER_ROW, f"{int(reduced.out) / count:.0f} bytes a row"
