"""Weights & Biases: a run with its summary, the page, and an artifact."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping

from backlight.sharing.record import Record


def hand_over(record: Record, options: Mapping[str, str]) -> str:
    """Log the record as one finished run, with its page and tables; return the run's address, or its name."""
    wandb = importlib.import_module("wandb")
    run = wandb.init(
        project=options.get("project", "backlight"),
        entity=options.get("entity"),
        mode=options.get("mode"),
        name=record.name,
        job_type=record.verb,
        config=record.settings,
    )
    with run:
        run.summary.update(record.numbers)
        if record.page:
            run.log({"page": wandb.Html(record.page.read_text("utf-8"), inject=False)})
        if record.files:
            artifact = wandb.Artifact(re.sub(r"[^A-Za-z0-9_.-]", "_", record.name), type="backlight")
            for path in record.files:
                artifact.add_file(str(path))
            run.log_artifact(artifact)
    return str(run.url or record.name)
