"""Before and after hardening, as a part of the verb `evaluate`: which two models, what they endure, what is told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backlight.audit.hardening import ATTACKS, CALIBRATION, Hardening, HardeningRequest, measure
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.data import Dataset
from backlight.evaluate import Evaluation
from backlight.page.sections import Section
from backlight.report.hardened_pictures import hardened_pictures
from backlight.report.hardening import hardening_headline, hardening_section
from backlight.runs.folder import RunFolder, is_run
from backlight.table import Table
from backlight.tasks.loading import Model, data_title, model_name
from backlight.tasks.result_folder import Sweeping
from backlight.tasks.starting import Start


def hardening(wanted: bool, attacks: Sequence[str] = (), eps: str | None = None) -> HardeningRequest | None:
    """Return what is asked for, the usual attacks where none is named; raises UsageError for options that lead nowhere.

    >>> hardening(True).attacks
    ('pgd:steps=20', 'autoattack-fast')
    """
    if not wanted and (attacks or eps):
        raise UsageError("--attacks or --eps without --hardened", hint="--hardened, or the verb robustness")
    return HardeningRequest(tuple(attacks) or ATTACKS, eps) if wanted else None


def before_and_after(models: Sequence[Model], seed: int, *, tta: bool = False) -> tuple[Model, ...]:
    """Return the model before and the one after; before a run alone comes what it went on from.

    Raises UsageError where nothing says what a model was before, where that has changed since, and with `tta`.

    >>> before_and_after(("vit", "cct"), 0)
    ('vit', 'cct')
    """
    if tta:
        raise UsageError("--hardened with --tta", expected="one of them: attacks look at one view")
    if len(models) == 2:
        return tuple(models)
    after = model_name(models[0])
    info = RunFolder(after).info if is_run(after) else {}
    start = Start.read(info)
    origin = None if start is None else start.origin
    if origin is None:
        found = f"--hardened with {after} alone, which went on from no other model"
        raise UsageError(found, expected="two models, the one before first", hint="--model BEFORE --model AFTER")
    weights = info.get("origin")
    if weights is not None and origin.load(seed).passport.weights != weights:
        found = f"{model_name(origin)} has other weights now than when {after} went on from it"
        raise UsageError(found, hint="--model BEFORE --model AFTER")
    return origin, models[0]


def measure_both(
    classifiers: Sequence[Classifier],
    pictures: Dataset,
    found: Sequence[Evaluation],
    request: HardeningRequest,
    shared: Sweeping,
    *,
    seed: int,
) -> Hardening:
    """Put two models through the same attacks and corruptions; raises as `measure` does."""
    before, after = (
        measure(
            one,
            pictures,
            evaluation,
            request,
            seed=seed,
            cache=shared.blocks,
            engine=shared.engine,
            progress=shared.progress,
        )
        for one, evaluation in zip(classifiers, found, strict=True)
    )
    return Hardening(before, after, request)


@dataclass(frozen=True)
class HardeningTold:
    """What page, tables and terminal say of a hardening."""

    section: Section
    headline: str
    table: Table
    lines: tuple[str, ...]


def tell_hardening(
    found: Hardening, classifiers: Sequence[Classifier], pictures: Dataset, names: Sequence[str], *, seed: int
) -> HardeningTold:
    """Write a hardening as a section with pictures, as a table and as lines."""
    before, after = classifiers
    shown = hardened_pictures(found, (before, after), pictures, seed=seed)
    section = hardening_section(found, (names[0], names[1]), data=data_title(pictures), pictures=shown)
    return HardeningTold(section, hardening_headline(found), _table(found), tuple(_lines(found)))


def _table(found: Hardening) -> Table:
    changes = {name: one.change for name, one in found.gains.items()}
    columns = {name: [getattr(one, name) for one in changes.values()] for name in ("n", "before", "now", "difference")}
    ends = {"from": [one.interval[0] for one in changes.values()], "to": [one.interval[1] for one in changes.values()]}
    return Table.numbered({"number": list(changes), **columns, **ends})


def _lines(found: Hardening) -> Iterator[str]:
    yield "  before and after hardening"
    for name, gain in found.gains.items():
        low, high = gain.change.interval
        chance = "" if gain.clear else "  may be chance"
        words = name.replace("_", " ") if name == CALIBRATION else name
        change = f"{gain.change.before:>7.1%} {gain.change.now:>7.1%}  {gain.change.difference:+.1%}"
        yield f"    {words:<20}{change} ({low:+.1%} to {high:+.1%}){chance}"
    if found.paying:
        yield f"    paid for by {', '.join(one.name for one in found.paying)}"
