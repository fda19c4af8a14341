"""What holds for every function: objectives rise, batches equal single runs, sizes, models left alone, errors."""

from collections.abc import Callable

import pytest
import torch

from backlight.classifier import Classifier
from backlight.core.errors import InputError, LayerError, UsageError
from backlight.testing import caller, small_net, unchanged
from backlight.visualize import (
    Lucid,
    Pictures,
    StylePreset,
    Watch,
    class_image,
    dream,
    feature_image,
    fooling_image,
    invert,
    style_transfer,
)
from tests.visualize.nets import pictures, toy

Maker = Callable[..., Pictures]
STILL = Lucid(lr=0.01, jitter=0.0, degrees=0.0, scale=(1.0, 1.0))
SOFT = StylePreset(relative=True, lr=0.01, steps=3)


def _style(classifier: Classifier, images: torch.Tensor, **more: object) -> Pictures:
    stroke = pictures(1, images.shape[1], (24, 20), seed=9)[0].to(images.dtype)
    return style_transfer(classifier, images, [stroke], preset=SOFT, **more)


MAKERS: dict[str, Maker] = {
    "lucid": lambda c, x, **more: class_image(c, [1, 2], steps=3, size=x.shape[2:], preset=STILL, **more),
    "cs231n": lambda c, x, **more: class_image(c, [1, 2], preset="cs231n", steps=3, size=x.shape[2:], **more),
    "feature": lambda c, x, **more: feature_image(c, "4", [1, 2], steps=3, size=x.shape[2:], preset=STILL, **more),
    "fool": lambda c, x, **more: fooling_image(c, x, "least-likely", steps=3, **more),
    "fool classic": lambda c, x, **more: fooling_image(c, x, "least-likely", preset="cs231n", steps=3, **more),
    "invert": lambda c, x, **more: invert(c, x, "4", steps=3, **more),
    "dream": lambda c, x, **more: dream(c, x, "4", octaves=1, steps=3, jitter=2, **more),
    "style": _style,
}
every_maker = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@every_maker
def test_the_objective_rises_within_three_steps(make: Maker) -> None:
    made = make(toy(), pictures())
    assert bool((made.objective > made.start).all())
    assert float(made.images.min()) >= 0
    assert float(made.images.max()) <= 1


@every_maker
@pytest.mark.parametrize("state", ["plain", "inference_mode"])
def test_the_model_is_left_alone(make: Maker, state: str) -> None:
    net = small_net()
    classifier = Classifier.from_module(net, mean=(0.5,) * 3, std=(0.25,) * 3, size=16)
    images = pictures(size=(16, 16)).float()
    with unchanged(net), caller(net, state):
        assert len(make(classifier, images)) == 2


@every_maker
@pytest.mark.parametrize(("channels", "size"), [(1, (32, 32)), (4, (20, 33)), (3, (97, 131))])
def test_any_size_and_number_of_channels(make: Maker, channels: int, size: tuple[int, int]) -> None:
    classifier = toy(channels, norm=False, dtype=torch.float32)
    made = make(classifier, pictures(2, channels, size).float())
    assert made.images.shape == (2, channels, *size)
    assert bool(made.images.isfinite().all())


def test_512_pixels() -> None:
    made = class_image(toy(dtype=torch.float32), [0], steps=1, size=512)
    assert made.images.shape == (1, 3, 512, 512)


@pytest.mark.parametrize("name", ["fool", "invert", "dream", "style"])
def test_a_batch_equals_its_first_picture_alone(name: str) -> None:
    images = pictures(3)
    together, alone = MAKERS[name](toy(), images), MAKERS[name](toy(), images[:1])
    assert torch.allclose(together.images[:1], alone.images, atol=1e-9)
    assert together.stopped[0] == alone.stopped[0]


@pytest.mark.parametrize("preset", ["lucid", "cs231n"])
def test_a_class_image_depends_on_its_class_alone(preset: str) -> None:
    together = class_image(toy(), [3, 0, 1], preset=preset, steps=4)
    alone = class_image(toy(), [1], preset=preset, steps=4)
    assert torch.allclose(together.images[2], alone.images[0], atol=1e-9)
    twice = class_image(toy(), [1, 1], preset=preset, steps=4).images
    assert not torch.allclose(twice[0], twice[1])


def test_frames_are_kept_or_handed_over() -> None:
    kept = class_image(toy(), [0], steps=6, watch=Watch(every=2)).frames
    assert [frame.label for frame in kept] == ["iteration 2 / 6", "iteration 4 / 6", "iteration 6 / 6"]
    seen: list[int] = []
    made = class_image(toy(), [0], steps=6, watch=Watch(3, lambda frame: seen.append(frame.t)))
    assert seen == [3, 6]
    assert made.frames == ()
    assert len(MAKERS["style"](toy(), pictures(), watch=Watch(1)).frames) == 3


@pytest.mark.parametrize("wrong", ["99", "layer9", "relu"])
def test_unknown_layers_name_what_there_is(wrong: str) -> None:
    for make in (lambda: feature_image(toy(), wrong, 0), lambda: invert(toy(), pictures(), wrong)):
        with pytest.raises(LayerError, match=wrong):
            make()
    with pytest.raises(LayerError, match=wrong):
        dream(toy(), pictures(), wrong)
    with pytest.raises(LayerError, match=wrong):
        style_transfer(toy(), pictures(), [pictures()[0]], preset=StylePreset(style_layers=(wrong,)))


def test_wrong_use() -> None:
    classifier, images = toy(), pictures()
    with pytest.raises(InputError, match="channels"):
        feature_image(classifier, "4", 12)
    with pytest.raises(InputError, match="class 4"):
        class_image(classifier, [4])
    with pytest.raises(InputError, match="no labels"):
        class_image(classifier, [])
    with pytest.raises(UsageError, match="preset"):
        class_image(classifier, [0], preset="lucidd")
    with pytest.raises(UsageError, match="preset"):
        style_transfer(classifier, images, [images[0]], preset="monet")
    with pytest.raises(InputError, match="confidence"):
        fooling_image(classifier, images, 1, confidence=1.0)
    with pytest.raises(InputError, match="octaves"):
        dream(classifier, images, "4", octaves=0)
    with pytest.raises(InputError, match="steps"):
        class_image(classifier, [0], steps=0)
    with pytest.raises(InputError, match="no styles"):
        style_transfer(classifier, images, [])
