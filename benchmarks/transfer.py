"""Transfer from the embedded model to EfficientNet-lite1: I-FGSM < MI < DIM < BSR and MEF, with intervals.

500 photographs of BACKLIGHT_DATA (default `../shared/data`), eps 16/255, 10 steps. Finished blocks are kept in `--out`
(default: a folder beside the program's temporary files), so that a run that was stopped goes on. BSR and MEF look at 20
views a step as they were published, which takes hours on two cores; `--samples 5` takes a quarter of the time and makes
them weaker, if anything. `--quick` takes 4 photographs and 2 views.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import measure
from measure import Figure, at_least

import backlight
from backlight.attack import TransferRequest, TransferStudy, evaluate_transfer
from backlight.core.allocator import keep_memory
from backlight.table.statistics import paired_interval

LIGHT, HEAVY = ("i-fgsm", "mi", "mi+dim"), ("mi+bsr", "mef")
SURROGATE, VICTIM = "efficientnet_lite0", "efficientnet_lite1"
PHOTOGRAPHS, QUICK, VIEWS = 500, 4, 2


def main() -> None:
    """Measure, or go on measuring."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less work, to see that it runs")
    parser.add_argument("--attacks", default=",".join((*LIGHT, *HEAVY)), help="names with commas between")
    parser.add_argument("--samples", type=int, help="views a step of bsr and mef, 20 where nothing is given")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "backlight-transfer")
    given = parser.parse_args()
    keep_memory()
    samples = given.samples or (VIEWS if given.quick else None)
    measure.show(figures(given.attacks.split(","), given.out, QUICK if given.quick else PHOTOGRAPHS, samples))


def figures(attacks: list[str], out: Path, count: int, samples: int | None) -> Iterator[Figure]:
    """Measure each attack by itself, so that a run that was stopped has told what it knew."""
    folder = measure.data_folder()
    if folder is None:
        return
    data = backlight.load_data(str(listed(folder / "imagenet_sample", out)), split="all", limit=count)
    models = {name: backlight.load(name) for name in (SURROGATE, VICTIM)}
    studies: dict[str, TransferStudy] = {}
    for attack in attacks:
        options = {"samples": samples} if samples and attack in HEAVY else {}
        asked = TransferRequest.of(attack, eps="16/255", options={"steps": 10, **options}, surrogates=(SURROGATE,))
        studies[attack] = study = evaluate_transfer(models, data, asked, cache=out, batch_size=8)
        rate = study.rate(study.request.labels[0], SURROGATE, VICTIM)
        itself = study.rate(study.request.labels[0], SURROGATE, SURROGATE)
        low, high = rate.interval or (0.0, 1.0)
        note = f"95% interval {low:.1%} to {high:.1%}; the surrogate itself {itself.success or 0.0:.1%}"
        figure = at_least(f"{attack}: lite1 fooled", rate.success or 0.0, 0.0, unit="", n=rate.n, note=note)
        yield replace(figure, goal=None)
    for less, more in (("i-fgsm", "mi"), ("mi", "mi+dim"), *(("mi+dim", one) for one in HEAVY)):
        if less in studies and more in studies:
            yield gained(less, studies[less], more, studies[more])


def listed(folder: Path, out: Path) -> Path:
    """Write a list of the photographs with the WordNet id that each name holds, and return its path."""
    lines = [f"{path.resolve()} {path.name.split('_')[1]}" for path in sorted(folder.glob("*.jpg"))]
    out.mkdir(parents=True, exist_ok=True)
    (out / "photographs.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return out / "photographs.txt"


def gained(less: str, before: TransferStudy, more: str, after: TransferStudy) -> Figure:
    """Say by how much one attack transfers better than another on the same pictures; the goal is by anything at all."""
    old = before.fooled(before.request.labels[0], SURROGATE, VICTIM)
    new = after.fooled(after.request.labels[0], SURROGATE, VICTIM)
    n = int(before.both_right(SURROGATE, VICTIM).sum())
    won, lost = int((new & ~old).sum()), int((old & ~new).sum())
    low, high = paired_interval(won, lost, n)
    note = f"95% interval {low:+.1%} to {high:+.1%}; {won} pictures gained, {lost} lost"
    return at_least(f"{more} minus {less}", (won - lost) / max(n, 1), 1e-9, unit="", n=n, note=note)


if __name__ == "__main__":
    main()
