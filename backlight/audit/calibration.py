"""Whether confidence means what it says, and the temperature that would mend it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from markupsafe import Markup

from backlight.audit.calibration_error import (
    CalibrationError,
    mass_bins,
    measure_calibration,
)
from backlight.audit.calibrators import CalibratorComparison, compare_calibrators, temperature_interval
from backlight.audit.card import CheckCard
from backlight.audit.commands import DATA, MODEL
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Judgement, judge, not_judged
from backlight.audit.kept import Kept
from backlight.audit.paired import values_of
from backlight.core.errors import counted
from backlight.evaluate.calibration import TEMPERATURES
from backlight.page.charts import line_chart
from backlight.page.plot import Line

_LEAST = 50
_SLIGHT = 0.05
_LOOK, _BAD = 0.02, 0.08  # points of confidence that a person would notice, and that would mislead one


def check_calibration(examined: Examined) -> Iterator[Finding]:
    """Measure the calibration error beside what chance shows, and what a temperature changes on unseen pictures."""
    kept = examined.kept.without_features()
    kept = kept.take(np.isfinite(kept.logits).all(1))
    if len(kept) < _LEAST:
        why = f"{counted(len(kept), 'picture')} with finite logits: at least {_LEAST} would tell something"
        yield not_judged("calibration_error", "calibration", why, len(kept))
        return
    found = measure_calibration(kept.probabilities, kept.labels, ids=kept.ids, seed=examined.seed)
    compared = compare_calibrators(kept.logits, kept.labels, ids=kept.ids, seed=examined.seed)
    fitted = temperature_interval(kept.logits, kept.labels)
    # Where hardly an answer is wrong, the likelihood rises up to the end of what is tried: nothing was found.
    bounded = fitted[0] > 1.001 * min(TEMPERATURES)
    yield _error_finding(kept, found, compared, examined, bounded)
    if bounded:
        yield _temperature_finding(kept, compared, examined, fitted)
    else:
        why = f"the best temperature is the last that was tried, {fitted[0]:g}: too few mistakes"
        yield not_judged("temperature", "calibration", why, len(kept))


def _error_finding(
    kept: Kept, found: CalibrationError, compared: CalibratorComparison, examined: Examined, bounded: bool
) -> Finding:
    value, chance = found.ece_mass, found.chance_mass
    judgement: Judgement = "good" if value.value <= chance.high else judge(value.interval, look=_LOOK, bad=_BAD)
    within = "no more than" if value.value <= chance.high else "while"
    sentence = (
        f"Confidence is {value.value:.1%} off on average, {within} a perfectly calibrated model would show up to "
        f"{chance.high:.1%} of {found.n:,} pictures. {_direction(found)}"
    )
    helping = [name for name in compared.after if bounded and _helps(compared, name)]
    mends = "temperature" in helping
    return Finding(
        "calibration_error",
        "calibration",
        value.value,
        value.interval,
        found.n,
        judgement,
        sentence,
        next="" if judgement == "good" else _remedy(helping),
        command=examined.command("calibrate", MODEL, DATA) if mends and judgement != "good" else "",
        tables={"Calibration": calibration_columns({"as it is": found})},
        charts={"Confidence and accuracy, in bins of equally many pictures": reliability_chart(kept)},
        per_picture=values_of(kept.ids, np.stack([kept.confidence, kept.right], 1), _error_by_mass),
        larger_is_better=False,
    )


def _error_by_mass(values: np.ndarray) -> float:
    """Compute the calibration error of confidence and whether it was right, `[N,2]`, in bins of equal mass."""
    places = mass_bins(values[:, 0])
    gaps = np.bincount(places, weights=values[:, 0] - values[:, 1])
    return float(np.abs(gaps).sum() / len(values))


def _helps(compared: CalibratorComparison, name: str) -> bool:
    """Whether a calibrator lowers the loss and no calibration error of pictures that it was not fitted on."""
    before, after = compared.before, compared.after[name]
    return (
        after.nll.value < before.nll.value
        and after.ece.value <= before.ece.value
        and after.ece_mass.value <= before.ece_mass.value
    )


def _remedy(helping: Sequence[str]) -> str:
    if "temperature" in helping:
        return "Set a temperature (backlight calibrate)."
    if helping:
        return (
            f"Calibrate by {' or '.join(helping)} (backlight.audit.compare_calibrators); a temperature does not help."
        )
    return "Mistrust the confidence: no remedy that was tried lowers its error on other pictures."


def _direction(found: CalibrationError) -> str:
    over = found.overconfidence
    if over.low <= 0 <= over.high:
        return "It neither promises too much nor too little."
    return f"It promises {abs(over.value):.1%} too {'much' if over.value > 0 else 'little'}."


def _temperature_finding(
    kept: Kept, compared: CalibratorComparison, examined: Examined, fitted: tuple[float, float, float]
) -> Finding:
    changes = calibration_columns({"before": compared.before, **compared.after})
    best, low, high = fitted
    before, after = compared.before, compared.after["temperature"]
    # Within a twentieth of 1 it changes nothing that anyone would see.
    unclear = low <= 1 + _SLIGHT and high >= 1 / (1 + _SLIGHT)
    helps = compared.chosen != "none" and _helps(compared, "temperature")
    judgement: Judgement = "good" if unclear or not helps else "bad" if (low > 2 or high < 0.5) else "look"
    sentence = (
        f"The best temperature is {best:.2f}, {'which may as well be 1' if unclear else 'not 1'}: fitted on one half, "
        f"it changes the calibration error of the other from {before.ece_mass.value:.1%} to {after.ece_mass.value:.1%} "
        f"(in bins of equal width from {before.ece.value:.1%} to {after.ece.value:.1%}) and the loss from "
        f"{before.nll.value:.3f} to {after.nll.value:.3f}"
        f"{'' if unclear or helps else ', so none is advised'}. {_advice(compared.chosen)}"
    )
    return Finding(
        "temperature",
        "calibration",
        best,
        (low, high),
        len(kept),
        judgement,
        sentence,
        next="" if judgement == "good" else f"Divide logits by {best:.2f} (backlight calibrate).",
        command="" if judgement == "good" else examined.command("calibrate", MODEL, DATA),
        unit="number",
        tables={"Before and after, on the half that was not fitted": changes},
    )


def _advice(chosen: str) -> str:
    if chosen == "none":
        return "No remedy clearly lowers the loss on pictures that it was not fitted on."
    return f"Of temperature, vector scaling and isotonic regression, {chosen} lowers the loss the most."


def calibration_columns(found: dict[str, CalibrationError]) -> dict[str, list[object]]:
    """Return a table of calibration errors, one row per number and name.

    >>> one = measure_calibration(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    >>> calibration_columns({"as it is": one})["number"][:2]
    ['loss (nats)', 'Brier score']
    """
    rows: list[tuple[object, ...]] = []
    for name, one in found.items():
        measured = (
            ("loss (nats)", one.nll, None),
            ("Brier score", one.brier, None),
            ("calibration error, equal width", one.ece, one.chance.high),
            ("calibration error, equal mass", one.ece_mass, one.chance_mass.high),
            ("confidence minus accuracy", one.overconfidence, None),
        )
        rows += [(name, number, value.value, value.low, value.high, chance) for number, value, chance in measured]
        rows.append((name, "classwise calibration error", one.classwise, None, None, None))
    heads = ("of", "number", "value", "low", "high", "chance_up_to")
    return {head: [row[place] for row in rows] for place, head in enumerate(heads)}


def reliability_chart(kept: Kept) -> Markup:
    """Draw accuracy over confidence in bins of equally many pictures, beside the diagonal.

    >>> "<svg" in reliability_chart(Kept.of(np.eye(3), labels=[0, 1, 2]))
    True
    """
    confidence = kept.confidence.astype(np.float64)
    places = mass_bins(confidence)
    filled = np.unique(places)
    points = tuple(
        (float(confidence[places == place].mean()), float(kept.right[places == place].mean())) for place in filled
    )
    lines = [Line(points, "measured"), Line(((0.0, 0.0), (1.0, 1.0)), "calibrated", dashed=True)]
    marks = [0.0, 0.25, 0.5, 0.75, 1.0]
    return line_chart(lines, alt="Accuracy over confidence", x_label="confidence", marks=marks)


CARDS = (
    CheckCard(
        "calibration",
        "calibration",
        check_calibration,
        needs=frozenset({"labels"}),
        reference="Guo, Pleiss, Sun and Weinberger, 2017, arXiv:1706.04599",
        paired=True,
    ),
)
