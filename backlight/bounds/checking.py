"""Whether a network is what its list of steps says: seen on a private copy before anything is bounded."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from backlight.bounds.inputs import normalized
from backlight.bounds.steps import SMOOTH, Step, run_steps, steps_of
from backlight.classifier import Classifier
from backlight.core.errors import ModelError
from backlight.core.random import Random

Steps = tuple[Step, ...]


def private_steps(classifier: Classifier) -> Steps:
    """List the steps of a copy of the classifier's module, in double precision and evaluation mode.

    Raises LayerError or ModelError for a network that no bounds are known for.

    >>> from torch import nn
    >>> len(private_steps(Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)))
    3
    """
    return steps_of(_private(classifier))


def checked_steps(classifier: Classifier, image: Tensor) -> tuple[Steps, int]:
    """Return `private_steps`, seen to compute what the classifier answers, for pictures alone and together.

    `image` `[1,C,H,W]` in [0,1] and random ones are looked at. Beside the steps stands the number of values of the
    largest tensor between two of them, of one picture. Raises as `private_steps`, and ModelError for a network that
    computes something else.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> checked_steps(classifier, torch.zeros(1, 3, 2, 2))[1]
    12
    """
    # What is made under inference_mode could not be carried backwards.
    with torch.inference_mode(False), torch.no_grad():
        module = _private(classifier)
        steps = steps_of(module)
        drawn = Random("certify", list(range(3))).uniform(*image.shape[1:]).to(classifier.device)
        images = torch.cat([image, drawn.to(image.dtype)])
        values = normalized(classifier, images.double())
        try:
            together = run_steps(steps, values)
            alone = [run_steps(steps, value[None])[-1] for value in values]
        except RuntimeError as error:
            raise ModelError(f"its layers cannot be run one by one ({error})", hint=SMOOTH) from error
        found, logits = module(values.clone()), classifier.logits(images).double()
    if any(len(one) != len(images) for one in together):
        raise ModelError("a layer does not return a row for each picture", hint=SMOOTH)
    if not _same(torch.cat(alone), together[-1], 1e-9):
        raise ModelError("its answer to a picture depends on the others of the batch", hint=SMOOTH)
    if not isinstance(found, Tensor) or not (_same(found, together[-1], 1e-9) and _same(found, logits, 1e-3)):
        raise ModelError(
            "its logits are not what its layers return, one after the other",
            expected="a network that returns one logit per class",
            hint=SMOOTH,
        )
    return steps, max(one[0].numel() for one in together)


def _private(classifier: Classifier) -> torch.nn.Module:
    return copy.deepcopy(classifier.module).double().eval().requires_grad_(False)


def _same(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    return found.shape == expected.shape and torch.allclose(found, expected, 10 * tolerance, tolerance, equal_nan=True)
