"""The table of samples, one row per image: `table` holds it, `text` writes it, `statistics` what every table needs."""

from backlight.table.table import Table

__all__ = ["Table"]
