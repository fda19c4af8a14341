"""What the page offers to choose from; the demonstration offers what it has answers for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Question = tuple[str, dict[str, str]]


@dataclass(frozen=True)
class Norm:
    """How changes of pictures are counted, in which sizes, and by which attacks.

    `kinds` are (short name, method, words about it); an attack of many steps is watched.

    >>> NORMS[0].name
    'l2'
    """

    name: str
    title: str
    sizes: tuple[str, ...]
    first: str
    kinds: tuple[tuple[str, str, str], ...]


_AT_ONCE = ("fgsm", "fgm", "one step, at once (FGM)")
_WATCHED = ("pgd", "pgd:steps=20,stop=false", "20 steps, watched (PGD)")
NORMS = (
    Norm("l2", "length of all changes (l2)", ("0.25", "0.5", "1", "2", "4", "8"), "2", (_AT_ONCE, _WATCHED)),
    Norm("l1", "sum of all changes (l1)", ("5", "10", "20", "50", "100", "200"), "50", (_AT_ONCE, _WATCHED)),
    Norm(
        "l0",
        "number of changed values (l0)",
        ("1", "3", "10", "30", "100", "300"),
        "10",
        (
            ("sigma-zero", "sigma-zero:steps=60", "60 steps, watched (sigma-zero)"),
            ("pdpgd", "pdpgd:steps=60", "60 steps, watched (PDPGD)"),
        ),
    ),
)
"""Besides the largest change of a value (linf); steps so few that a person waits for them."""


@dataclass(frozen=True)
class Choices:
    """Stops of the sliders and lists, and how far a hidden square moves at once; `classes` None means all of them.

    >>> Choices().steps_of_attack
    20
    """

    eps: tuple[float, ...] = (0.25, 0.5, 1, 2, 4, 8, 16)
    alphas: tuple[str, ...] = ("auto", "0.1", "0.2", "0.4", "0.7", "1", "1.5", "2")
    steps: tuple[int, ...] = (48, 96, 192)
    sides: tuple[int, ...] = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60)
    grid: float = 0.01
    steps_of_attack: int = 20
    norms: tuple[Norm, ...] = NORMS
    methods: tuple[str, ...] | None = None
    classes: tuple[int, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all of it as the page reads it."""
        return {**vars(self), "norms": [vars(norm) for norm in self.norms]}


DEMONSTRATION = Choices(
    eps=(0.5, 1, 2, 4, 8),
    alphas=("auto", "0.4", "1", "2"),
    steps=(96,),
    sides=(30,),
    norms=(),
    grid=0.1,
    methods=("gradcam", "layercam", "saliency", "gradient_x_input", "guided_backprop", "guided_gradcam", "occlusion"),
    classes=(1, 277, 937, 404),
)
"""Few enough that all answers about four pictures fit into a folder that can be sent."""


def about_a_picture(choices: Choices) -> Iterator[Question]:
    """List every question about one picture that the page can ask by choices alone.

    >>> next(about_a_picture(DEMONSTRATION))
    ('predict', {})
    """
    yield "predict", {}
    for method in choices.methods or ():
        yield "explain", {"methods": method}
    for eps in choices.eps:
        yield "attack", {"method": "fgsm", "eps": f"{eps:g}/255"}
        yield "attack", {"method": f"pgd:steps={choices.steps_of_attack},stop=false", "eps": f"{eps:g}/255"}
    for alpha in choices.alphas:
        yield "denoise", {"alpha": alpha}
    stops = [round(place * choices.grid, 2) for place in range(round(1 / choices.grid) + 1)]
    for side in choices.sides:
        yield from (("predict", {"cover": f"{x:.2f},{y:.2f},{side / 100:.2f}"}) for x in stops for y in stops)


def about_no_picture(choices: Choices) -> Iterator[Question]:
    """List every question about a class.

    >>> next(about_no_picture(DEMONSTRATION))
    ('visualize', {'what': 'class', 'subjects': 'index:1', 'steps': '96'})
    """
    for index in choices.classes or ():
        for steps in choices.steps:
            yield "visualize", {"what": "class", "subjects": f"index:{index}", "steps": str(steps)}
