"""The one call: explain images by any number of methods from as few passes as they need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.targets import Target
from backlight.engine.chunks import Chunk, in_chunks
from backlight.errors import InputError
from backlight.explain.attribution import Attribution, Explanations, finish
from backlight.explain.choosing import AnyMethod, Method, choose_methods
from backlight.explain.layout import choose_layer, last_tokens
from backlight.explain.objective import Contrast, Scorer
from backlight.explain.session import Question, Recording, Session
from backlight.images.resize import Resize
from backlight.random import Random


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
        plan = _Plan(
            classifier,
            Question(_own(target), quantity, space),
            chosen,
            _watch(classifier, chosen, layer),
            Chunk.fitting(images) if chunk is None else Chunk.of(chunk),
        )
        with classifier.guard():
            answers = list(in_chunks(lambda rows: plan.run(images, random, rows), len(images), plan.chunk))
        return _merge(plan, images, answers)


class _Answer(NamedTuple):
    """What one batch of images gave; `forwards` and `backwards` count image passes."""

    logits: Tensor
    score: Tensor
    target: Tensor | None
    forwards: int
    backwards: int
    maps: list[Attribution]


@dataclass(frozen=True)
class _Plan:
    """Everything that is the same for all batches of a call."""

    classifier: Classifier
    question: Question
    methods: list[Method]
    watch: Recording
    chunk: Chunk

    def run(self, images: Tensor, random: Random, rows: slice) -> _Answer:
        session = Session(
            self.classifier,
            images[rows],
            self.question._replace(target=_cut(self.question.target, rows, len(images))),
            random=random.take(rows),
            watch=self.watch,
            chunk=self.chunk,
        )
        maps = [finish(replace(one.card.run(session, **one.options), method=one.label)) for one in self.methods]
        target = session.objective.target
        return _Answer(session.logits, session.score, target, session.forwards, session.backwards, maps)


def _own(target: Target | Contrast | Scorer) -> Target | Contrast | Scorer:
    # A tensor made under inference_mode could not be used in a backward pass.
    return target.clone() if isinstance(target, Tensor) else target


def _sized(classifier: Classifier, images: Tensor) -> Classifier:
    """Return a classifier of unknown input size the images' own, so that layers can be listed."""
    if classifier.size is not None:
        return classifier
    height, width = images.shape[2], images.shape[3]
    return classifier.replace(resize=Resize(min(height, width), (height, width)))


def _watch(classifier: Classifier, chosen: list[Method], layer: str | Sequence[str] | None) -> Recording:
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


def _merge(plan: _Plan, images: Tensor, answers: list[_Answer]) -> Explanations:
    targets = [answer.target for answer in answers if answer.target is not None]
    target = torch.cat(targets) if targets else None
    maps = [_join([answer.maps[place] for answer in answers]) for place in range(len(plan.methods))]
    return Explanations(
        images=images,
        logits=torch.cat([answer.logits for answer in answers]),
        score=torch.cat([answer.score for answer in answers]),
        target=target,
        labels=tuple(plan.classifier.label(index) for index in target.tolist()) if target is not None else (),
        quantity=plan.question.quantity,
        space=plan.question.space,
        forwards=sum(answer.forwards for answer in answers) / len(images),
        backwards=sum(answer.backwards for answer in answers) / len(images),
        maps={one.method: one for one in maps},
        head=plan.classifier.head,
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
