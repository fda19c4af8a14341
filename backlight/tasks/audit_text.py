"""What an audit came to, in the words of the verb `audit`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backlight.audit.auditing import Audit
from backlight.audit.verdict import counts
from backlight.classifier import Classifier
from backlight.core.errors import counted
from backlight.data import Dataset
from backlight.report.audit_words import title_of, value_text
from backlight.tasks.loading import data_title
from backlight.tasks.result_folder import ResultFolder

_NAMED = 6  # findings by name on a line


def facts_of(found: Audit, parts: Mapping[str, Dataset | None], seconds: float) -> dict[str, str]:
    """Say of what data the audit is and what it cost, for its page."""
    titles = {"data": "data", "train": "training data", "against": "data of the field"}
    about = {
        titles[name]: f"{data_title(one)}, {counted(len(one), 'picture')}, fingerprint {one.fingerprint()}"
        for name, one in parts.items()
        if one is not None
    }
    cost = found.cost
    passes = f"{cost['pictures']:,} pictures in one pass of {cost['pass_seconds']:.0f} s"
    return {
        **about,
        "cost": f"{passes}, checks {cost['check_seconds']:.0f} s, {seconds:.0f} s in all",
        "depth, seed": f"{found.examined.depth}, {found.examined.seed}",
    }


def lines_of(found: Audit, classifier: Classifier, data: str, folder: ResultFolder) -> Iterator[str]:
    """Say in lines what is bad and what is worth a look, and name the files."""
    numbers = ", ".join(f"{count} {judgement}" for judgement, count in counts(found.findings).items() if count)
    absent = f"; {counted(len(found.not_checked), 'check')} left out" if found.not_checked else ""
    pictures = counted(len(found.examined.kept), "picture")
    yield f"{classifier.title} on {data}, {pictures}: {numbers or 'no finding'}{absent}"
    told_of = []
    for judgement in ("bad", "look"):
        own = [one for one in found.findings if one.judgement == judgement]
        names = [f"{title_of(one.name).lower()} {value_text(one)}".strip() for one in own[:_NAMED]]
        more = f" and {len(own) - _NAMED} more" if len(own) > _NAMED else ""
        told_of += [f"{judgement}: {', '.join(names)}{more}"] if own else []
    judged = any(one.judgement == "good" for one in found.findings)
    yield "; ".join(told_of) or ("nothing is bad or worth a look" if judged else "nothing could be judged")
    yield from folder.told
