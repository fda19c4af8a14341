"""Explanations as pictures: overlays, a notebook table, a figure."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor

from backlight.core.display import displayed_figure
from backlight.images import to_picture
from backlight.images.render import normalize_map, overlay

if TYPE_CHECKING:
    from backlight.explain.attribution import Attribution, Explanations

MOST_SHOWN = 16
OPACITY, FADED = 0.8, 0.3


def draw(image: Tensor, heat: Tensor, *, signed: bool = False) -> Tensor:
    """Draw one map [H,W] over its image [C,H,W] in gray, so that all color is the map's: float [3,H,W].

    `signed` colors evidence for in one hue and evidence against in another, around zero. A map that is flat or not
    finite leaves the image faded, without any color.

    >>> draw(torch.zeros(3, 4, 4), torch.rand(4, 4)).shape
    torch.Size([3, 4, 4])
    """
    scaled = normalize_map(heat, signed=signed)
    backdrop = image[:3].mean(0, keepdim=True).expand(3, -1, -1).float()
    if scaled.flat or not scaled.finite:
        return 0.5 + (backdrop - 0.5) * FADED
    return overlay(backdrop, scaled.values, OPACITY, table="signed" if signed else "heat")


def overlays(explanations: Explanations, method: str) -> list[Tensor]:
    """Draw the overlays of one method for every image, float [3,H,W] each."""
    attribution = explanations[method]
    signed = attribution.reduction == "sum"
    pairs = zip(explanations.images.cpu(), attribution.heatmap().cpu(), strict=True)
    return [draw(image, heat, signed=signed) for image, heat in pairs]


def to_html(explanations: Explanations) -> str:
    """Write a table: one row per image, one column per method; pictures inline, everything escaped."""
    methods = list(explanations)
    head = "".join(f"<th>{html.escape(_caption(explanations[one]))}</th>" for one in methods)
    columns = [overlays(explanations, one) for one in methods]
    rows = []
    for place in range(min(len(explanations.images), MOST_SHOWN)):
        cells = [_picture(_visible(explanations.images[place]))] + [_picture(column[place]) for column in columns]
        title = html.escape(_title(explanations, place))
        rows.append(f"<tr><td>{title}</td>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in _notes(explanations))
    return f"<table><tr><th></th><th>image</th>{head}</tr>{''.join(rows)}</table><ul>{notes}</ul>"


def to_figure(explanations: Explanations) -> Any:
    """Draw the same table as a matplotlib figure, without touching the pyplot state."""
    methods = list(explanations)
    count = min(len(explanations.images), MOST_SHOWN)
    figure = displayed_figure(figsize=(2.4 * (len(methods) + 1), 2.6 * count), layout="constrained")
    axes = figure.subplots(count, len(methods) + 1, squeeze=False)
    columns = [[_visible(image) for image in explanations.images]] + [overlays(explanations, one) for one in methods]
    captions = ["", *(_caption(explanations[one]) for one in methods)]
    for row in range(count):
        for place, column in enumerate(columns):
            axis = axes[row, place]
            axis.imshow(to_picture(column[row]))
            axis.set_axis_off()
            axis.set_title(captions[place] if place else _title(explanations, row), fontsize=8, wrap=True)
    return figure


def _visible(image: Tensor) -> Tensor:
    # One, three or any other number of channels as a picture that can be looked at.
    image = image.detach().float().cpu()
    return image if image.shape[0] == 3 else image.mean(0, keepdim=True).expand(3, -1, -1)


def _caption(attribution: Attribution) -> str:
    return attribution.method + (f" at {attribution.layer}" if attribution.layer else "")


def _title(explanations: Explanations, place: int) -> str:
    name = explanations.labels[place] if explanations.labels else "score"
    text = f"{name}: {explanations.quantity} {float(explanations.score[place]):.3g}"
    flat = [one.method for one in explanations.values() if bool(one.flat[place])]
    broken = [one.method for one in explanations.values() if not bool(one.finite[place])]
    text += f"; flat: {', '.join(flat)}" if flat else ""
    return text + (f"; not finite: {', '.join(broken)}" if broken else "")


def _notes(explanations: Explanations) -> list[str]:
    passes = f"{explanations.forwards:g} forward and {explanations.backwards:g} backward passes per image"
    return [passes, *(f"{one.method}: {note}" for one in explanations.values() for note in one.notes)]


def _picture(image: Tensor) -> str:
    buffer = io.BytesIO()
    picture: Image.Image = to_picture(image.clamp(0, 1) if torch.is_tensor(image) else image)
    picture.save(buffer, "PNG")
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}">'
