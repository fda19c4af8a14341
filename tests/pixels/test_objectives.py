import pytest
import torch
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError, LayerError
from backlight.pixels import (
    Measure,
    View,
    activation,
    confidence,
    cross_entropy,
    dlr,
    dlr_targeted,
    logit,
    margin,
    misclassified,
    predicted,
    probability,
)
from tests.pixels.problems import classifier_of, pictures


class Fixed(nn.Module):
    """Return the given logits, one row per image, plus nothing of the image."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.rows = torch.tensor(rows, dtype=torch.float64)

    def forward(self, images: Tensor) -> Tensor:
        return self.rows[: len(images)].to(images.device) + 0 * images.flatten(1).sum(1, keepdim=True)


def on(rows: list[list[float]], measure: Measure) -> list:
    classifier = Classifier(Fixed(rows), mean=(0.0,) * 3, std=(1.0,) * 3, resize=None)
    return measure.evaluate(classifier, torch.zeros(len(rows), 3, 2, 2, dtype=torch.float64)).tolist()


@pytest.mark.parametrize(
    ("logits", "label", "expected"),
    [
        ([2, 1, 0.5, -1], 0, -2 / 3),
        ([2, 1, 0.5, -1], 1, 2 / 3),
        ([2, 1, 0.5, -1], 3, 2.0),
        ([3, -1, 0, 2, 0.5], 0, -0.4),
        ([3, -1, 0, 2, 0.5], 4, 1.0),
    ],
)
def test_dlr_vectors(logits: list[float], label: int, expected: float) -> None:
    assert on([logits], dlr(label)) == pytest.approx([expected], abs=1e-11)
    # Scaling and shifting the logits changes nothing.
    assert on([[7 * one - 3 for one in logits]], dlr(label)) == pytest.approx([expected], abs=1e-11)


@pytest.mark.parametrize(
    ("logits", "target", "expected"),
    [
        ([2, 1, 0.5, -1], 1, -4 / 9),
        ([2, 1, 0.5, -1], 2, -2 / 3),
        ([2, 1, 0.5, -1], 3, -4 / 3),
        ([3, -1, 0, 2, 0.5], 3, -4 / 11),
    ],
)
def test_targeted_dlr_vectors(logits: list[float], target: int, expected: float) -> None:
    assert on([logits], dlr_targeted(0, target)) == pytest.approx([expected], abs=1e-11)


def test_dlr_stays_finite_where_all_logits_are_equal() -> None:
    assert on([[1.0] * 4], dlr(0)) == [0.0]
    assert on([[1.0] * 4], dlr_targeted(0, 1)) == [0.0]


def test_dlr_needs_enough_classes() -> None:
    with pytest.raises(InputError, match="2 classes; expected at least 3"):
        on([[1, 2]], dlr(0))
    with pytest.raises(InputError, match="3 classes; expected at least 4"):
        on([[1, 2, 3]], dlr_targeted(0, 1))


def test_logit_probability_cross_entropy_and_margin() -> None:
    rows = [[1.0, 3.0, 2.0], [-5.0, -7.0, -6.0]]
    labels = torch.tensor([1, 2])
    z = torch.tensor(rows, dtype=torch.float64)
    p = z.exp() / z.exp().sum(1, keepdim=True)
    assert on(rows, logit(labels)) == [3.0, -6.0]
    assert on(rows, logit(0)) == [1.0, -5.0]
    assert on(rows, probability(labels)) == pytest.approx([p[0, 1].item(), p[1, 2].item()])
    assert on(rows, cross_entropy(labels)) == pytest.approx([-p[0, 1].log().item(), -p[1, 2].log().item()])
    # All logits negative: masking with zeros instead of minus infinity would give 6 for the second.
    assert on(rows, margin(labels)) == [1.0, -1.0]
    assert on(rows, confidence()) == pytest.approx(p.amax(1).tolist())


def test_verdicts() -> None:
    nan, inf = float("nan"), float("inf")
    rows = [[1, 3, 2], [3, 1, 2], [nan, 1, 2], [nan, nan, nan], [inf, 1, 2], [1, 2, -inf]]
    assert on(rows, misclassified(1)) == [False, True, False, False, False, False]
    assert on(rows, predicted(0)) == [False, True, False, False, False, False]
    assert on(rows, predicted(0) & (confidence() > 0.5)) == [False, True, False, False, False, False]
    assert on(rows, margin(1) < 0)[2:4] == [False, False]


@pytest.mark.parametrize(
    "measure", [logit, probability, cross_entropy, margin, dlr, lambda y: dlr_targeted(y, (y + 1) % 5)]
)
def test_gradients_in_the_pixels(measure: object) -> None:
    classifier, labels = classifier_of(dtype=torch.float64), torch.tensor([0, 4, 2])
    x = pictures(3, torch.float64).requires_grad_(True)
    objective = measure(labels)  # type: ignore[operator]
    with classifier.guard():
        assert torch.autograd.gradcheck(
            lambda images: objective(View(classifier, images, layers=objective.layers)), (x,), fast_mode=True
        )


@pytest.mark.parametrize("labels", [5, -1, torch.tensor([0, 9]), torch.tensor([0, -2])])
def test_classes_that_do_not_exist_raise(labels: object) -> None:
    with pytest.raises(InputError, match="expected 0 to 4"):
        cross_entropy(labels).evaluate(classifier_of(), pictures(2))  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", [torch.tensor([0.0, 1.0]), torch.tensor([True, False]), 0.5])
def test_classes_are_integers(labels: object) -> None:
    with pytest.raises(InputError, match="integers"):
        margin(labels).evaluate(classifier_of(), pictures(2))  # type: ignore[arg-type]


def test_one_label_is_shared_and_a_wrong_number_raises() -> None:
    classifier, x = classifier_of(), pictures(3)
    shared = cross_entropy(torch.tensor([2])).evaluate(classifier, x)
    assert torch.equal(shared, cross_entropy(2).evaluate(classifier, x))
    with pytest.raises(InputError, match="2 values for 3 images"):
        cross_entropy(torch.tensor([2, 1])).evaluate(classifier, x)


def test_activation_is_the_channels_mean() -> None:
    classifier, x = classifier_of(), pictures(3)
    features = classifier.features(x, ["4"])["4"]
    assert torch.allclose(activation("4", 7).evaluate(classifier, x), features[:, 7].mean((1, 2)))
    channels = torch.tensor([3, 0, 11])
    expected = features[torch.arange(3), channels].mean((1, 2))
    assert torch.allclose(activation("4", channels).evaluate(classifier, x), expected)
    assert torch.allclose(activation("4").evaluate(classifier, x), features.mean((1, 2, 3)))
    logits = classifier.features(x, ["10"])["10"]
    assert torch.allclose(activation("10", 2).evaluate(classifier, x), logits[:, 2])
    with pytest.raises(InputError, match="channel 12; expected 0 to 11"):
        activation("4", 12).evaluate(classifier, x)
    with pytest.raises(LayerError, match="nowhere"):
        activation("nowhere", 0).evaluate(classifier, x)


def test_activation_of_tokens_has_channels_last() -> None:
    class Tokens(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(2).mT  # [A, pixels, 3]

    net = nn.Sequential(Tokens(), nn.Flatten(), nn.Linear(12, 2))
    classifier, x = Classifier.from_module(net, size=2), torch.rand(2, 3, 2, 2)
    assert torch.allclose(activation("0", 1).evaluate(classifier, x), x[:, 1].mean((1, 2)))
