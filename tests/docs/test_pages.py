"""What the pages say about the code is true."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

import backlight.pixels
from backlight.cli.app import DATA_VERBS, VERBS
from backlight.core.random import Random
from backlight.evaluate.evaluating import Evaluation
from backlight.table import Table
from backlight.tasks.cards import list_methods
from tests.pixels.problems import classifier_of, mixed_labels, pictures

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def page_module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def code_block(page: str, name: str) -> str:
    """Cut a named code block out of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(rf"\.\. code-block:: python\n   :name: {name}\n\n((?:   .*\n|\n)+)", text)
    assert found is not None, name
    return textwrap.dedent(found[1]).strip()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_plain_pgd_of_the_page_gives_the_pixels_of_the_assembled_one(dtype: torch.dtype) -> None:
    names = {"torch": torch, "F": F, "Random": Random, **vars(backlight.pixels)}
    for name in ("plain-pgd", "assembled-pgd"):
        exec(code_block("how_it_works.rst", name), names)  # noqa: S102 - a block of our own page
    classifier, x = classifier_of(dtype=dtype), pictures(dtype=dtype)
    y = mixed_labels(classifier, x)
    plain, assembled = (names[f"{kind}_pgd"](classifier, x, y, 16 / 255, 4 / 255, 6) for kind in ("plain", "assembled"))
    assert torch.equal(plain, assembled)
    assert not torch.equal(plain, x)


def test_the_plain_pgd_has_twelve_lines() -> None:
    assert len(code_block("how_it_works.rst", "plain-pgd").splitlines()) <= 12


def test_every_test_named_on_a_page_exists() -> None:
    named = set(re.findall(r"``(test_\w+)``", (DOCS / "what_can_go_wrong.rst").read_text(encoding="utf-8")))
    here = {
        name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())
    }
    assert len(named) > 20
    assert named <= here, sorted(named - here)


def test_every_method_named_on_a_page_exists() -> None:
    known = {entry.name for entry in list_methods()}
    text = (DOCS / "choose_a_method.rst").read_text(encoding="utf-8")
    named = set(re.findall(r"``([a-z0-9_+-]+)``", text))
    assert named
    assert named <= known, sorted(named - known)


def test_every_function_named_on_the_page_of_equivalents_exists() -> None:
    rooms = ("pixels", "attack", "explain", "visualize")
    known = {name for room in rooms for name in importlib.import_module(f"backlight.{room}").__all__}
    text = (DOCS / "coming_from.rst").read_text(encoding="utf-8")
    ours = "".join(re.findall(r"^     - (.*(?:\n       .*)*)", text, re.MULTILINE))
    named = {call for code in re.findall(r"``([^`]+)``", ours) for call in re.findall(r"(?<![.\w])(\w+)\(", code)}
    assert {"explain", "attack", "class_image"} <= named
    assert named <= known, sorted(named - known)


def test_docstrings_become_valid_text() -> None:
    convert = page_module("plain_text").convert
    lines = ["Take `x` of 2 * k to `y`s, a_ and |b|.", "", "    a block", "", ">>> 1 * 2", "2", "", "name   what it is"]
    text = convert(lines)
    assert text[0] == r"Take ``x`` of 2 \* k to ``y``\ s, a\_ and \|b\|."
    assert text[text.index("    " + "    a block") - 2] == "::"
    assert ">>> 1 * 2" in text
    assert "    name   what it is" in text


def test_the_gallery_has_every_study_and_asserts_its_findings() -> None:
    studies = sorted((ROOT / "examples").glob("plot_*.py"))
    assert len(studies) == 18
    texts = {study.name: study.read_text(encoding="utf-8") for study in studies}
    assert not [name for name, text in texts.items() if not re.search(r"^ *assert ", text, re.MULTILINE)]


def test_the_figures_of_long_runs_are_those_that_were_recorded() -> None:
    spec = importlib.util.spec_from_file_location("long", ROOT / "benchmarks" / "runs" / "long.py")
    assert spec is not None
    assert spec.loader is not None
    long = importlib.util.module_from_spec(spec)
    sys.modules["long"] = long  # dataclasses look their module up
    spec.loader.exec_module(long)
    rows = long.table_rows()
    assert len(rows) == len(list((ROOT / "benchmarks" / "results").glob("*.json")))
    page = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
    assert [row for row in rows if row not in page] == []


def test_the_generated_pages_hold_every_public_name_and_every_verb(tmp_path: Path) -> None:
    generated = page_module("generated")
    generated.write(tmp_path)
    pages = {page.stem: page.read_text(encoding="utf-8") for page in (tmp_path / "api").glob("*.rst")}
    shown = set(re.findall(r"^\.\. auto(?:class|function):: (\S+)$", "\n".join(pages.values()), re.MULTILINE))
    for room, things in generated.public_rooms().items():
        wanted = {f"{one.__module__}.{one.__qualname__}" for one in things.values() if inspect.isroutine(one)}
        assert wanted <= shown, (room, wanted - shown)
    assert all(name.rpartition(".")[2][0] != "_" for name in shown)
    verbs = {f"backlight {verb.__name__}" for verb in VERBS} | {
        f"backlight data {verb.__name__}" for verb in DATA_VERBS
    }
    assert [verb for verb in verbs if f"\n{verb}\n---" not in pages["commands"]] == []


def test_the_contract_names_every_verb_and_every_key_of_a_models_description() -> None:
    text = (DOCS / "contract.rst").read_text(encoding="utf-8")
    named = set(re.findall(r"``(?:backlight )?([a-z]+)", text)) | set(re.findall(r"``data (\w+)``", text))
    assert {verb.__name__ for verb in (*VERBS, *DATA_VERBS)} <= named
    described = classifier_of().passport.to_json()
    assert {key for key in described if f'"{key}"' not in text} == set()


def test_the_contract_names_the_keys_that_documents_have() -> None:
    text = (DOCS / "contract.rst").read_text(encoding="utf-8")
    rows = dict(re.findall(r"   \* - ``(\w+)``\n     - ((?:.*\n)(?:       .*\n)*)", text))
    table = Table.of(id=["a"], label=[0], prediction=[0], confidence=[0.9], loss=[0.1], logits=[[2.0, 0.0]])
    found = Evaluation(table, ("cat", "dog")).to_json()
    promised = set(re.findall(r'"(\w+)"', rows["evaluate"])) - {"true", "predicted", "count", "fraction"}
    inner = {"n", "accuracy", "precision", "recall", "f1"}
    assert promised - inner - {"seconds"} <= set(found), promised - inner - set(found)
    assert inner <= set(found["per_class"]["cat"])
