"""Every mistake gets one sentence with both shapes."""

import pytest
import torch
from torch import zeros

from backlight.core.errors import InputError
from backlight.layers.conv2d import unfold_conv2d

IMAGES, WEIGHT = zeros(2, 4, 8, 8), zeros(6, 4, 3, 3)


@pytest.mark.parametrize(
    ("images", "weight", "options", "words"),
    [
        (IMAGES, zeros(6, 3, 3, 3), {}, "4 channels arrive and 3 are taken"),
        (IMAGES, zeros(6, 4, 3, 3), {"groups": 2}, "4 channels arrive and 8 are taken"),
        (IMAGES, zeros(5, 2, 3, 3), {"groups": 2}, "5 outputs in 2 groups"),
        (IMAGES, WEIGHT, {"groups": 0}, "6 outputs in 0 groups"),
        (IMAGES, WEIGHT, {"padding": -1}, "padding is -1"),
        (IMAGES, WEIGHT, {"padding": (1, -2)}, r"padding is \(1, -2\)"),
        (IMAGES, WEIGHT, {"stride": 0}, "stride is 0"),
        (IMAGES, WEIGHT, {"dilation": (1, 2, 3)}, r"dilation is \(1, 2, 3\)"),
        (IMAGES, WEIGHT, {"padding": "same", "stride": 2}, "padding is 'same' and stride"),
        (IMAGES, WEIGHT.double(), {}, "images are torch.float32 on cpu and the weight torch.float64"),
        (IMAGES, WEIGHT, {"bias": zeros(6).half()}, "the bias torch.float16"),
        (IMAGES, WEIGHT, {"bias": zeros(4)}, r"the bias has shape \[4\]"),
        (IMAGES, WEIGHT, {"dilation": 4}, "larger than the images"),
        (zeros(4, 8), WEIGHT, {}, r"images have shape"),
        (IMAGES, zeros(6, 4, 3), {}, r"images have shape"),
    ],
)
def test_messages_name_both_shapes(images, weight, options, words):
    with pytest.raises(InputError, match=words) as caught:
        unfold_conv2d(images, weight, **options)
    message = str(caught.value)
    assert str(list(images.shape)) in message
    assert str(list(weight.shape)) in message
    assert "\n" not in message


def test_unknown_padding_word():
    with pytest.raises(InputError, match="'reflect'"):
        unfold_conv2d(IMAGES, WEIGHT, padding="reflect")


def test_the_meta_device_gives_shapes():
    assert unfold_conv2d(IMAGES.to("meta"), WEIGHT.to("meta"), stride=2).shape == torch.Size([2, 6, 3, 3])
