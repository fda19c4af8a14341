"""The model card beside an exported model: its numbers come from the documents of other verbs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backlight.classifier import Classifier
from backlight.core.errors import FileError
from backlight.core.files import require_new, write_text
from backlight.gate import read_result
from backlight.sharing import CardFacts, model_card
from backlight.tasks.loading import doubts_of

CARD = "README.md"


@dataclass(frozen=True)
class CardRequest:
    """Which results a card shows, and under which licence the model is handed on ("" where that is not stated).

    >>> CardRequest().results
    ()
    """

    results: tuple[Path, ...] = ()
    license: str = ""


@dataclass(frozen=True)
class Card:
    """A card that can be written: its place, what it says, and what its reader must not miss."""

    target: Path
    facts: Mapping[str, Any]
    results: tuple[tuple[str, Mapping[str, Any]], ...]
    warnings: tuple[str, ...]

    def write(self, file: str) -> Path:
        """Write the card of an exported file; return its path."""
        write_text(self.target, model_card(CardFacts(files=(file,), **self.facts), self.results))
        return self.target


def read_card(request: CardRequest, classifier: Classifier, out: Path, *, force: bool = False) -> Card:
    """Read the results that a card of this classifier shows, `README.md` in `out`.

    Raises FileError where a result is about other weights or about no model, and UsageError where a card is there.
    """
    passport = classifier.passport
    results = tuple(_result(path, passport.weights, classifier.name) for path in request.results)
    doubts = dict.fromkeys(
        (*doubts_of(classifier), *(str(one) for _, doc in results for one in doc.get("warnings", ())))
    )
    facts = {
        "model": passport.to_json(),
        "license": request.license,
        "doubts": tuple(doubts),
        "version": version("backlight"),
    }
    missing = (
        () if results else ("the card has no numbers; --result FILE.json, as a verb's --json prints it, adds some",)
    )
    return Card(require_new(out / CARD, force), facts, results, missing)


def _result(path: Path, weights: str | None, name: str) -> tuple[str, Mapping[str, Any]]:
    """Read a document about these weights; of one about two models, the part about them."""
    result = read_result(path)
    documents = [result.document] if isinstance(result.document, Mapping) else []
    documents += [one["second"] for one in documents if isinstance(one.get("second"), Mapping)]
    for document in documents:
        model = document.get("model")
        if isinstance(model, Mapping) and model.get("weights") == weights:
            # The second of two models saw the same pictures as the first.
            return result.verb, {"data": documents[0].get("data"), "n": documents[0].get("n"), **document}
    raise FileError(path, f"is not about {name} with weights {weights}", expected="the --json of a verb on this model")
