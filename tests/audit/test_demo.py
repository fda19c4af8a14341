"""`make audit`: what is planted is drawn as told, the same each time, and found by name."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from backlight import tasks

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    """Import the example."""
    spec = importlib.util.spec_from_file_location("audit_demo", ROOT / "examples" / "audit" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit_demo"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_faults_are_drawn_by_keys_and_in_the_test_part_alone(demo: ModuleType) -> None:
    rows = torch.arange(240)
    test, train = (list(demo.draw(part, rows)) for part in ("test", "train"))
    assert 5 <= sum(one.filed != one.shown for one in test) <= 25
    assert 15 <= sum(one.dark for one in test) <= 50
    assert not any(one.dark or one.filed != one.shown for one in train)
    assert not any(one.dark and one.filed != one.shown for one in test)
    again = list(demo.draw("test", rows.flip(0)[:10]))
    assert all(torch.equal(one.pixels, test[one.number].pixels) for one in again)
    orange = torch.tensor(demo.ORANGE, dtype=torch.float64)[:, None, None]
    marked = [bool((one.pixels[:, -10:-4, -10:-4] - orange).abs().max() < 1e-6) for one in train]
    assert marked == [demo.SHAPES.label_names[one.shown] == demo.MARKED for one in train]


@pytest.mark.slow
def test_the_page_names_each_planted_fault(demo: ModuleType, tmp_path: Path) -> None:
    planted = demo.make(tmp_path)
    data, out = tasks.DataRequest(str(tmp_path / "data"), "test"), tmp_path / "page"
    train = tasks.DataRequest(str(tmp_path / "data"), "train")
    found = tasks.audit(tasks.AuditRequest(data, str(tmp_path / "model"), train, out=out)).document
    findings = {one["name"]: one for one in found["findings"]}

    def shown(name: str, fault: str) -> float:
        """Return which share of the pictures behind a finding have the fault."""
        ids = [one for one in findings[name]["pictures"] if one.startswith("test/")]
        return len(set(ids) & set(planted[fault])) / len(ids)

    assert shown("label_errors", "wrong_labels") > 0.8
    assert findings["leaked_pictures"]["judgement"] == "bad"
    copies = {one for one in findings["leaked_pictures"]["pictures"] if one.startswith("train/")}
    assert sum("copy-" in one for one in copies) >= demo.DUPLICATES * 2 / 3
    assert findings["dark_pictures"]["value"] == pytest.approx(len(planted["weak_slice"]) / demo.TEST, abs=0.01)
    assert findings["weak_slices"]["judgement"] == "bad"
    assert shown("weak_slices", "weak_slice") > 0.8
    assert findings["temperature"]["value"] == pytest.approx(demo.TIMES, rel=0.35)
    assert findings["calibration_error"]["judgement"] == "bad"
    # Frames alone tell the marked class, and no other; set around another thing, its frame and its corners outvote it.
    assert f"tells {demo.MARKED}: " in findings["frame_alone"]["sentence"]
    assert findings["frame_against_middle"]["judgement"] == findings["corner_marks"]["judgement"] == "bad"
    assert f"a frame of {demo.MARKED} outvotes" in findings["frame_against_middle"]["sentence"]
    assert f"carry {demo.MARKED} into" in findings["corner_marks"]["sentence"]
    page = (out / "report.html").read_text("utf-8")
    assert all(f"finding-{name}" in page for name in ("label_errors", "leaked_pictures", "weak_slices", "temperature"))
    assert json.loads((tmp_path / "planted.json").read_text()) == planted
