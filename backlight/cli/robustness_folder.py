"""What the verb `robustness` keeps in its folder: blocks while it works, then a table, a page and a document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backlight.cli.options import OutputOptions
from backlight.cli.output import given_command, plain_json
from backlight.errors import FileError, UsageError

if TYPE_CHECKING:
    from backlight.attack.request import RobustnessRequest
    from backlight.attack.robustness import Robustness
    from backlight.classifier import Classifier
    from backlight.errors import Failure

TABLE, DOCUMENT, PAGE, BLOCKS = "robustness.parquet", "robustness.json", "report.html", "robustness-blocks"


def asked_of(request: RobustnessRequest, **where: Any) -> dict[str, Any]:
    """Describe what an evaluation is of, to tell one from another."""
    threat = request.threat
    what = {"attack": request.name, "norm": threat.norm, "eps": threat.eps, "target": request.chosen.target}
    return plain_json(what | {"audit": request.audit, "options": request.checked} | where)


def check_folder(output: OutputOptions, resume: bool, asked: dict[str, Any]) -> None:
    """Refuse to replace what is there, unless it is the same evaluation that goes on."""
    from backlight.files import require_new

    if output.force:
        return
    if not resume:
        for name in (TABLE, DOCUMENT, PAGE):
            require_new(output.out / name)
        if (output.out / BLOCKS).exists():
            hint = "--resume to go on, --force to begin anew"
            raise UsageError(f"{output.out / BLOCKS} holds finished blocks", hint=hint)
        return
    done = output.out / DOCUMENT
    before = _read_request(done) if done.is_file() else asked
    differing = sorted(name for name in asked if before.get(name) != asked[name])
    if differing:
        found = f"{done} is of another {differing[0]}: {before.get(differing[0])}, not {asked[differing[0]]}"
        raise UsageError(found, hint="--resume --force to replace it and begin with what its blocks hold")


def _read_request(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text("utf-8"))["request"])
    except (ValueError, KeyError, TypeError) as error:
        raise FileError(path, f"is no result of this verb ({error})", hint="--resume --force replaces it") from error


def forget_blocks(folder: Path) -> None:
    """Delete finished blocks, and nothing else."""
    for kind in ("*.parquet", "*.safetensors"):
        for path in folder.glob(kind):
            path.unlink()


def write_results(
    out: Path,
    classifier: Classifier,
    found: Robustness,
    document: dict[str, Any],
    counts: list[int],
    data: str,
) -> Path:
    """Write table, page and document into `out`; gives the page."""
    from backlight.files import write_text
    from backlight.report import Options, write_report
    from backlight.report.robustness import robustness_section

    found.table.write(out / TABLE)
    section = robustness_section(found, data=data, steps=counts)
    options = Options(command=given_command())
    made = write_report(
        classifier, (), out / PAGE, sections=[section], failed=failed_pictures(found), options=options, force=True
    )
    # Last: that this file is there says that the others are of the same evaluation.
    write_text(out / DOCUMENT, json.dumps(plain_json(document), indent=2, allow_nan=False) + "\n")
    return made.html


def failed_pictures(found: Robustness) -> list[Failure]:
    """Name the pictures that could not be read."""
    return list(found.failed)
