"""The verb `attack`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import load_classifier
from backlight.cli.options import Limit, ModelOptions, OutputOptions, Pictures, RunOptions
from backlight.cli.output import finish

if TYPE_CHECKING:
    from backlight.tasks.attack import AttackedPicture


def attack(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    method: Annotated[str, typer.Option(help="`backlight methods` lists the attacks.")] = "pgd",
    target: Annotated[
        str | None, typer.Option(help="Class to reach: label | index | second | least-likely | random.")
    ] = None,
    norm: Annotated[str | None, typer.Option(help="linf | l2 | l1; the method's own if left out.")] = None,
    eps: Annotated[str | None, typer.Option(help="Largest change in pixel units, as in 8/255.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="The method's own number if left out.")] = None,
    step_size: Annotated[str | None, typer.Option(help="In the norm's units, as in 2/255.")] = None,
    objective: Annotated[str | None, typer.Option(help="cross-entropy | logit | probability | margin | dlr")] = None,
    limit: Limit = None,
) -> None:
    """Change pictures a little so that the classifier errs; write them as PNG and judge the files."""
    from backlight.attack import choose_attack
    from backlight.engine.progress import terminal_progress
    from backlight.images import find_pictures
    from backlight.tasks.attack import AttackRequest, attack_pictures

    # Wrong options are told before a model is loaded.
    choose_attack(method, norm=norm, eps=eps, steps=steps, step_size=step_size, objective=objective)
    paths = find_pictures(pictures)[:limit]
    classifier = load_classifier(model, run.seed)
    request = AttackRequest(method, norm, eps, steps, step_size, objective, target, run.seed)
    done, failed = attack_pictures(
        classifier,
        paths,
        request,
        output.out,
        batch_size=min(run.batch_size, 16),
        force=output.force,
        progress=terminal_progress(run.quiet),
    )
    finish(
        [one.to_json() for one in done],
        failed,
        as_json=run.json,
        text=lambda: chain.from_iterable(map(_describe, done)),
    )


def _describe(one: AttackedPicture) -> Iterator[str]:
    verdict = "fooled" if one.success else "not fooled"
    bound = "" if one.eps is None else f" of {one.eps:.4g} allowed"
    yield f"{one.path}: {verdict}"
    yield f"  {one.label_before} -> {one.label_after}" + (f"  (wanted {one.target})" if one.target else "")
    yield f"  {one.norm} distance {one.distance:.4g}{bound}, margin {one.margin:.3g}, {one.steps} steps"
    yield f"  {one.png}"
    yield f"  {one.perturbation_png}"
