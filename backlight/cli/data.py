"""The verbs `data inspect` and `data convert`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backlight.cli.model import read_size
from backlight.cli.options import DATA_FORMS, OutputOptions, RunOptions
from backlight.cli.output import emit, leave, say
from backlight.errors import counted

if TYPE_CHECKING:
    from backlight.data.inspect import Inspection

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_FORMS)]
_SHOWN = 10


def inspect(data: Data, run: RunOptions, output: OutputOptions) -> None:
    """Look at a data set: class counts, sizes, broken files, duplicates within and across parts, a contact sheet."""
    from backlight.data import load_splits
    from backlight.data.inspect import contact_sheet, inspect_data
    from backlight.engine.progress import terminal_progress
    from backlight.files import require_new
    from backlight.images import write_png

    path = require_new(output.out / "contact-sheet.png", output.force)
    splits = load_splits(data)
    found = inspect_data(splits, terminal_progress(run.quiet))
    write_png(path, contact_sheet(splits.whole))
    if run.json:
        emit(found.as_dict() | {"warnings": found.warnings(), "contact_sheet": str(path)})
    else:
        for line in _lines(found, path):
            say(line)
    leave(list(found.failed))


def convert(
    data: Data,
    target: Annotated[Path, typer.Argument(help="FILE.npz, FILE.parquet, or a new folder.")],
    run: RunOptions,
    size: Annotated[
        str | None, typer.Option(help="Scale and crop to 64, or to 64x48 (height x width); as stored if left out.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file, never a folder.")] = False,
) -> None:
    """Write a data set in another form, with the same labels, pixels and parts; in a folder ids become paths."""
    from backlight.data import load_splits
    from backlight.data.convert import convert_data
    from backlight.engine.progress import terminal_progress
    from backlight.images import Resize

    wanted = read_size(size)
    splits = load_splits(data, resize=Resize(None, wanted) if wanted else None)
    failed = convert_data(splits, target, force=force, progress=terminal_progress(run.quiet))
    written = len(splits.whole) - sum(one not in splits.whole.failed for one in failed)
    if run.json:
        emit({"target": str(target), "pictures": written, "failed": len(failed)})
    else:
        say(f"{target}: {counted(written, 'picture')}")
    leave(list(failed))


def _lines(found: Inspection, sheet: Path) -> Iterator[str]:
    yield found.name
    for part, counts in found.counts.items():
        yield f"  {part}: {counted(sum(counts.values()), 'picture')}, {counted(len(counts), 'class')}"
        for name, count in list(counts.items())[:_SHOWN]:
            yield f"    {count:6d}  {name}"
        if len(counts) > _SHOWN:
            yield f"    and {len(counts) - _SHOWN} more"
    sizes = ", ".join(f"{height} x {width} ({count})" for (height, width), count in list(found.sizes.items())[:5])
    yield f"  sizes (height x width): {sizes}" + (f" and {len(found.sizes) - 5} more" if len(found.sizes) > 5 else "")
    exact = sum(group.exact for group in found.duplicates)
    near = len(found.duplicates) - exact
    yield f"  duplicates: {counted(exact, 'group')} of equal pictures, {near} of nearly equal ones"
    yield from (f"  warning: {warning}" for warning in found.warnings())
    yield f"  {sheet}"
