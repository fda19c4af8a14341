"""Every journey runs as a notebook: in a kernel, cell by cell, and shows what a person would see."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JOURNEYS = sorted((ROOT / "examples/journeys").glob("plot_*.py"))


def test_there_is_a_journey_for_each_question() -> None:
    assert [one.stem[7:] for one in JOURNEYS] == ["audit_your_model", "attack_and_harden", "explain", "homework"]


@pytest.mark.slow
@pytest.mark.parametrize("script", JOURNEYS, ids=[one.stem for one in JOURNEYS])
def test_a_journey_runs_in_a_notebook(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("BACKLIGHT_PLUGINS", "0")
    notebook = nbformat.reads(json.dumps(as_notebook(script)), as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output.output_type == "error"]
    shown = [output.data["text/html"] for output in outputs if "text/html" in output.get("data", {})]
    assert any('<iframe sandbox="allow-scripts"' in one or "<img" in one or "<table" in one for one in shown)
    said = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "Traceback" not in said
    if "progress_bar" in script.read_text("utf-8"):
        assert "%|" in said, "no progress was drawn"


def as_notebook(script: Path) -> dict[str, object]:
    """Turn a script of the gallery into the notebook that its page offers."""
    parser, notebook = (
        pytest.importorskip("sphinx_gallery.py_source_parser"),
        pytest.importorskip("sphinx_gallery.notebook"),
    )
    from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF

    _, blocks = parser.split_code_and_text_blocks(script)
    made = notebook.jupyter_notebook(blocks, dict(DEFAULT_GALLERY_CONF), script.parent)
    made["metadata"]["kernelspec"]["name"] = "python3"
    return made
