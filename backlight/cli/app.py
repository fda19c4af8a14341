"""Every verb of the command line, with the example that its `--help` shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from backlight import __version__
from backlight.cli import data
from backlight.cli.attack import attack
from backlight.cli.audit import audit
from backlight.cli.calibrate import calibrate
from backlight.cli.certify import certify
from backlight.cli.check import check
from backlight.cli.corruptions import corruptions
from backlight.cli.evaluate import evaluate
from backlight.cli.explain import explain
from backlight.cli.export import export
from backlight.cli.jobs import jobs
from backlight.cli.listing import methods, models
from backlight.cli.live import app as live_page
from backlight.cli.looking import inspect, predict
from backlight.cli.making import denoise, fool, style, visualize
from backlight.cli.options import expand_options
from backlight.cli.report import report
from backlight.cli.robustness import robustness
from backlight.cli.train import train
from backlight.cli.transfer import transfer
from backlight.cli.universal import universal

VERBS: dict[Callable[..., None], str] = {
    report: "backlight report cat.jpg holiday/ --out report.html",
    predict: "backlight predict cat.jpg holiday/ --top 3",
    explain: "backlight explain cat.jpg --methods gradcam,integrated_gradients --target second",
    attack: "backlight attack cat.jpg --method pgd --eps 2/255 --target 'red fox'",
    visualize: "backlight visualize class goldfish 'red fox' --frames 32",
    fool: "backlight fool cat.jpg --target 'red fox'",
    style: "backlight style house.jpg waves.jpg --keep-colors",
    denoise: "backlight denoise noisy.png --smooth-norm l1 --alpha 0.7 --reference clean.png",
    inspect: "backlight inspect cat.jpg --compare-random",
    train: "backlight train --data photos/ --model classic_cnn --out runs/first --epochs 10",
    evaluate: "backlight evaluate --model runs/first --data photos/ --split test",
    calibrate: "backlight calibrate runs/first --data photos/",
    export: "backlight export runs/first --format onnx --out models/",
    robustness: "backlight robustness --model runs/first --data photos/ --attack pgd --eps 2/255 --limit 200",
    audit: "backlight audit --model runs/first --data photos/ --train photos/ --gate gate.toml",
    check: "backlight check evaluate.json --gate gate.toml --baseline before.json --junit gates.xml",
    corruptions: "backlight corruptions --model runs/first --data photos/ --stability --workers 4",
    transfer: "backlight transfer --model runs/first --model runs/second --data photos/ --attack mi,mi+dim,bsr",
    universal: "backlight universal --model runs/first --data photos/ --patch circle --target dog --print-size 10cm",
    certify: "backlight certify --model runs/noisy --data photos/ --method smoothing:sigma=0.25,n=1000 --limit 200",
    jobs: "backlight jobs backlight-out",
    live_page: "backlight app --model runs/first",
    models: "backlight models --search resnet",
    methods: "backlight methods --bibtex > references.bib",
}
DATA_VERBS: dict[Callable[..., None], str] = {
    data.inspect: "backlight data inspect photos/",
    data.convert: "backlight data convert photos/ photos.npz",
}

app = typer.Typer(
    name="backlight",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train, measure, explain, attack and harden image classifiers.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"backlight {__version__}")
        raise typer.Exit


@app.callback()
def _backlight(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train, measure, explain, attack and harden image classifiers."""


_data = typer.Typer(no_args_is_help=True, help="Look at data sets and convert them.")
app.add_typer(_data, name="data")
for group, verbs in ((app, VERBS), (_data, DATA_VERBS)):
    for verb, example in verbs.items():
        group.command(verb.__name__, epilog=f"Example: {example}")(expand_options(verb))
