"""The one call: passes counted, the model left alone, the same maps at any chunk, errors in one sentence."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import BacklightError, InputError, LayerError, UsageError
from backlight.core.random import Random
from backlight.explain import METHODS, Contrast, explain, method
from backlight.testing import CALLERS, caller, small_net, unchanged
from tests.explain.nets import distinct_relu_net, images, wrap

SIX = ("saliency", "gradient_x_input", "gradcam", "layercam", "guided_backprop", "guided_gradcam")


class Counting(nn.Module):
    """Count the forward passes and, by a gradient hook on the output, the backward ones."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.forwards, self.backwards = net, 0, 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.forwards += 1
        logits = self.net(x) + 0
        if logits.requires_grad:
            logits.register_hook(self._seen)
        return logits

    def _seen(self, _gradient: torch.Tensor) -> None:
        self.backwards += 1


def test_six_methods_cost_one_forward_and_two_backwards() -> None:
    counting = Counting(distinct_relu_net().double())
    classifier = wrap(counting)
    classifier.layers()
    counting.forwards = 0
    found = explain(classifier, images(), methods=SIX)
    assert (counting.forwards, counting.backwards) == (1, 2)
    assert (found.forwards, found.backwards) == (1, 2)
    assert [found[one].backwards for one in SIX] == [1, 1, 1, 1, 1, 2]


@pytest.mark.parametrize("state", CALLERS)
def test_the_model_is_left_as_it_was(state: str) -> None:
    net = small_net()
    classifier = Classifier.from_module(net, size=16)
    x = images().float()
    with caller(net, state), unchanged(net):
        found = explain(classifier, x, 1, methods=SIX)
    plain = explain(Classifier.from_module(small_net(), size=16), x, 1, methods=SIX)
    for name in SIX:
        assert torch.equal(found[name].attributions, plain[name].attributions)
        assert not found[name].attributions.requires_grad
        assert not found[name].attributions.is_inference()


def test_the_model_is_left_as_it_was_after_an_exception() -> None:
    net = small_net()

    def fail(_logits: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    with unchanged(net), pytest.raises(KeyboardInterrupt):
        explain(Classifier.from_module(net, size=16), images().float(), fail, methods=SIX)


@pytest.mark.promises
def test_same_maps_at_any_chunk_and_order() -> None:
    classifier, x = wrap(distinct_relu_net()), images(7)
    target = [0, 1, 2, 3, 4, 0, 1]
    whole = explain(classifier, x, target, methods=SIX)
    order = torch.tensor([6, 2, 0, 5, 1, 4, 3])
    for chunk in (1, 3):
        parts = explain(classifier, x, target, methods=SIX, chunk=chunk)
        mixed = explain(classifier, x[order], torch.tensor(target)[order], methods=SIX, chunk=chunk)
        for name in SIX:
            assert torch.allclose(parts[name].attributions, whole[name].attributions, atol=1e-12)
            assert torch.allclose(mixed[name].attributions, whole[name].attributions[order], atol=1e-12)
    assert whole.target.tolist() == target


def test_targets_are_resolved_in_the_one_pass_and_reported() -> None:
    net = distinct_relu_net()
    classifier = Classifier.from_module(net, size=16, labels=["ant", "bee", "cat", "dog", "elk"])
    x = images().float()
    logits = classifier.logits(x)
    top = explain(classifier, x, methods=["saliency"])
    assert torch.equal(top.target, logits.argmax(1))
    assert torch.allclose(top.score, logits.amax(1), atol=1e-6)
    assert (
        explain(classifier, x, "second", methods=["saliency"]).target.tolist() == logits.topk(2).indices[:, 1].tolist()
    )
    assert explain(classifier, x, "dog", methods=["saliency"]).labels == ("dog",) * 3
    assert explain(classifier, x, Contrast("top", "second"), methods=["saliency"]).score.min() > 0
    everyone = explain(classifier, x, "random", methods=["saliency"], random=Random(3, ["a", "b", "c"])).target
    alone = explain(classifier, x[1:2], "random", methods=["saliency"], random=Random(3, ["b"])).target
    assert everyone[1] == alone[0]


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"methods": ["salience"]}, UsageError, "saliency"),
        ({"methods": []}, UsageError, "at least one"),
        ({"methods": ["saliency:steps=3"]}, UsageError, "no option 'steps'"),
        ({"layer": "7x"}, LayerError, "no layer"),
        ({"target": 99}, InputError, "0 to 4"),
        ({"target": [0, 1]}, InputError, "2 targets for 3 images"),
        ({"space": "pixels"}, UsageError, "pixel"),
        ({"quantity": "logits"}, UsageError, "logit"),
        ({"images": images(channels=1)}, InputError, "3 channels"),
        ({"images": images()[:0]}, InputError, "no images"),
        ({"images": images() * 255}, InputError, "255"),
    ],
)
def test_errors_are_one_sentence(options: dict, kind: type[BacklightError], message: str) -> None:
    options = {"images": images(), "methods": ["gradcam"], **options}
    with pytest.raises(kind, match=message) as caught:
        explain(wrap(distinct_relu_net()), options.pop("images"), options.pop("target", None), **options)
    assert "\n" not in str(caught.value)


def test_a_model_without_gradient_says_so() -> None:
    class Sealed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.detach().flatten(1)[:, :4]

    with pytest.raises(BacklightError, match="not differentiable"):
        explain(Classifier.from_module(Sealed(), size=4), images(1, 4).float(), methods=["saliency"])


def test_every_card_is_filled_in() -> None:
    for name, card in METHODS.items():
        assert card.name == name
        assert card.passes
        assert card.reference
        assert card.avoid
        if name != "captum:NAME":
            assert method(name).label == name


def test_results_show_themselves() -> None:
    net = distinct_relu_net()
    labels = ["<b>", "bee", "cat", "dog", "elk"]
    classifier = Classifier.from_module(net, size=16, labels=labels)
    found = explain(classifier, images().float(), 0, methods=["saliency", "gradcam", "gradient_x_input"])
    page = found._repr_html_()
    assert page.count("data:image/png;base64,") == 12
    assert "<b>" not in page
    assert "&lt;b&gt;" in page
    assert len(found.figure().axes) == 12
    assert set(found) == {"saliency", "gradcam", "gradient_x_input"}
    with pytest.raises(InputError, match="saliency"):
        found["salience"]


def test_reductions_and_flags() -> None:
    from backlight.explain.attribution import Attribution, finish, reduce_map

    raw = torch.tensor([[[[1.0, 2.0], [2.0, 4.0]], [[-3.0, 0.0], [0.0, 1.0]]]])
    assert reduce_map(raw, "magnitude", (2, 2)).tolist() == [[[3, 2], [2, 4]]]
    assert reduce_map(raw, "sum", (2, 2)).tolist() == [[[-2, 2], [2, 5]]]
    assert reduce_map(raw, "relative", (2, 2)).tolist() == [[[0, 4], [4, 7]]]
    with pytest.raises(InputError, match="magnitude"):
        reduce_map(raw, "magnitud", (2, 2))
    level = torch.full((1, 1, 2, 2), 5.0)
    level[0, 0, 0, 0] += 1e-6
    for reduction in ("sum", "relative", "positive"):
        assert bool(finish(Attribution("m", level, reduction, (2, 2))).flat)
    broken = finish(Attribution("m", torch.full((1, 1, 2, 2), float("nan")), "sum", (2, 2)))
    assert not bool(broken.finite)
    assert "NaN" in broken.notes[0]
