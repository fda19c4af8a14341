"""A model card: what a model is, how pictures reach it, what was measured and what was not.

The front matter is the YAML that model hubs read ("Model Cards", Hugging Face Hub documentation, `model-index`); the
idea of the card is that of Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backlight.core.escaping import as_text, shell_command, visible
from backlight.sharing.metrics import Metric, metrics_of
from backlight.sharing.yaml_text import yaml_lines
from backlight.table.text import markdown_cell

_TASK = {"type": "image-classification", "name": "Image Classification"}
_ASKED = {
    "evaluate": "how good it is on pictures that it was not trained on",
    "robustness": "how easily it is fooled on purpose",
    "corruptions": "how it fares under noise, blur, weather and compression",
    "audit": "whether its data, labels and shortcuts can be trusted",
}
_MOST_LABELS = 20


@dataclass(frozen=True)
class CardFacts:
    """What a card says beside the numbers: the model's passport as JSON, its files, licence and doubts.

    `files` are names of what is handed on beside the card, `doubts` sentences, `version` that of the program.

    >>> CardFacts({"name": "net"}).license
    ''
    """

    model: Mapping[str, Any]
    files: tuple[str, ...] = ()
    license: str = ""
    doubts: tuple[str, ...] = ()
    version: str = ""


def model_card(facts: CardFacts, results: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Write a model card in Markdown with YAML before it; `results` are documents of verbs with the verb's name.

    >>> result = {"accuracy": 0.5, "per_class": {}, "n": 10, "data": {"name": "photos", "split": "test", "n": 10}}
    >>> text = model_card(CardFacts({"name": "net", "labels": ["cat", "dog"]}), [("evaluate", result)])
    >>> "## What was measured" in text, "value: 0.5" in text
    (True, True)
    """
    lines = ["---", *yaml_lines(front_matter(facts, results)), "---", ""]
    return "\n".join((*lines, *_body(facts, results))) + "\n"


def front_matter(facts: CardFacts, results: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return what hubs read: licence, task, tags, and a result for each document that has numbers.

    >>> front_matter(CardFacts({"name": "net"}, license="mit"), [])["license"]
    'mit'
    """
    name = as_text(str(facts.model.get("name") or "model"))
    found = []
    for _, document in results:
        if metrics := metrics_of(document):
            values = [{"type": one.type, "value": one.value, "name": as_text(one.name)} for one in metrics]
            found.append({"task": _TASK, "dataset": _dataset(document), "metrics": values})
    head: dict[str, Any] = {"license": facts.license} if facts.license else {}
    head |= {"pipeline_tag": "image-classification", "tags": ["image-classification", "backlight"]}
    return head | ({"model-index": [{"name": name, "results": found}]} if found else {})


def _dataset(document: Mapping[str, Any]) -> dict[str, Any]:
    data = document.get("data")
    about = data if isinstance(data, Mapping) else {}
    name = as_text(str(about.get("name") or "not stated"))
    split = {"split": as_text(str(about["split"]))} if about.get("split") else {}
    return {"name": name, "type": name.rsplit("/", 1)[-1], **split}


def _body(facts: CardFacts, results: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    name = _cell(facts.model.get("name") or "model")
    labels = facts.model.get("labels") or ()
    yield from (f"# {name}", "", f"An image classifier of {len(labels)} classes: {_labels(labels)}.", "")
    if facts.files:
        yield from (f"Files: {', '.join(map(_cell, facts.files))}.", "")
    yield from (
        "## How pictures reach it",
        "",
        "| | | where it comes from |",
        "|---|---|---|",
        *_passport(facts.model),
        "",
    )
    yield from ("## What was measured", "", *_measured(results), "")
    if facts.doubts:
        yield from ("## What makes these numbers doubtful", "", *(f"- {_cell(one)}" for one in facts.doubts), "")
    missing = [f"- {asked}: `backlight {verb}`" for verb, asked in _ASKED.items() if verb not in dict(results)]
    if missing:
        yield from ("## What was not measured", "", *missing, "")
    yield f"Written by Backlight {facts.version}".rstrip() + "; intervals are 95%."


def _labels(labels: Sequence[str]) -> str:
    shown = ", ".join(_cell(one) for one in labels[:_MOST_LABELS]) or "no names are known"
    return shown + (f" and {len(labels) - _MOST_LABELS} more" if len(labels) > _MOST_LABELS else "")


def _passport(model: Mapping[str, Any]) -> Iterator[str]:
    sources = model.get("sources") or {}
    for key in ("size", "resize", "crop", "interpolation", "mean", "std", "outputs"):
        value = model.get(key)
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        yield f"| {key} | {_cell(text)} | {_cell(sources.get(key, ''))} |"
    yield f"| weights | {_cell(model.get('weights') or '')} | fingerprint |"


def _measured(results: Iterable[tuple[str, Mapping[str, Any]]]) -> Iterator[str]:
    rows = [row for verb, document in results for row in _rows(verb, document)]
    if not rows:
        yield "Nothing: no results were given."
        return
    yield from ("| measure | value | 95% interval | pictures | data |", "|---|---|---|---|---|", *rows)
    commands = dict.fromkeys(_command(verb, document) for verb, document in results)
    yield from ("", "The same numbers again:", "", "```", *commands, "```")


def _rows(verb: str, document: Mapping[str, Any]) -> Iterator[str]:
    about = _dataset(document)
    data = " ".join(_cell(about[key]) for key in ("name", "split") if key in about)
    for one in metrics_of(document):
        yield f"| {_cell(one.name)} | {_value(one)} | {_interval(one)} | {document.get('n', '')} | {data} |"


def _value(one: Metric) -> str:
    return f"{100 * one.value:.1f}%" if one.type == "accuracy" else f"{one.value:.4g}"


def _interval(one: Metric) -> str:
    return f"{100 * one.interval[0]:.1f} to {100 * one.interval[1]:.1f}%" if one.interval else ""


def _command(verb: str, document: Mapping[str, Any]) -> str:
    model, about = document.get("model"), _dataset(document)
    name = model.get("name") if isinstance(model, Mapping) else "MODEL"
    words = ["backlight", verb, "--model", str(name), "--data", str(about["name"])]
    words += ["--split", about["split"]] if "split" in about else []
    if verb == "robustness":
        words += ["--attack", str(document.get("attack"))]
        words += ["--norm", str(document.get("norm")), "--eps", str(document.get("eps"))] if document.get("eps") else []
    return shell_command(as_text(word) for word in words).replace("`", "'")


def _cell(text: Any) -> str:
    return markdown_cell(visible(as_text(str(text))))
