import base64
import io

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from backlight.images import to_tensor
from backlight.images.render import overlay
from backlight.page.embed import LARGEST, exact_uri, layer_uri, photograph_uri


def decode(uri: str) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head.startswith("data:image/")
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    assert picture.get_format_mimetype() == head.removeprefix("data:").removesuffix(";base64")
    return picture


@given(arrays(np.uint8, st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=50, deadline=None)
def test_an_exact_picture_comes_back_bit_for_bit(levels: np.ndarray) -> None:
    image = torch.from_numpy(levels).float() / 255
    assert torch.equal(to_tensor(decode(exact_uri(image)), len(levels)), image)


def test_large_pictures_are_reduced() -> None:
    assert decode(exact_uri(torch.rand(3, 2 * LARGEST, LARGEST))).size == (LARGEST // 2, LARGEST)


def test_a_photograph_loses_what_was_written_beside_its_pixels() -> None:
    exif = Image.Exif()
    exif[0x010E] = "my home"
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30)).save(buffer, "JPEG", exif=exif, comment=b"my home")
    shown = decode(photograph_uri(Image.open(buffer)))
    assert not shown.getexif()
    assert "comment" not in shown.info
    assert max(decode(photograph_uri(Image.new("RGB", (3000, 1000)))).size) == 640


def test_a_layer_over_its_image_is_the_overlay() -> None:
    image = torch.full((3, 16, 16), 0.4)
    values = torch.linspace(0, 1, 16).expand(16, 16)
    for table in ("heat", "signed"):
        layer = decode(layer_uri(values, table)).convert("RGBA")
        pixels = torch.from_numpy(np.array(layer)).float().permute(2, 0, 1) / 255
        weight = 0.7 * pixels[3]
        shown = image * (1 - weight) + pixels[:3] * weight
        assert float((shown - overlay(image, values, 0.7, table)).abs().mean()) < 0.02
