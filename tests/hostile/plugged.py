"""Pages on which words of plug-ins and of strangers' files end: one command for each, hostile or plain."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from backlight import tasks
from backlight.attack import ATTACKS, TRANSFER_PARTS, Challenge, RobustnessRequest, TransferPart, TransferRequest
from backlight.attack.card import AttackCard
from backlight.attack.transfer.parts import FunctionView, transfer_card
from backlight.audit import CHECKS, DETECTORS, CheckCard, DetectorCard, Examined, Finding, Shown, scores
from backlight.audit.proxies import PROXIES, ProxyCard
from backlight.core.plugins import Registry, key_of
from backlight.corrupt import CORRUPTIONS
from backlight.corrupt.registry import CorruptionCard
from backlight.data import load_data
from backlight.data.sources import DATA_SOURCES, DataSource
from backlight.explain import METHODS
from backlight.explain.registry import Card
from backlight.explain.request import Request
from backlight.explain.scores import METRICS, Metric
from backlight.gate.keys import write_key
from backlight.models.networks import NETWORKS, Network
from backlight.models.registry import MODEL_SOURCES
from backlight.models.sidecar import write_passport
from backlight.page.charts import bar_chart, interval_chart
from backlight.report.tables import TABLE_SECTIONS, TableSection
from backlight.tasks.gating import GateRequest
from backlight.tasks.starting import Start
from backlight.train import ADVERSARIES, AdversaryCard
from backlight.train.losses import LOSSES, LossCard
from tests.hostile.pages import Setting, network, slices

SPELLED = "\"><script>alert(1)<svg onload=alert(2)>' onmouseover='alert(3)' {{7*7}} &lt;b&gt; \u202egnp"
"""What can stand for a name in a specification, which is parsed."""


@contextmanager
def plugged(*brought: tuple[Registry[Any], Sequence[Any]], alone: bool = False) -> Iterator[None]:
    """Let registries know cards as if installed packages had brought them, beside the built-in ones or alone."""
    with pytest.MonkeyPatch.context() as patch:
        for registry, cards in brought:
            known = ({} if alone else dict(registry.built_in)) | {card.name: card for card in cards}
            patch.setattr(registry, "built_in", known)
            patch.setattr(registry, "_by_key", {key_of(name): card for name, card in known.items()})
        yield


def spelled(at: Setting, place: int) -> str:
    return f"{place} {SPELLED if at.names.hostile else 'x' * len(SPELLED)}"


def gradient(session: Any) -> Tensor:
    return session.images - 0.4


def brighter(challenge: Challenge) -> Tensor:
    return (challenge.images + 0.03).clamp(0, 1)


def half(judge: Any, maps: Tensor) -> Tensor:
    return torch.full((len(maps),), 0.5, dtype=torch.float64)


def picture_methods(at: Setting) -> tasks.Outcome:
    """Explain pictures and report on them by methods of plug-ins."""
    cards = (Card(at.names.word(1), gradient), Card(at.names.word(2), lambda session: session.images))
    request = tasks.ExplainRequest(at.pictures, at.classifier, cards, out=at.out("plugged maps"))
    return tasks.explain(request)


def picture_attack(at: Setting) -> tasks.Outcome:
    card = AttackCard(at.names.word(1), brighter, reference=at.names.word(2), avoid=at.names.word(3))
    return tasks.attack(tasks.AttackRequest(at.pictures, at.classifier, card, out=at.out("plugged attack")))


def report(at: Setting) -> tasks.Outcome:
    """Report with a method of a plug-in and a section whose title is hostile."""
    section = TableSection(
        spelled(at, 1), at.names.word(2), frozenset({"label"}), "skipped.html",
        lambda table, labels: {"failed": [(at.names.word(3), at.names.word(4))]},
    )  # fmt: skip
    with plugged((TABLE_SECTIONS, [section])):
        methods: Any = (Card(at.names.word(1), gradient), "saliency")
        return tasks.report(
            tasks.ReportRequest(at.pictures[:1], at.classifier, at.asked, methods, out=at.out("plugged report"))
        )


def explain_data(at: Setting) -> tasks.Outcome:
    metric = Metric(at.names.word(2), half, "higher", "", at.names.word(3), at.names.word(4))
    request = tasks.ExplainDataRequest(
        at.asked, at.classifier, Request((Card(at.names.word(1), gradient),)), (metric,), out=at.out("plugged scores")
    )
    return tasks.explain_data(request)


def robustness(at: Setting) -> tasks.Outcome:
    card = AttackCard(at.names.word(1), brighter, passes=at.names.word(2), reference=at.names.word(3))
    request = tasks.RobustnessOfDataRequest(
        at.asked, at.classifier, RobustnessRequest(card, eps="8/255"), out=at.out("plugged robustness")
    )
    return tasks.robustness(request)


def corruptions(at: Setting) -> tasks.Outcome:
    def darker(images: Tensor, constants: Any, random: Any) -> Tensor:
        return images * 0.5

    card = CorruptionCard(spelled(at, 1), darker, at.names.word(2), at.names.word(3), at.names.word(4), counted=False)
    with plugged((CORRUPTIONS, [card])):
        kinds: Any = (card, "fog")
        return tasks.corruptions(
            tasks.CorruptionsRequest(at.asked, at.classifier, kinds=kinds, severities="5", out=at.out("plugged kinds"))
        )


def transfer(at: Setting) -> tasks.Outcome:
    def mirrored(images: Tensor, random: Any, draw: int) -> Tensor:
        return images.flip(3)

    card = TransferPart(spelled(at, 1), FunctionView(mirrored), at.names.word(2), at.names.word(3))
    with plugged((TRANSFER_PARTS, [card])):
        asked = TransferRequest((transfer_card(f"mi+{card.name}"),))
        models = at.classifier, at.classifier
        return tasks.transfer(tasks.TransferOfDataRequest(at.asked, models, asked, out=at.out("plugged transfer")))


def found_by(at: Setting) -> Callable[[Examined], Sequence[Finding]]:
    """Return a check that fills every field of its findings with words."""
    word = at.names.word

    def check(examined: Examined) -> Sequence[Finding]:
        ids = examined.kept.ids
        shown = tuple(
            Shown(one, word(place), group=place // 2, map=torch.rand(16, 16)) for place, one in enumerate(ids[:4])
        )
        drawn = {
            word(5): bar_chart([(word(6), 0.5)], alt=word(7)),
            word(8): interval_chart([(word(9), 0.4, 0.3, 0.5, False)], alt=word(10)),
        }
        findings = [
            Finding(
                word(place), section, 0.5, (0.4, 0.6), 20, "bad", word(11), shown, word(12), word(13), gain=0.5,
                tables={word(14): {word(15): [word(16)], "id": [word(17)]}}, charts=drawn,
                images={word(18): torch.rand(3, 16, 16)},
            )
            for place, section in ((20, "accuracy"), (21, word(22)))
        ]  # fmt: skip
        return findings

    return check


def audit(at: Setting) -> tasks.Outcome:
    """Audit with a check, a detector and a kind of unknown pictures of plug-ins, held against a file of gates."""
    word = at.names.word
    own = [card for card in CHECKS.built_in.values() if card.section in ("unknown", "slices")]
    check = CheckCard(word(1), word(2), found_by(at), reference=word(3), avoid=word(4))
    absent = CheckCard(word(23), "accuracy", found_by(at), depth="deep")
    detector = DetectorCard(word(5), scores.energy, reference=word(6), avoid=word(7))
    proxy = ProxyCard(word(8), lambda images, random: 1 - images, word(9), word(10))
    gates = at.out(at.names.file(3) + ".toml")
    rows = (("findings", "judgement", '"look"'), (write_key((word(20),)), "max", "0.1"))
    gates.write_text(
        "".join(f"[[gate]]\nmetric = {json.dumps(key)}\n{bound} = {value}\n" for key, bound, value in rows)
    )
    with plugged((CHECKS, [*own, check, absent]), (DETECTORS, [detector]), (PROXIES, [proxy]), alone=True):
        request = tasks.AuditRequest(
            at.asked, at.classifier, gates=GateRequest(gates), slices=(slices(at),), out=at.out("plugged audit")
        )
        return tasks.audit(request)


class Small(nn.Module):
    """A network of a plug-in."""

    def __init__(self, classes: int, size: tuple[int, int], channels: int) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, images: Tensor) -> Tensor:
        return self.inner(images)


def train(at: Setting) -> tasks.Outcome:
    """Train a network of a plug-in on its data by its loss and adversary."""
    data = DataSource(spelled(at, 1), lambda: load_data("shapes:n=40,size=16,classes=3", split="all"))
    net = Network(spelled(at, 2), Small, (16, 16), 3)
    loss = LossCard(spelled(at, 3), lambda logits, labels: logits.logsumexp(1) - logits[range(len(labels)), labels])
    adversary = AdversaryCard(spelled(at, 4), attack=lambda classifier, images, labels, random: 1 - images)
    with plugged((DATA_SOURCES, [data]), (NETWORKS, [net]), (LOSSES, [loss]), (ADVERSARIES, [adversary])):
        request = tasks.TrainRequest(
            data.name,
            at.out("plugged run"),
            Start(net.name),
            settings=("epochs=1", "label_smoothing=0", f"loss={loss.name}", f"adversary={adversary.name}"),
        )
        return tasks.train(request)


def other_source(at: Setting) -> tasks.Outcome:
    """Evaluate a model of a plug-in, with weights in a file beside which a passport lies."""
    folder = at.out(at.names.file(5))
    folder.mkdir()
    module = network()
    words = tuple(map(at.names.file, range(3)))
    write_passport(at.classifier.replace(module=module, labels=words, name=at.names.word(3)), folder)
    weights = folder / f"{at.names.file(6)}.safetensors"
    safetensors.torch.save_file(module.state_dict(), weights)
    source = MODEL_SOURCES.wrap and MODEL_SOURCES.wrap(spelled(at, 4), lambda text: network(1))
    with plugged((MODEL_SOURCES, [source])):
        model = tasks.ModelRequest(f"{spelled(at, 4)}:{at.names.word(5)}", weights=weights, size=(16, 16))
        return tasks.evaluate(tasks.EvaluateRequest(at.asked, (model,), out=at.out("plugged model")))


PLUGGED: dict[str, tuple[tuple[Registry[Any], ...], Callable[[Setting], tasks.Outcome]]] = {
    "explain by plug-ins": ((METHODS,), picture_methods),
    "attack by a plug-in": ((ATTACKS,), picture_attack),
    "report by plug-ins": ((METHODS, TABLE_SECTIONS), report),
    "explain --data by plug-ins": ((METHODS, METRICS), explain_data),
    "robustness by a plug-in": ((ATTACKS,), robustness),
    "transfer by a plug-in": ((TRANSFER_PARTS,), transfer),
    "corruptions by a plug-in": ((CORRUPTIONS,), corruptions),
    "audit by plug-ins": ((CHECKS, DETECTORS, PROXIES), audit),
    "train by plug-ins": ((DATA_SOURCES, NETWORKS, LOSSES, ADVERSARIES), train),
    "evaluate a model of a plug-in": ((MODEL_SOURCES,), other_source),
}
