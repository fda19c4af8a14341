"""SmoothGrad against the explicit loop."""

from __future__ import annotations

import pytest
import torch

from backlight.core.errors import UsageError
from backlight.core.random import Random
from backlight.explain import explain
from backlight.testing import unchanged
from tests.explain.nets import STD, distinct_relu_net, images, wrap


@pytest.mark.parametrize("space", ["pixel", "input"])
@pytest.mark.parametrize("kind", ["mean", "squared", "variance"])
def test_equals_the_explicit_loop(kind: str, space: str) -> None:
    net, x = distinct_relu_net(), images()
    classifier = wrap(net)
    spec = f"smoothgrad:samples=4,level=0.2,kind={kind}"
    random = Random(7, [5, 8, 2])
    with unchanged(net):
        found = explain(classifier, x, 1, methods=[spec], space=space, random=random, chunk=5)[spec].attributions
    std = torch.tensor(STD, dtype=torch.float64).view(1, 3, 1, 1)
    values = classifier.normalize(x) if space == "input" else x
    gradients = []
    for sample in range(4):
        copies = values.clone()
        for row in range(3):
            noise = random.take(torch.tensor([row])).fork(("smoothgrad", sample)).normal(3, 16, 16, dtype=torch.float64)
            copies[row] += 0.2 * (values[row].max() - values[row].min()) * noise[0]
        copies = copies.requires_grad_(True)
        logits = net(copies) if space == "input" else net(classifier.normalize(copies))
        gradients.append(torch.autograd.grad(logits[:, 1].sum(), copies)[0])
    stack = torch.stack(gradients)
    expected = {
        "mean": stack.mean(0),
        "squared": (stack**2).mean(0),
        "variance": (stack**2).mean(0) - stack.mean(0) ** 2,
    }[kind]
    assert torch.allclose(found, expected, atol=1e-10)
    assert STD[0] != float(std[0, 1])


def test_noise_is_keyed_by_image_and_scaled_to_its_range() -> None:
    classifier, x = wrap(distinct_relu_net()), images(4)
    random = Random(0, ["a", "b", "c", "d"])
    methods = ["smoothgrad:samples=3"]
    whole = explain(classifier, x, 1, methods=methods, random=random)[methods[0]].attributions
    alone = explain(classifier, x[2:3], 1, methods=methods, random=Random(0, ["c"]), chunk=1)[methods[0]].attributions
    assert torch.allclose(whole[2:3], alone, atol=1e-12)
    flat = torch.full((1, 3, 16, 16), 0.5, dtype=torch.float64)
    both = explain(classifier, flat, 1, methods=["saliency", *methods])
    assert torch.allclose(both["saliency"].attributions, both[methods[0]].attributions, atol=1e-12)


@pytest.mark.parametrize("spec", ["smoothgrad:kind=means", "smoothgrad:samples=0", "smoothgrad:level=-1"])
def test_options_that_make_no_sense(spec: str) -> None:
    with pytest.raises(UsageError):
        explain(wrap(distinct_relu_net()), images(), methods=[spec])
