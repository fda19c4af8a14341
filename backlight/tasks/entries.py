"""Methods of explanation and attacks as lists of what each needs and costs: what a person chooses from."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.attack import ATTACKS
from backlight.classifier import Classifier
from backlight.core.errors import BacklightError
from backlight.explain import METHODS
from backlight.explain.layout import last_tokens


@dataclass(frozen=True)
class Entry:
    """One method: what it needs, its cost in passes, its reference, when not to use it; of an attack the norms.

    An attack needs the model's gradients, its scores, or the label that it predicts alone.

    >>> Entry("explain", "saliency", "gradient", "1 forward", "Simonyan et al., 2014", "never").kind
    'explain'
    """

    kind: str
    name: str
    needs: str
    cost: str
    reference: str
    avoid: str
    norms: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the fields as a dictionary."""
        return dict(vars(self))


def list_explanations() -> list[Entry]:
    """List every explanation method.

    >>> "gradcam" in {entry.name for entry in list_explanations()}
    True
    """
    return [
        Entry("explain", card.name, ", ".join(sorted(card.needs)) or "nothing", card.passes, card.reference, card.avoid)
        for card in METHODS.values()
    ]


def list_attacks() -> list[Entry]:
    """List every attack.

    >>> "pgd" in {entry.name for entry in list_attacks()}
    True
    """
    return [
        Entry("attack", card.name, card.needs, card.passes, card.reference, card.avoid, ", ".join(card.norms))
        for card in ATTACKS.values()
    ]


def fitting_methods(classifier: Classifier) -> list[Entry]:
    """List the explanation methods that fit a classifier and need no other package.

    >>> import torch
    >>> fitting = fitting_methods(Classifier.from_module(torch.nn.Flatten(), size=2))
    >>> {"saliency", "rollout"} & {entry.name for entry in fitting}
    {'saliency'}
    """
    lacking = {"captum"} if _attends(classifier) else {"captum", "attention"}
    return [one for one in list_explanations() if not lacking & set(one.needs.split(", "))]


def _attends(classifier: Classifier) -> bool:
    try:
        return bool(last_tokens(classifier))
    except BacklightError:
        return False
