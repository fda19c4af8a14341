"""Class activation maps: formulas on a layer's activations A and gradients G, both `[B,K,h,w]`.

Each formula returns the signed map `[B,1,h,w]` before its ReLU. All of them read the one recorded pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from backlight.explain.attribution import Attribution, upsample
from backlight.explain.session import LayerMap, Session

Formula = Callable[[Tensor, Tensor], Tensor]


def gradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Weigh each channel by its mean gradient (Selvaraju et al., 2017, equations 1 and 2).

    >>> gradcam(torch.ones(1, 2, 2, 2), torch.full((1, 2, 2, 2), 0.5))[0, 0, 0]
    tensor([1., 1.])
    """
    return _weighted(gradients.mean((2, 3), keepdim=True), activations)


def gradcam_plus_plus(activations: Tensor, gradients: Tensor) -> Tensor:
    """Weigh positive gradients by the closed form of Chattopadhyay et al. (2018), equation 19.

    >>> gradcam_plus_plus(torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)).sum()
    tensor(0.)
    """
    square, cube = gradients**2, gradients**3
    total = activations.sum((2, 3), keepdim=True)
    alpha = torch.where(gradients != 0, square / (2 * square + total * cube + 1e-6), 0.0)
    return _weighted((alpha * gradients.relu()).sum((2, 3), keepdim=True), activations)


def hirescam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Multiply place by place, which is exact for networks that end linearly (Draelos and Carin, 2020).

    >>> hirescam(torch.ones(1, 2, 2, 2), torch.full((1, 2, 2, 2), -1.0))[0, 0, 0]
    tensor([-2., -2.])
    """
    return _weighted(gradients, activations)


def layercam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Multiply place by place with positive gradients only (Jiang et al., 2021, equation 4).

    >>> layercam(torch.ones(1, 2, 2, 2), torch.full((1, 2, 2, 2), -1.0)).sum()
    tensor(0.)
    """
    return _weighted(gradients.relu(), activations)


def xgradcam(activations: Tensor, gradients: Tensor) -> Tensor:
    """Weigh each channel by its activation-weighted mean gradient (Fu et al., 2020, equation 8).

    >>> xgradcam(torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0))[0, 0, 0]
    tensor([2., 2.])
    """
    total = activations.sum((2, 3), keepdim=True) + 1e-7
    return _weighted((gradients * activations / total).sum((2, 3), keepdim=True), activations)


def eigencam(activations: Tensor, _gradients: Tensor) -> Tensor:
    """Project the activations on their first principal component (Muhammad and Yeasin, 2020).

    A component's sign is arbitrary; here it is the one that goes with the summed activations. The map knows no
    class.

    >>> eigencam(torch.eye(2).view(1, 1, 2, 2), torch.zeros(1)).flatten().sign()
    tensor([ 1., -1., -1.,  1.])
    """
    places = activations.flatten(2).transpose(1, 2)
    places = places - places.mean(1, keepdim=True)
    projected = _first_projection(places)
    sign = (projected * places.sum(2)).sum(1, keepdim=True).sign()
    return (projected * torch.where(sign == 0, 1.0, sign)).unflatten(1, activations.shape[2:])[:, None]


def _first_projection(places: Tensor) -> Tensor:
    # The first singular vector by the smaller of the two products; a full decomposition is far dearer.
    if places.shape[1] > places.shape[2]:
        component = torch.linalg.eigh(places.transpose(1, 2) @ places).eigenvectors[:, :, -1]
        return (places @ component[:, :, None])[:, :, 0]
    values, vectors = torch.linalg.eigh(places @ places.transpose(1, 2))
    return vectors[:, :, -1] * values[:, -1:].clamp(min=0).sqrt()


def from_formula(name: str, formula: Formula) -> Callable[[Session], Attribution]:
    """Make a method of a formula: of one layer, or the mean of the scaled maps of several.

    >>> from_formula("gradcam", gradcam).__name__
    'gradcam'
    """

    def method(session: Session) -> Attribution:
        maps = session.layer_maps()
        raws = [formula(_wide(layer.activations), _wide(layer.gradients)) for layer in maps]
        return class_activation(session, name, maps, raws)

    method.__name__ = name
    method.__doc__ = formula.__doc__
    return method


def guided_gradcam(session: Session) -> Attribution:
    """Multiply guided backpropagation with Grad-CAM, upsampled (Selvaraju et al., 2017, section 3.2)."""
    coarse = from_formula("gradcam", gradcam)(session)
    guided = session.gradient("guided")
    session.recorded.switch.require_hits("guided_gradcam")
    raw = guided * upsample(coarse.attributions.relu(), session.image_size)
    return replace(coarse, attributions=raw, reduction="magnitude", backwards=2)


def class_activation(session: Session, name: str, maps: list[LayerMap], raws: list[Tensor]) -> Attribution:
    """Make one attribution of the maps of one or several layers.

    Several are fused: each after its ReLU, upsampled, divided by its largest value, and averaged.
    """
    described = " + ".join(f"{one.name} {one.layout.describe(one.activations.shape[1])}" for one in maps)
    raw = raws[0] if len(raws) == 1 else torch.stack([_scaled(one, session.image_size) for one in raws]).mean(0)
    return Attribution(name, raw, "positive", session.image_size, described, forwards=1, backwards=1)


def _weighted(weights: Tensor, activations: Tensor) -> Tensor:
    return (weights * activations).sum(1, keepdim=True)


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _scaled(raw: Tensor, size: tuple[int, int]) -> Tensor:
    positive = upsample(raw.relu(), size)
    return positive / positive.amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
