"""How many labels are wrong, and which: confident learning, with the neighbors as a second opinion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Shown, judge, not_judged
from backlight.audit.kept import Kept
from backlight.audit.label_errors import estimate_label_noise, find_label_errors
from backlight.audit.neighbors import find_neighbors
from backlight.audit.words import number_of
from backlight.core.errors import counted

_NEIGHBORS, _SHOWN = 10, 24
_EVEN = 0.5  # of the share of all pictures that are contradicted
_LEAST = 30  # pictures: of fewer, a fifth says nothing
_LOOK, _BAD = 0.01, 0.05  # ten benchmarks have 3.3% on average (Northcutt, Athalye and Mueller 2021)


@dataclass(frozen=True, eq=False, repr=False)
class _Opinion:
    """Probabilities `[N,K]` of something that has not seen the labels, as far as is known, and which rows it judges."""

    probabilities: np.ndarray
    judged: np.ndarray
    of: str


@dataclass(frozen=True, eq=False, repr=False)
class _Suspects:
    """Rows whose label may be wrong, the most suspicious first, with the class suggested and both opinions.

    `agreeing` and `keeping` are the shares of neighbors that have the suggested label, and the given one.
    """

    rows: np.ndarray
    suggested: np.ndarray
    given_probability: np.ndarray
    suggested_probability: np.ndarray
    agreeing: np.ndarray
    keeping: np.ndarray

    @property
    def both(self) -> np.ndarray:
        """Whether both opinions name the suggested class before the given one: bool `[M]`."""
        return (self.suggested_probability > self.given_probability) & (self.agreeing > self.keeping)


def check_labels(examined: Examined) -> Iterator[Finding]:
    """Estimate the share of wrong labels, and list the labels that may be wrong."""
    kept = examined.kept
    opinion = _opinion(examined)
    if opinion is None:
        yield not_judged("label_errors", "labels", _too_few(examined), len(kept))
        return
    rows = np.flatnonzero(opinion.judged)
    probabilities, given = opinion.probabilities[rows], kept.labels[rows]
    share, interval, surest = estimate_label_noise(probabilities, given)
    counts = find_label_errors(probabilities, given, seed=examined.seed)
    contradicted = surest[probabilities[surest].argmax(1) != given[surest]]
    suspects = _suspects(kept, opinion, rows[np.union1d(counts.rows, contradicted)])
    everywhere = float((probabilities.argmax(1) != given).mean())
    # Wrong labels are contradicted wherever they stand; a probe's own mistakes grow rarer the surer it is.
    clear = share >= _EVEN * everywhere
    judgement = judge(interval, look=_LOOK, bad=_BAD)
    sentence = f"{_estimated(share, everywhere, clear, len(surest), opinion.of)} {_told(suspects)}"
    if seen := _seen(examined):
        sentence += f" The features have seen these labels ({seen}), so fewer errors are found than there are."
    yield Finding(
        "label_errors",
        "labels",
        share,
        interval,
        len(rows),
        "look" if judgement == "bad" and not clear else judgement,
        sentence,
        pictures=tuple(_shown(kept, suspects, place) for place in range(min(_SHOWN, len(suspects.rows)))),
        next="Look at the suspects, first ones first, and mend the labels that are wrong; delete none unseen."
        if len(suspects.rows)
        else "",
        gain=share if clear else share * share / everywhere,
        tables={
            "Labels that may be wrong": _columns(kept, suspects),
            "Estimates of the share of wrong labels": {
                "estimate": [
                    f"contradicted by {opinion.of}, surest fifth",
                    "confident learning, all pictures",
                ],
                "share": [share, counts.share],
                "low": [interval[0], counts.interval[0]],
                "high": [interval[1], counts.interval[1]],
                "includes": ["wrong labels", "wrong labels, and what is itself mistaken"],
            },
        },
    )


def _estimated(share: float, everywhere: float, clear: bool, surest: int, who: str) -> str:
    if not share:
        return f"Of the {surest:,} pictures that {who} is surest of, it contradicts no label."
    return (
        f"{'About' if clear else 'At most about'} {share:.1%} of the labels are wrong: so many does {who} contradict "
        f"among the {surest:,} pictures that it is surest of"
        + ("." if clear else f", and {everywhere:.0%} of all, so that many of these are its own mistakes.")
    )


def _told(suspects: _Suspects) -> str:
    if not len(suspects.rows):
        return "No picture is suspected."
    return (
        f"{number_of(len(suspects.rows), 'picture', 'are')} suspected; on {int(suspects.both.sum()):,} of them the "
        "neighbors name the same other class, and these come first. Suspects are to be looked at: many are hard "
        "pictures with right labels."
    )


def _opinion(examined: Examined) -> _Opinion | None:
    """Return a probe's probabilities, or the model's own where a probe has too few pictures or too much work."""
    kept = examined.kept
    if examined.probed is not None:
        return _Opinion(examined.probed.probabilities, examined.probed.seen, "a linear probe")
    if kept.defined.sum() < _LEAST or _seen(examined):
        return None
    return _Opinion(kept.probabilities, kept.defined, "the model")


def _too_few(examined: Examined) -> str:
    kept, seen = examined.kept, _seen(examined)
    occurring = len(np.unique(kept.labels))
    found = f"{counted(len(kept), 'picture')} of {counted(occurring, 'class')}"
    if seen and len(kept) >= _LEAST:
        return f"{found} are too few of most classes for a probe, and of the model itself nothing follows ({seen})"
    return f"{found}: at least {_LEAST} with a prediction would tell something"


def _seen(examined: Examined) -> str:
    """Say how it is known that the model was trained on these pictures, empty where nothing says so."""
    if examined.seen_labels or examined.train is None:
        return examined.seen_labels
    known = {digest.tobytes() for digest in examined.train.digests}
    shared = sum(digest.tobytes() in known for digest in examined.kept.digests)
    return f"{shared:,} of them are among the training pictures" if 2 * shared >= len(examined.kept) else ""


def _suspects(kept: Kept, opinion: _Opinion, rows: np.ndarray) -> _Suspects:
    """Sort rows by both opinions: how much more probable the other class is, and how many more neighbors have it.

    Where only one of them contradicts a label, the picture is more often hard than its label wrong.
    """
    found = find_neighbors(kept.features[rows], kept.features, _NEIGHBORS, own=rows)
    own = np.arange(len(rows))
    given = opinion.probabilities[rows, kept.labels[rows]]
    others = opinion.probabilities[rows]
    others[own, kept.labels[rows]] = -1
    suggested = others.argmax(1)
    agreeing = found.share(kept.labels[found.rows] == suggested[:, None])
    keeping = found.share(kept.labels[found.rows] == kept.labels[rows, None])
    columns = (rows, suggested, given, others[own, suggested], agreeing, keeping)
    unsorted = _Suspects(*columns)
    margin = unsorted.suggested_probability - given + agreeing - keeping
    order = np.lexsort((-margin, ~unsorted.both))
    return _Suspects(*(column[order] for column in columns))


def _shown(kept: Kept, suspects: _Suspects, place: int) -> Shown:
    row, suggested = suspects.rows[place], suspects.suggested[place]
    names = kept.label_names
    caption = (
        f"labeled {names[kept.labels[row]]}, looks like {names[suggested]} "
        f"({suspects.suggested_probability[place]:.0%}); of its neighbors {suspects.agreeing[place]:.0%} are labeled "
        f"{names[suggested]}, {suspects.keeping[place]:.0%} {names[kept.labels[row]]}"
    )
    return Shown(kept.ids[row], caption)


def _columns(kept: Kept, suspects: _Suspects) -> dict[str, list[object]]:
    names, rows = kept.label_names, suspects.rows.tolist()
    pairs = Counter((int(kept.labels[row]), int(other)) for row, other in zip(rows, suspects.suggested))
    return {
        "id": [kept.ids[row] for row in rows],
        "given": [names[kept.labels[row]] for row in rows],
        "suggested": [names[other] for other in suspects.suggested],
        "probability_given": [float(one) for one in suspects.given_probability],
        "probability_suggested": [float(one) for one in suspects.suggested_probability],
        "neighbors_suggested": [float(one) for one in suspects.agreeing],
        "neighbors_given": [float(one) for one in suspects.keeping],
        "so_confused": [pairs[int(kept.labels[row]), int(other)] for row, other in zip(rows, suspects.suggested)],
    }


CARDS = (
    CheckCard(
        "label_errors",
        "labels",
        check_labels,
        needs=frozenset({"labels", "features"}),
        reference="Northcutt, Jiang and Chuang, 2021, arXiv:1911.00068",
    ),
)
