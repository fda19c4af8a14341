"""Experiment trackers: who can be handed a finished result, and the door for more of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

from backlight.core.errors import BacklightError, UsageError
from backlight.core.grammar import parse_spec
from backlight.core.plugins import UNSTATED, Registry
from backlight.sharing import mlflow, tensorboard, wandb
from backlight.sharing.record import Record

Options = Mapping[str, str]
HandOver = Callable[[Record, Options], str]


@dataclass(frozen=True)
class TrackerCard:
    """A tracker: `hand_over(record, options)` gives it a record and returns where that can be seen.

    `options` are the names that may follow the tracker's own, as in `wandb:project=mine`; `package` is what has to be
    installed.

    >>> TrackerCard("list", lambda record, options: "here").options
    ()
    """

    name: str
    hand_over: HandOver
    options: tuple[str, ...] = ()
    package: str = ""
    summary: str = UNSTATED
    reference: str = UNSTATED


@dataclass(frozen=True)
class Tracker:
    """A tracker with the options of one command, ready to be handed a record.

    >>> seen = []
    >>> card = TrackerCard("list", lambda record, options: seen.append(record.verb) or "in a list")
    >>> Tracker(card).hand_over(Record("evaluate", {})), seen
    ('in a list', ['evaluate'])
    """

    card: TrackerCard
    options: Options = field(default_factory=dict)

    def hand_over(self, record: Record) -> str:
        """Give the tracker a record; return where it can be seen.

        Raises BacklightError with the tracker's own words where it fails.
        """
        try:
            return self.card.hand_over(record, self.options)
        except BacklightError:
            raise
        # Another program, its server and its network: whatever they raise, the result itself is finished.
        except Exception as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise BacklightError(f"{self.card.name} did not take the result: {said[0]}") from error


TRACKERS: Registry[TrackerCard] = Registry(
    "trackers",
    "tracker",
    (
        TrackerCard(
            "tensorboard",
            tensorboard.hand_over,
            ("dir",),
            "tensorboard",
            "numbers as scalars and the command as text, in a folder of its own",
            "https://www.tensorflow.org/tensorboard",
        ),
        TrackerCard(
            "mlflow",
            mlflow.hand_over,
            ("uri", "experiment"),
            "mlflow",
            "numbers as metrics, what they are about as parameters, the page and tables as artifacts",
            "https://mlflow.org/docs/latest/ml/tracking/",
        ),
        TrackerCard(
            "wandb",
            wandb.hand_over,
            ("project", "entity", "mode"),
            "wandb",
            "numbers in the summary, the page as HTML, the page and tables as an artifact",
            "https://docs.wandb.ai/",
        ),
    ),
    TrackerCard,
    lambda name, function: TrackerCard(name, function),
)


def open_tracker(text: str) -> Tracker:
    """Return the tracker that `NAME` or `NAME:key=value` asks for.

    Raises UsageError for names and options that nothing has, and for a tracker that is not installed.

    >>> open_tracker("tensorboard:dir=runs/board").options
    {'dir': 'runs/board'}
    """
    spec = parse_spec(text)
    card = TRACKERS.find(spec.name)
    spec.only(*card.options)
    if card.package and find_spec(card.package) is None:
        raise UsageError(f"--log {card.name}: {card.package} is not installed", hint=f"pip install {card.package}")
    return Tracker(card, dict(spec.options))
