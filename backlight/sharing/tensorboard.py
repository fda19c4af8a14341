"""TensorBoard: a folder of events for each record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from backlight.core.files import name_part
from backlight.sharing.record import Record

_FOLDER = Path("backlight-out/tensorboard")


def hand_over(record: Record, options: Mapping[str, str]) -> str:
    """Write the numbers as scalars at step 0, and what they are about as text; return the folder."""
    from torch.utils.tensorboard import SummaryWriter

    folder = Path(options.get("dir", _FOLDER)) / name_part(record.name)
    with SummaryWriter(str(folder)) as writer:
        for name, value in record.numbers.items():
            writer.add_scalar(name, value, 0)
        writer.add_text("about", _table(record), 0)
    return str(folder)


def _table(record: Record) -> str:
    about = record.settings | ({"page": str(record.page)} if record.page else {})
    rows = (f"| {key} | {value.replace('|', chr(92) + '|')} |" for key, value in about.items())
    return "\n".join(("| | |", "|---|---|", *rows))
