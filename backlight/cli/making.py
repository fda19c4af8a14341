"""The verbs that make pictures: `visualize`, `fool`, `style` and `denoise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from backlight.cli.options import Frames, Limit, ModelOptions, OutputOptions, Pictures, RunOptions, Steps
from backlight.cli.output import ending, run_task
from backlight.core.grammar import parse_number, parse_numbers


def visualize(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="class | feature | invert | dream")],
    subjects: Annotated[
        list[str], typer.Argument(metavar="SUBJECT", help="Labels (or all), LAYER:CHANNEL, or picture files.")
    ],
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    layer: Annotated[str | None, typer.Option(help="The layer of invert and dream.")] = None,
    preset: Annotated[str, typer.Option(help="For class and feature: lucid | cs231n.")] = "lucid",
    steps: Steps = None,
    frames: Frames = 0,
    longest: Annotated[int, typer.Option(min=16, help="The longer side of a dream, in pixels.")] = 384,
) -> None:
    """Make pictures that show what a class, a channel or a layer of the model looks for."""
    from backlight.tasks.visualizing import VisualizeRequest
    from backlight.tasks.visualizing import visualize as task

    request = VisualizeRequest(
        what, tuple(subjects), model.request, layer, preset, steps, frames, longest, *ending(output, run)
    )
    run_task(run, lambda progress: task(request, progress=progress))


def fool(
    pictures: Pictures,
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    target: Annotated[str, typer.Option(help="label | index | second | least-likely | random")],
    preset: Annotated[str, typer.Option(help="confident | cs231n")] = "confident",
    confidence: Annotated[float | None, typer.Option(help="The probability wanted of the target.")] = None,
    steps: Steps = None,
    limit: Limit = None,
    frames: Frames = 0,
) -> None:
    """Change pictures until the classifier sees the target; show the difference and ten times the difference."""
    from backlight.tasks.fooling import FoolRequest
    from backlight.tasks.fooling import fool as task

    request = FoolRequest(
        tuple(pictures), target, model.request, preset, confidence, steps, limit, frames, *ending(output, run)
    )
    run_task(run, lambda progress: task(request, progress=progress))


def style(
    content: Annotated[Path, typer.Argument(metavar="CONTENT", help="The picture to paint.")],
    styles: Annotated[list[Path], typer.Argument(metavar="STYLE", help="Pictures whose style to take.")],
    model: ModelOptions,
    run: RunOptions,
    output: OutputOptions,
    preset: Annotated[str, typer.Option(help="default | gatys | cs231n")] = "default",
    blend: Annotated[str | None, typer.Option(help="Weights of the styles, as in 2,1.")] = None,
    keep_colors: Annotated[bool, typer.Option("--keep-colors", help="Keep the content's colors.")] = False,
    longest: Annotated[int, typer.Option(min=16, help="The painting's longer side, in pixels.")] = 384,
    steps: Annotated[int | None, typer.Option(min=1, help="Per scale; the preset's own number if left out.")] = None,
    frames: Frames = 0,
) -> None:
    """Paint a picture in the style of others."""
    from backlight.tasks.styling import StyleRequest
    from backlight.tasks.styling import style as task

    request = StyleRequest(
        content,
        tuple(styles),
        model.request,
        preset,
        None if blend is None else parse_numbers(blend),
        keep_colors,
        longest,
        steps,
        frames,
        *ending(output, run),
    )
    run_task(run, lambda progress: task(request, progress=progress))


def denoise(
    pictures: Pictures,
    run: RunOptions,
    output: OutputOptions,
    data_norm: Annotated[str, typer.Option(help="l1 | l2: the distance from the noisy picture.")] = "l1",
    smooth_norm: Annotated[str, typer.Option(help="l1 | l2: the differences of neighbors.")] = "l1",
    alpha: Annotated[str, typer.Option(help="How smooth: a number, or auto from the estimated noise.")] = "auto",
    lr: Annotated[str | None, typer.Option(help="The gradient solver's rate, as in 0.9/255.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="The solver's own number if left out.")] = None,
    solver: Annotated[str, typer.Option(help="auto | gradient | scikit-image | deep-prior")] = "auto",
    reference: Annotated[Path | None, typer.Option(help="The clean picture, for PSNR and SSIM.")] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="Also a sheet over alpha and learning rate.")] = False,
    limit: Limit = None,
    frames: Frames = 0,
) -> None:
    """Remove noise from pictures: near the noisy one, and smooth."""
    from backlight.tasks.denoising import DenoiseRequest
    from backlight.tasks.denoising import denoise as task

    request = DenoiseRequest(
        tuple(pictures),
        data_norm,
        smooth_norm,
        alpha if alpha == "auto" else parse_number(alpha),
        None if lr is None else parse_number(lr),
        steps,
        solver,
        reference,
        sweep,
        limit,
        frames,
        *ending(output, run),
    )
    run_task(run, lambda progress: task(request, progress=progress))
