"""Every adversary against its definition, written out by hand, and the rule of statistics in each of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.testing import unchanged
from backlight.train import ADVERSARIES, AdversaryCard, read_adversary
from backlight.train.adversaries import COMMON
from backlight.train.awp import perturbed
from backlight.train.pairs import mart, trades
from backlight.train.recipe import Recipe, read_recipe
from backlight.train.trainer import Trainer
from tests.train.nets import BATCH, IMAGES, KEYS, LABELS, PLAIN, doubled

EPS = 8 / 255


def noise(number: int, stream: str = "start") -> Random:
    """Give the numbers that the pixel loop draws its start from, in the step of a number."""
    return Random((((0, "adversary"), "start", number), stream), KEYS)


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none")


def attacked(text: str, classifier: Classifier, number: int = 0, strength: float = 1.0) -> Tensor:
    random = Random((0, "adversary"), KEYS, number)
    with unchanged(classifier.module):
        return read_adversary(text).attack(classifier, IMAGES, LABELS, random, strength=strength)


def climb(
    classifier: Classifier, loss: Callable[[Tensor], Tensor], start: Tensor, steps: int, size: float, eps: float | None
) -> Tensor:
    """Take signed steps in evaluation mode; `eps` None projects on the box alone."""

    def inside(images: Tensor) -> Tensor:
        return (images if eps is None else images.clamp(IMAGES - eps, IMAGES + eps)).clamp(0, 1)

    moved = inside(start)
    with classifier.guard():
        for _ in range(steps):
            leaf = moved.clone().requires_grad_()
            moved = inside(moved + size * torch.autograd.grad(loss(classifier.logits(leaf)).sum(), leaf)[0].sign())
    return moved


# ---- losses of pairs


def by_hand(name: str, clean: Tensor, other: Tensor, labels: Tensor, beta: float) -> Tensor:
    """Write the losses by probabilities, picture by picture."""
    losses = []
    for z, w, y in zip(clean, other, labels.tolist(), strict=True):
        p, q = (one.exp() / one.exp().sum() for one in (z, w))
        kl = sum(p[k] * (p[k] / q[k]).log() for k in range(len(p)))
        if name == "trades":
            losses.append(-p[y].log() + beta * kl)
        else:
            best = max(q[k] for k in range(len(q)) if k != y)
            losses.append(-q[y].log() - (1.0001 - best + 1e-12).log() + beta * kl * (1.0000001 - p[y]))
    return torch.stack(losses)


@pytest.mark.parametrize(("name", "function", "beta"), [("trades", trades, 6.0), ("mart", mart, 5.0)])
def test_losses_of_pairs_and_their_gradients_by_hand(name: str, function: Callable[..., Tensor], beta: float) -> None:
    clean, other = (3 * Random(seed, KEYS).normal(4, dtype=torch.float64) for seed in (1, 2))
    clean.requires_grad_()
    other.requires_grad_()
    found = function(clean, other, LABELS, cross_entropies, beta=beta)
    expected = by_hand(name, clean, other, LABELS, beta)
    assert torch.allclose(found, expected, rtol=1e-12)
    for mine, theirs in zip(
        *(torch.autograd.grad(one.sum(), (clean, other)) for one in (found, expected)), strict=True
    ):
        assert torch.allclose(mine, theirs, rtol=1e-10, atol=1e-12)
        assert float(mine.abs().min()) > 0
    assert torch.autograd.gradcheck(lambda x, y: function(x, y, LABELS, cross_entropies, beta=beta), (clean, other))


@pytest.mark.parametrize("function", [trades, mart])
def test_losses_of_pairs_stay_finite_where_a_model_is_certain(function: Callable[..., Tensor]) -> None:
    sure = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    loss = function(sure, sure.flip(0), torch.tensor([0, 0]), cross_entropies)
    assert bool(loss.isfinite().all())
    assert bool(torch.autograd.grad(loss.sum(), sure)[0].isfinite().all())


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("name", ["trades", "mart"])
def test_a_step_from_pairs_by_hand(name: str, parts: int) -> None:
    text = f"{name}:eps=8/255,steps=2"
    classifier = doubled(norm=False)
    plain = copy.deepcopy(classifier.module)
    found = attacked(text, classifier)
    both = plain(classifier.normalize(torch.cat([IMAGES, found])))
    loss = by_hand(name, both[:6], both[6:], LABELS, 6.0 if name == "trades" else 5.0).mean()
    expected = [
        one - 0.1 * grad for one, grad in zip(plain.parameters(), torch.autograd.grad(loss, list(plain.parameters())))
    ]
    Trainer(classifier, replace(PLAIN, adversary=text, accumulate=parts), seed=0).step(BATCH, 0, 0.1)
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(classifier.module.parameters(), expected))


# ---- inner attacks


def test_trades_leaves_the_clean_prediction_by_plain_lines() -> None:
    classifier = doubled()
    with torch.no_grad(), classifier.guard():
        clean = classifier.logits(IMAGES).log_softmax(1)

    def divergence(logits: Tensor) -> Tensor:
        return (clean.exp() * (clean - logits.log_softmax(1))).sum()

    start = IMAGES + 0.001 * noise(4).normal(3, 8, 8, dtype=torch.float64)
    expected = climb(classifier, divergence, start, 3, 2.5 / 3 * EPS, EPS)
    found = attacked("trades:eps=8/255,steps=3", classifier, number=4)
    # Near the clean picture the divergence is flat: a few signs hang on the last bit.
    assert float(((found - expected).abs() < 1e-9).double().mean()) > 0.99
    assert not torch.equal(found, attacked("mart:eps=8/255,steps=3", classifier, number=4))


def test_mart_leaves_the_label_from_the_start_of_trades() -> None:
    classifier = doubled()
    start = IMAGES + 0.001 * noise(0).normal(3, 8, 8, dtype=torch.float64)
    expected = climb(classifier, partial(F.cross_entropy, target=LABELS, reduction="sum"), start, 3, 2.5 / 3 * EPS, EPS)
    assert torch.equal(attacked("mart:eps=8/255,steps=3", classifier), expected)


def test_fgsm_rs_starts_in_the_ball_and_steps_by_five_quarters() -> None:
    classifier = doubled()
    start = IMAGES + EPS * (2 * noise(1).uniform(3, 8, 8, dtype=torch.float64) - 1)
    loss = partial(F.cross_entropy, target=LABELS, reduction="sum")
    expected = climb(classifier, loss, start, 1, 1.25 * EPS, EPS)
    assert torch.equal(attacked("fgsm-rs:eps=8/255", classifier, number=1), expected)
    still = attacked("fgsm-rs:eps=8/255,step_size=0", classifier, number=1)
    assert torch.equal(still, start.clamp(IMAGES - EPS, IMAGES + EPS).clamp(0, 1))


def test_nfgsm_draws_from_twice_the_ball_and_is_not_projected_on_it() -> None:
    classifier = doubled()
    start = IMAGES + 2 * EPS * (2 * noise(1).uniform(3, 8, 8, dtype=torch.float64) - 1)
    expected = climb(classifier, partial(F.cross_entropy, target=LABELS, reduction="sum"), start, 1, EPS, None)
    found = attacked("nfgsm:eps=8/255", classifier, number=1)
    assert torch.equal(found, expected)
    still = (attacked("nfgsm:eps=8/255,step_size=0", classifier, number=1) - IMAGES).abs()
    assert 1.9 * EPS < float(still.max()) <= 2 * EPS
    assert 0.4 < float((still > EPS).double().mean()) < 0.6
    assert 2.9 * EPS < float((found - IMAGES).abs().max()) <= 3 * EPS + 1e-12
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    # Without noise it is FGSM.
    assert torch.equal(attacked("nfgsm:noise=0", classifier), attacked("fgsm", classifier))


@pytest.mark.parametrize("name", ["pgd", "fgsm", "fgsm-rs", "nfgsm", "trades", "mart"])
def test_half_the_strength_is_half_the_attack(name: str) -> None:
    classifier = doubled()
    half = attacked(f"{name}:eps=8/255,ramp=0.4", classifier, strength=0.5)
    assert torch.equal(half, attacked(f"{name}:eps=4/255", classifier))


def test_the_attack_grows_over_its_share_of_the_steps() -> None:
    adversary = read_adversary("pgd:eps=8/255,ramp=0.25")
    assert [adversary.strength(done) for done in (0.05, 0.125, 0.25, 1.0)] == [0.2, 0.5, 1.0, 1.0]
    sizes = []
    for number in range(4):
        classifier = doubled()
        trainer = Trainer(classifier, replace(PLAIN, adversary="pgd:eps=8/255,ramp=0.5"), seed=0, total=4)
        with watched_inputs(classifier.module) as seen:
            trainer.step(BATCH, number, 0.1)
        sizes.append(float((seen[-1] - classifier.normalize(IMAGES)).abs().max() * 0.5 / EPS) if seen else 0.0)
    shown = [size / sizes[-1] for size in sizes]
    assert shown == pytest.approx([0.5, 1, 1, 1], rel=0.05)


# ---- free: the passes of the step are those of the attack


def test_free_by_a_plain_loop() -> None:
    classifier = doubled(dropout=0.2)
    plain, trainer = (
        copy.deepcopy(classifier.module),
        Trainer(classifier, replace(PLAIN, adversary="free:replays=3,eps=8/255"), seed=0),
    )
    optimizer, change = torch.optim.SGD(plain.parameters(), 0.1), torch.zeros_like(IMAGES)
    batches = [BATCH, replace(BATCH, images=IMAGES.flip(0), labels=LABELS.flip(0))]
    for number, batch in enumerate(batches):
        trainer.step(batch, number, 0.1)
        for replay in range(3):
            leaf = within(batch.images, batch.images + change).requires_grad_()
            plain.train()
            with layers_seeded(number, replay):
                F.cross_entropy(plain(classifier.normalize(leaf)), batch.labels).backward()
            optimizer.step()
            optimizer.zero_grad()
            change = within(batch.images, leaf.detach() + EPS * leaf.grad.sign()) - batch.images
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(plain.parameters(), classifier.module.parameters()))
    assert torch.allclose(trainer.state_dict()["carried"], change)
    assert int(classifier.module[1].num_batches_tracked) == 6


def within(images: Tensor, moved: Tensor) -> Tensor:
    return moved.clamp(images - EPS, images + EPS).clamp(0, 1)


@contextmanager
def layers_seeded(number: int, replay: int) -> Iterator[None]:
    from backlight.core.random import generator_seed

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_seed((0, "layers", number, replay)))
        yield


def test_free_survives_memory_that_runs_out() -> None:
    def train(accumulate: int, fail: bool) -> Trainer:
        recipe = replace(PLAIN, adversary="free:replays=2", accumulate=accumulate)
        trainer = Trainer(doubled(norm=False), recipe, seed=0)
        real, calls = trainer._logits, [0]

        def once(images: Tensor) -> Tensor:
            calls[0] += 1
            if fail and calls[0] == 2:  # in the second replay, so that the first one's gradient is there
                real(images).sum().backward()
                raise torch.OutOfMemoryError("out of memory")
            return real(images)

        trainer._logits = once  # type: ignore[method-assign]
        trainer.step(BATCH, 0, 0.1)
        return trainer

    halved, planned = train(1, fail=True), train(2, fail=False)
    pairs = zip(halved.module.parameters(), planned.module.parameters())
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in pairs)


# ---- weights that are perturbed


def test_weights_are_moved_by_a_share_of_their_norm_and_put_back_bit_by_bit() -> None:
    module = doubled().module
    module(IMAGES).square().sum().backward()
    before = copy.deepcopy(module.state_dict())
    grads = {name: one.grad.clone() for name, one in module.named_parameters()}
    with perturbed(module, 0.005):
        for name, one in module.named_parameters():
            moved = (one - before[name]).detach()
            if one.ndim > 1:
                assert float(moved.norm()) == pytest.approx(0.005 * float(before[name].norm()), rel=1e-9)
                assert float(F.cosine_similarity(moved.flatten(), grads[name].flatten(), 0)) == pytest.approx(1)
            else:
                assert torch.equal(one, before[name])
            assert one.grad is None
    assert all(torch.equal(one, before[name]) for name, one in module.state_dict().items())


def test_weights_are_put_back_when_a_pass_fails_and_stay_where_nothing_is_learned() -> None:
    module = nn.Linear(2, 2)
    before = module.weight.detach().clone()
    module.weight.grad = torch.zeros(2, 2)
    with perturbed(module, 0.1):
        assert torch.equal(module.weight, before)

    def fail() -> None:
        module.weight.grad = torch.ones(2, 2)
        with perturbed(module, 0.1):
            assert not torch.equal(module.weight, before)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize("name", ["pgd:steps=2", "trades:steps=2"])
def test_a_step_with_perturbed_weights_by_hand(name: str) -> None:
    classifier = doubled(norm=False)
    start = copy.deepcopy(classifier.module)
    found = attacked(name, classifier, number=1)

    def gradients(module: nn.Module) -> tuple[Tensor, ...]:
        both = module(classifier.normalize(torch.cat([IMAGES, found])))
        pair = by_hand("trades", both[:6], both[6:], LABELS, 6.0).mean()
        loss = pair if name.startswith("trades") else F.cross_entropy(both[6:], LABELS)
        return torch.autograd.grad(loss, list(module.parameters()))

    moved, slopes = copy.deepcopy(start), gradients(start)
    with torch.no_grad():
        for one, grad in zip(moved.parameters(), slopes):
            one += (grad * 0.01 * one.norm() / grad.norm()) if one.ndim > 1 else 0
    expected = [one - 0.1 * grad for one, grad in zip(start.parameters(), gradients(moved))]
    recipe = replace(PLAIN, adversary=f"{name},awp=0.01,awp_start=0.5")
    Trainer(classifier, recipe, seed=0, total=2).step(BATCH, 1, 0.1)
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(classifier.module.parameters(), expected))
    early, without = doubled(norm=False), doubled(norm=False)
    Trainer(early, recipe, seed=0, total=10).step(BATCH, 0, 0.1)
    Trainer(without, replace(PLAIN, adversary=name), seed=0).step(BATCH, 0, 0.1)
    assert all(map(torch.equal, early.module.parameters(), without.module.parameters()))


# ---- the rule of normalization


@contextmanager
def watched_inputs(module: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what enters the module in training mode."""
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(
        lambda one, given: seen.append(given[0].detach()) if one.training else None
    )
    yield seen
    handle.remove()


@pytest.mark.parametrize(
    ("text", "passes", "pictures"),
    [
        ("", 1, 6),
        ("pgd:steps=2", 1, 6),
        ("nfgsm", 1, 6),
        ("trades:steps=2", 1, 12),
        ("mart:steps=2", 1, 12),
        ("pgd:steps=2,awp=0.01", 1, 6),
        ("trades:steps=2,awp=0.01", 1, 12),
        ("free:replays=3", 3, 6),
    ],
)
def test_statistics_are_of_the_pictures_that_a_step_learns_from(text: str, passes: int, pictures: int) -> None:
    """Attacks leave the statistics alone; the step's one pass holds clean and attacked pictures together."""
    classifier = doubled()
    norm = classifier.module[1]
    entered: list[Tensor] = []
    norm.register_forward_pre_hook(lambda one, given: entered.append(given[0].detach()) if one.training else None)
    Trainer(classifier, replace(PLAIN, adversary=text), seed=0).step(BATCH, 0, 0.1)
    counted = entered[-passes:]  # what a perturbation of weights looked at before does not count
    assert len(entered) == passes + ("awp" in text)
    assert {len(one) for one in entered} == {pictures}
    mean = torch.zeros(6, dtype=torch.float64)
    for one in counted:
        mean = 0.9 * mean + 0.1 * one.mean((0, 2, 3))
    assert torch.allclose(norm.running_mean, mean, atol=1e-12)
    assert int(norm.num_batches_tracked) == passes


# ---- the door


def flat(classifier: Classifier, images: Tensor, labels: Tensor, random: Random, *, level: float = 0.5) -> Tensor:
    assert not classifier.module.training
    return torch.full_like(images, level)


def test_a_function_is_an_adversary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import torch\ndef grey(classifier, images, labels, random, *, level: float = 0.5):\n"
        "    return torch.full_like(images, level)\n"
    )
    classifier = doubled()
    assert torch.equal(attacked(f"{file}:grey:level=0.25", classifier), torch.full_like(IMAGES, 0.25))
    assert torch.allclose(attacked(f"{file}:grey:blend=0.5", classifier), (IMAGES + 0.5) / 2)
    card = AdversaryCard("flat", attack=flat)
    monkeypatch.setitem(ADVERSARIES._by_key, "flat", card)
    assert torch.equal(attacked("flat:level=1", classifier), torch.ones_like(IMAGES))
    with pytest.raises(UsageError, match="flat with a ramp"):
        read_adversary("flat:ramp=0.5")
    monkeypatch.setitem(ADVERSARIES._by_key, "flat", replace(card, attack=lambda c, images, y, r: images[:1]))
    with pytest.raises(InputError, match="returned shape"):
        attacked("flat", classifier)


def test_every_adversary_says_where_it_comes_from_and_when_not_to_use_it() -> None:
    for card in ADVERSARIES.built_in.values():
        assert "not stated" not in (card.reference, card.avoid)
        assert set(COMMON) < set(card.options)
        assert read_adversary(f"{card.name}:eps=4/255")


@pytest.mark.parametrize(
    "text",
    [
        "trades:beta=-1",
        "mart:beta=nan",
        "nfgsm:noise=-1",
        "free:replays=0",
        "free:awp=0.1",
        "free:share=0.5",
        "pgd:awp=2",
        "pgd:ramp=2",
        "fgsm-rs:steps=3",
        "ibp:kappa=2",
        "ibp:kappa_start=-1",
        "ibp:share=0.5",
        "ibp:norm=l2",
        "ibp:beta=1",
        "crown-ibp:beta=nan",
        "crown-ibp:blend=0.5",
        "crown-ibp:eps=2",
        "free:norm=l2",
        "trades:colour=red",
        "nfgsm:eps=8",
    ],
)
def test_what_makes_no_sense(text: str) -> None:
    with pytest.raises(UsageError):
        Recipe(adversary=text)


def test_one_average_at_a_time() -> None:
    with pytest.raises(UsageError, match="one average"):
        Recipe(ema=0.9, swa=0.5)
    recipe = read_recipe("adversarial", ["ema=0", "swa=0.5"])
    assert (recipe.swa, recipe.adversary) == (0.5, "nfgsm:eps=8/255")


def test_the_plain_mean_from_a_share_of_the_steps_on() -> None:
    trainer = Trainer(doubled(), replace(PLAIN, swa=0.5), seed=0, total=6)
    weights = []
    for number in range(6):
        trainer.step(BATCH, number, 0.1)
        weights.append(copy.deepcopy(trainer.module.state_dict()))
        taken = [weights[-1]] if number < 3 else weights[3:]
        for name, value in trainer.evaluated.state_dict().items():
            expected = (
                torch.stack([one[name] for one in taken]).double().mean(0)
                if value.is_floating_point()
                else weights[-1][name]
            )
            assert torch.allclose(value.double(), expected.double(), atol=1e-12), (name, number)
