"""The one place that takes gradients, and says where there are none to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from backlight.classifier.recording import LOGITS
from backlight.classifier.returned import named_as_the_models
from backlight.core.errors import ModelError

if TYPE_CHECKING:
    from backlight.classifier.classifier import Classifier


def differentiate(
    value: Tensor, inputs: Sequence[Tensor], *, logits: Tensor | None = None, retain_graph: bool = False
) -> list[Tensor | None]:
    """Differentiate the sum of `value` with respect to each of `inputs`; None for one that it does not depend on.

    `logits`, where the value is made of them, must depend on some of the inputs.

    Raises ModelError where they, or the value, depend on none: outputs of int8 layers, detached ones, argmax, rounding
    by way of integers, and anything that went through NumPy; and for whatever the model raises in its backward pass.

    >>> x = torch.ones(2, requires_grad=True)
    >>> differentiate((x * 3).sum(), [x])
    [tensor([3., 3.])]
    """
    if not value.requires_grad or (logits is not None and not depends_on(logits, inputs)):
        raise independent()
    # Under a caller's no_grad too.
    with torch.enable_grad(), named_as_the_models("asked for its gradient"):
        found = torch.autograd.grad(value.sum(), list(inputs), retain_graph=retain_graph, allow_unused=True)
    if all(one is None for one in found):
        raise independent()
    return list(found)


def differentiate_one(
    value: Tensor, images: Tensor, *, logits: Tensor | None = None, retain_graph: bool = False
) -> Tensor:
    """Differentiate the sum of `value` with respect to `images`, as `differentiate` does.

    >>> x = torch.ones(2, requires_grad=True)
    >>> differentiate_one(x.square().sum(), x)
    tensor([2., 2.])
    """
    (found,) = differentiate(value, [images], logits=logits, retain_graph=retain_graph)
    assert found is not None
    return found


def depends_on(output: Tensor, inputs: Sequence[Tensor]) -> bool:
    """Whether a gradient of `output` can reach one of `inputs`, by the recorded graph and without a backward pass.

    >>> x = torch.ones(2, requires_grad=True)
    >>> depends_on(x * 2, [x]), depends_on(x.detach() * 2, [x])
    (True, False)
    """
    wanted = {id(one.grad_fn) for one in inputs if one.grad_fn is not None}
    leaves = {id(one) for one in inputs if one.grad_fn is None}
    if any(output is one for one in inputs):
        return True
    waiting, seen = [output.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if id(node) in wanted or id(getattr(node, "variable", None)) in leaves:
            return True
        # An operation without a derivative, as of quantized layers, is part of the graph and passes nothing on.
        if "NotImplemented" not in node.name():
            waiting += [following for following, _ in node.next_functions]
    return False


def independent() -> ModelError:
    """Return the error that says that no gradient leads from the logits to the images."""
    return ModelError(
        "the model is not differentiable: by gradients its logits do not depend on the images",
        expected="a model without int8 layers, detach(), no_grad, argmax or NumPy between images and logits",
        hint="what needs no gradient: occlusion, rise, lime or kernelshap; the attack square",
    )


def reach_images(classifier: Classifier, images: Tensor) -> bool:
    """Whether gradients lead from a classifier's logits to images `[B,C,H,W]` in `[0,1]`, told by one pass.

    >>> from torch import nn
    >>> from backlight.classifier import Classifier
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> reach_images(Classifier.from_module(net, size=2), torch.rand(1, 3, 2, 2))
    True
    """
    with torch.inference_mode(False), torch.enable_grad():
        watched = images.detach().clone().requires_grad_()
        try:
            logits = classifier.record(watched, (LOGITS,))[LOGITS]
        except ModelError:  # it takes no pictures that are watched, as what goes through NumPy
            return False
    return logits.requires_grad and depends_on(logits, [watched])
