"""MLflow: a run with metrics, parameters and artifacts."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from itertools import islice

from backlight.sharing.record import Record

_LARGEST_CALL = 500  # a server takes at most 1,000 metrics at once
_LONGEST_NAME, _LONGEST_VALUE = 250, 500


def hand_over(record: Record, options: Mapping[str, str]) -> str:
    """Log the record as one run, with its page and tables; return the run's name."""
    mlflow = importlib.import_module("mlflow")
    if "uri" in options:
        mlflow.set_tracking_uri(options["uri"])
    mlflow.set_experiment(options.get("experiment", "backlight"))
    with mlflow.start_run(run_name=record.name) as run:
        mlflow.log_params({key: value[:_LONGEST_VALUE] for key, value in record.settings.items()})
        numbers = iter(allowed_names(record.numbers).items())
        while call := dict(islice(numbers, _LARGEST_CALL)):
            mlflow.log_metrics(call)
        for path in record.files:
            mlflow.log_artifact(str(path))
    return f"run {run.info.run_id}"


def allowed_names(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return numbers under names that MLflow takes; two that become equal are told apart by a number.

    >>> allowed_names({"per_class/a+b/n": 1.0, "per_class/a*b/n": 2.0})
    {'per_class/a_b/n': 1.0, 'per_class/a_b/n 2': 2.0}
    """
    found: dict[str, float] = {}
    for name, value in numbers.items():
        plain = re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)[:_LONGEST_NAME]
        found[_free(plain, found)] = value
    return found


def _free(name: str, taken: Iterable[str]) -> str:
    known, place, free = set(taken), 2, name
    while free in known:
        free, place = f"{name} {place}", place + 1
    return free
