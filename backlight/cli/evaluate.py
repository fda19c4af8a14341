"""The verb `evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backlight.cli.evaluate_text import evaluation_lines
from backlight.cli.model import load_classifier
from backlight.cli.options import (
    DATA_FORMS,
    DEFAULT_MODEL,
    Limit,
    ModelOptions,
    OutputOptions,
    RunOptions,
    WeightOptions,
)
from backlight.cli.output import data_name, emit, given_command, leave, say, warn
from backlight.errors import UsageError

if TYPE_CHECKING:
    from backlight.classifier import Classifier
    from backlight.data import Dataset
    from backlight.engine.processes import Engine
    from backlight.errors import Failure
    from backlight.evaluate.compare import Comparison
    from backlight.evaluate.evaluating import Evaluation
    from backlight.evaluate.slices import Slice
    from backlight.page.sections import Section

_TABLE, _PAGE = "samples.parquet", "report.html"


def evaluate(
    data: Annotated[str, typer.Option(help=DATA_FORMS)],
    weights: WeightOptions,
    run: RunOptions,
    output: OutputOptions,
    model: Annotated[
        list[str] | None, typer.Option(help="As elsewhere; given twice, the second is compared with the first.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train | val | test | all; test, else all, if left out.")] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average over shifted and mirrored views.")] = False,
    slice_: Annotated[str | None, typer.Option("--slice", help="FILE.csv:column: accuracy per value.")] = None,
    table: Annotated[bool, typer.Option("--table", help="Write the table of samples into --out.")] = False,
    calibrated: Annotated[
        bool, typer.Option("--calibrated", help="At the temperature that `calibrate` found for the run.")
    ] = False,
    limit: Limit = None,
) -> None:
    """Describe how good a classifier is on a data set, where it fails, and whether a second one is better."""
    from backlight.data import load_data
    from backlight.engine.processes import make_engine
    from backlight.evaluate.compare import compare_evaluations
    from backlight.evaluate.slices import read_slices, require_values
    from backlight.evaluate.temperature import at_temperature, read_temperature
    from backlight.files import require_new

    names = model or [DEFAULT_MODEL]
    if len(names) > 2 or (len(names) == 2 and weights.weights):
        raise UsageError(f"{len(names)} models with these weights", expected="one, or two models by name")
    values = read_slices(slice_) if slice_ else None
    temperatures = [read_temperature(name) if calibrated else 1.0 for name in names]
    for file in (_TABLE, _PAGE) if table else (_PAGE,):
        require_new(output.out / file, output.force)
    pictures = load_data(data, split=split, limit=limit)
    if values is not None:
        require_values(pictures.ids, values)
    classifiers = [load_classifier(ModelOptions(**vars(weights), model=name), run.seed) for name in names]
    engine = make_engine(str(classifiers[0].device))
    found = [_evaluation(one, pictures, run, tta, engine) for one in classifiers]
    if calibrated:
        found = [replace(one, table=at_temperature(one.table, at)) for one, at in zip(found, temperatures)]
    if not engine.is_main:
        return
    comparison = compare_evaluations(*found) if len(found) == 2 else None
    slices = [one.slices(values) if values is not None else [] for one in found]
    failed = list(found[0].failed)
    if table:
        found[0].table.write(output.out / _TABLE)
    sections = _sections(found, comparison, slices[0], pictures, names)
    page = _write_page(classifiers[0], output.out / _PAGE, sections, failed)
    if run.json:
        emit(_document(found, comparison, slices) | {"html": page})
    else:
        for line in (*evaluation_lines(found, comparison, slices), *([str(page)] if page else [])):
            say(line)
    leave(failed)


def _evaluation(classifier: Classifier, pictures: Dataset, run: RunOptions, tta: bool, engine: Engine) -> Evaluation:
    from backlight.engine.progress import terminal_progress
    from backlight.evaluate.evaluating import evaluate as evaluate_classifier

    progress = terminal_progress(run.quiet or not engine.is_main)
    return evaluate_classifier(
        classifier, pictures, batch_size=run.batch_size, tta=tta, engine=engine, progress=progress
    )


def _sections(
    found: list[Evaluation],
    comparison: Comparison | None,
    slices: list[Slice],
    pictures: Dataset,
    names: list[str],
) -> list[Section]:
    from backlight.models.sources.run import is_run
    from backlight.report.comparison import comparison_section
    from backlight.report.evaluation import evaluation_sections
    from backlight.report.training import training_section
    from backlight.runs.history import read_history

    sections = evaluation_sections(found[0], pictures, name=data_name(pictures), slices=slices)
    if comparison is not None:
        told = _told_apart(names)
        compared = comparison_section(found[0], found[1], comparison, pictures, told)
        # What follows is about one of the two only, and has to say so.
        sections = [compared, *(replace(one, title=f"{told[0]}: {one.title}") for one in sections)]
    histories = [read_history(name) for name in names if is_run(name)]
    return [*sections, training_section(histories)] if histories else sections


def _told_apart(names: list[str]) -> tuple[str, str]:
    first, second = (Path(name).name for name in names)
    return (first, second) if first != second else (f"{first} (first)", f"{second} (second)")


def _write_page(classifier: Classifier, path: Path, sections: list[Section], failed: list[Failure]) -> Path | None:
    from backlight.errors import ModelError
    from backlight.report import Options, write_report

    try:
        options = Options(command=given_command(), title=f"How good {classifier.name} is, and where it fails")
        return write_report(classifier, (), path, sections=sections, failed=failed, options=options, force=True).html
    except ModelError as error:  # one class, or an unknown input size: the numbers stand all the same
        warn(f"no page was written: {error}")
        return None


def _document(found: list[Evaluation], comparison: Comparison | None, slices: list[list[Slice]]) -> dict[str, Any]:
    documents = [one.to_json() for one in found]
    for document, own in zip(documents, slices):
        if own:
            document["slices"] = [one.to_json() for one in own]
    if comparison is not None:
        documents[0] |= {"second": documents[1], "comparison": comparison.to_json()}
    return documents[0]
