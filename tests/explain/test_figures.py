"""What is drawn means something: color is the map's alone, and a map that says nothing has none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from backlight.classifier import Classifier
from backlight.explain import METHODS, explain
from backlight.explain.figures import draw
from backlight.explain.request import Request
from backlight.images import write_png
from backlight.tasks.explaining import explain_pictures
from tests.explain.nets import distinct_relu_net, images, wrap


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("value", [0.0, 5.0, float("nan"), float("inf")])
def test_flat_and_broken_maps_leave_a_faded_picture_without_color(value: float, signed: bool) -> None:
    image, heat = images(1)[0].float(), torch.zeros(16, 16)
    heat[:] = value
    drawn = draw(image, heat, signed=signed)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
    assert float(drawn.std()) < 0.5 * float(image.mean(0).std())


def test_one_broken_value_is_enough() -> None:
    heat = torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    heat[3, 4] = float("nan")
    drawn = draw(images(1)[0].float(), heat)
    assert torch.equal(drawn[0], drawn[1])


def test_color_is_where_the_map_is_whatever_the_colors_of_the_picture() -> None:
    orange = torch.tensor([1.0, 0.5, 0.0]).view(3, 1, 1).expand(3, 16, 16)
    heat = torch.zeros(16, 16)
    heat[4:8, 4:8] = 1
    drawn = draw(orange, heat)
    colored = (drawn.amax(0) - drawn.amin(0)) > 0.02
    assert not colored[heat == 0].any()
    assert torch.equal(drawn[:, 0, 0], torch.full((3,), 0.5))


def test_a_map_of_which_only_differences_count_is_drawn_from_its_smallest_value() -> None:
    high = torch.full((1, 3, 16, 16), 0.9)
    found = explain(wrap(distinct_relu_net(), double=False), high, 1, methods=["rise:samples=6"])["rise:samples=6"]
    assert float(found.heatmap().min()) == 0


def test_files_of_a_flat_map_say_so(tmp_path) -> None:
    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0 * x.mean((2, 3)) + torch.tensor([1.0, 2.0, 3.0])

    write_png(tmp_path / "a.png", images(1)[0].float())
    request = Request(("saliency", "occlusion:window=8,stride=8"))
    done, _ = explain_pictures(Classifier.from_module(Constant(), size=16), [tmp_path / "a.png"], request, tmp_path)
    assert [one.seen for one in done[0].maps] == [False, False]
    assert done[0].to_json()["maps"][0]["seen"] is False
    with Image.open(done[0].maps[0].png) as picture:
        values = np.asarray(picture)
    assert (values[..., 0] == values[..., 1]).all()


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    short = {"rise": ":samples=2", "lime": ":samples=3", "kernelshap": ":samples=4", "smoothgrad": ":samples=2"}
    skipped = {"rollout", "gradient_attention", "legrad", "captum:NAME"}
    methods = [name + short.get(name, "") for name in METHODS if name not in skipped]
    found = explain(wrap(distinct_relu_net()), images(2), methods=methods)
    assert len(found) == len(METHODS) - len(skipped)
    assert capfd.readouterr() == ("", "")
