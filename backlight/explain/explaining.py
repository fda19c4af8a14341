"""The one call: explain images by any number of methods from as few passes as they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.targets import Target
from backlight.core.chunks import Chunk, in_chunks
from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.explain.attribution import Attribution, Explanations, finish
from backlight.explain.choosing import AnyMethod, Method, choose_methods
from backlight.explain.layout import choose_layer, last_tokens
from backlight.explain.objective import Contrast, Scorer
from backlight.explain.session import Question, Recording, Session
from backlight.images.resize import Resize


def explain(
    classifier: Classifier,
    images: Tensor,
    target: Target | Contrast | Scorer = None,
    *,
    methods: Sequence[AnyMethod] = ("saliency", "gradcam"),
    layer: str | Sequence[str] | None = None,
    space: str = "pixel",
    quantity: str = "logit",
    random: Random | None = None,
    chunk: int | Chunk | None = None,
) -> Explanations:
    """Explain what in `images` [B,C,H,W] speaks for a class.

    `target` is a label, an index, `top`, `second`, one per image, a `Contrast` of two classes, or a function of
    the logits. `methods` are names of `METHODS`, with options as `smoothgrad:samples=25`, cards, or functions of a
    session. `layer` names what
    class activation maps read (chosen automatically; several are fused). `space` says whether gradients are
    with respect to pixels or to the normalized input, `quantity` whether the logit, the probability or the loss
    is explained. `random` keys all noise by image; `chunk` bounds the images in one pass, by default to
    what suits the machine.

    Raises InputError, UsageError or LayerError before any long work.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> found = explain(Classifier.from_module(net, size=8), torch.rand(2, 3, 8, 8), methods=["gradcam"])
    >>> found["gradcam"].layer, found["gradcam"].heatmap().shape
    ('1 (4,6,6)', torch.Size([2, 8, 8]))
    """
    chosen = choose_methods(methods)
    with torch.inference_mode(False), torch.no_grad():
        images = classifier.check(images).clone()
        if not len(images):
            raise InputError("no images", expected="at least one")
        images = images.double() if classifier.dtype == torch.float64 else images.float()
        classifier = _sized(classifier, images)
        random = random or Random(0, torch.arange(len(images)))
        if len(random) != len(images):
            raise InputError(f"{len(random)} ids for {len(images)} images", expected="one id per image")
        question, recording = Question(_own(target), quantity, space), _recording(classifier, chosen, layer)
        chunk = Chunk.fitting(images) if chunk is None else Chunk.of(chunk)

        def one_batch(rows: slice) -> Explanations:
            asked = question._replace(target=_cut(question.target, rows, len(images)))
            own = random.take(rows)
            session = Session(classifier, images[rows], asked, random=own, recording=recording, chunk=chunk)
            found = [replace(one.card.run(session, **one.options), method=one.label) for one in chosen]
            return session.explanations([finish(one) for one in found])

        with classifier.guard():
            return _joined(list(in_chunks(one_batch, len(images), chunk)))


def _own(target: Target | Contrast | Scorer) -> Target | Contrast | Scorer:
    # A tensor made under inference_mode could not be used in a backward pass.
    return target.clone() if isinstance(target, Tensor) else target


def _sized(classifier: Classifier, images: Tensor) -> Classifier:
    """Return a classifier of unknown input size the images' own, so that layers can be listed."""
    if classifier.size is not None:
        return classifier
    height, width = images.shape[2], images.shape[3]
    return classifier.replace(resize=Resize(min(height, width), (height, width)))


def _recording(classifier: Classifier, chosen: list[Method], layer: str | Sequence[str] | None) -> Recording:
    needs = frozenset().union(*(one.card.needs for one in chosen))
    layers: tuple[str, ...] = ()
    if "layer" in needs:
        named = (layer,) if isinstance(layer, str) else tuple(layer or ())
        layers = named or (choose_layer(classifier),)
    return Recording(
        layers,
        tokens=last_tokens(classifier) if "attention" in needs else "",
        biases="biases" in needs,
        rectify="ReLU" in needs,
        pixels="gradient" in needs,
    )


def _cut(target: Any, rows: slice, count: int) -> Any:
    """Take a batch's part of a target that names one class per image."""
    if isinstance(target, Contrast):
        return Contrast(_cut(target.positive, rows, count), _cut(target.negative, rows, count))
    if target is None or isinstance(target, (str, int)) or callable(target):
        return target
    if isinstance(target, Tensor) and target.numel() == 1:
        return target
    if len(target) != count:
        raise InputError(f"{len(target)} targets for {count} images", expected="one target, or one per image")
    return target[rows]


def _joined(batches: list[Explanations]) -> Explanations:
    """Put the explanations of batches one behind the other; passes are per image."""
    first, count = batches[0], sum(len(one.images) for one in batches)
    targets = [one.target for one in batches if one.target is not None]
    return replace(
        first,
        images=torch.cat([one.images for one in batches]),
        logits=torch.cat([one.logits for one in batches]),
        score=torch.cat([one.score for one in batches]),
        target=torch.cat(targets) if targets else None,
        labels=tuple(label for one in batches for label in one.labels),
        forwards=sum(one.forwards * len(one.images) for one in batches) / count,
        backwards=sum(one.backwards * len(one.images) for one in batches) / count,
        maps={name: _join([one.maps[name] for one in batches]) for name in first.maps},
    )


def _join(parts: list[Attribution]) -> Attribution:
    sizes = [len(part) for part in parts]
    total = sum(sizes)
    gaps = [part.gap for part in parts if part.gap is not None]
    return replace(
        parts[0],
        attributions=torch.cat([part.attributions for part in parts]),
        flat=torch.cat([part.flat for part in parts]),
        finite=torch.cat([part.finite for part in parts]),
        gap=torch.cat(gaps) if gaps else None,
        forwards=sum(part.forwards * size for part, size in zip(parts, sizes, strict=True)) / total,
        backwards=sum(part.backwards * size for part, size in zip(parts, sizes, strict=True)) / total,
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
    )
