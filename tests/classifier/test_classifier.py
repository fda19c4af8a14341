import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import InputError, LayerError, ModelError
from backlight.testing import CALLERS, caller, small_net, unchanged

IMAGES = torch.linspace(0, 1, 2 * 3 * 8 * 8).view(2, 3, 8, 8)


def classifier_of(module: nn.Module, **options: object) -> Classifier:
    return Classifier.from_module(module, size=8, **options)


def test_logits_are_the_modules_on_normalized_images() -> None:
    net = small_net().eval()
    classifier = classifier_of(net, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    mean, std = torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1), torch.tensor([0.2, 0.3, 0.4]).view(1, 3, 1, 1)
    assert torch.equal(classifier.logits(IMAGES), net((IMAGES - mean) / std))
    assert torch.allclose(classifier.probabilities(IMAGES).sum(1), torch.ones(2))


@pytest.mark.parametrize("state", CALLERS)
@pytest.mark.parametrize("call", ["logits", "probabilities", "features", "layers", "fast"])
def test_leaves_the_module_unchanged(state: str, call: str) -> None:
    net = small_net()
    classifier = classifier_of(net)
    calls = {
        "logits": lambda: classifier.logits(IMAGES),
        "probabilities": lambda: classifier.probabilities(IMAGES),
        "features": lambda: classifier.features(IMAGES, ["4"]),
        "layers": classifier.layers,
        "fast": classifier.fast,
    }
    with caller(net, state), unchanged(net):
        calls[call]()


def test_leaves_the_module_unchanged_after_an_exception() -> None:
    class Breaks(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("in the middle")

    net = small_net()
    classifier = classifier_of(net)
    net[7] = Breaks()
    with pytest.raises(ModelError, match="the model itself failed.*in the middle"), unchanged(net):
        classifier.logits(IMAGES)


def test_restores_buffers_that_a_module_overwrites() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            self.seen += 1
            return images.flatten(1)[:, :3] * 5

    net = Counts()
    with unchanged(net):
        Classifier.from_module(net, size=8).logits(IMAGES)


def test_logits_have_no_gradient_to_parameters_but_to_images() -> None:
    classifier = classifier_of(small_net())
    images = IMAGES.clone().requires_grad_(True)
    gradient = torch.autograd.grad(classifier.logits(images).sum(), images)[0]
    assert gradient.shape == images.shape
    assert gradient.abs().sum() > 0


def test_bfloat16_module_returns_float32_logits_and_float64_stays() -> None:
    assert classifier_of(small_net().bfloat16()).logits(IMAGES).dtype == torch.float32
    assert classifier_of(small_net().double()).logits(IMAGES).dtype == torch.float64


def test_takes_a_plain_function() -> None:
    classifier = Classifier.from_module(lambda images: images.mean((2, 3)) * 3)
    assert torch.allclose(classifier.logits(IMAGES), IMAGES.mean((2, 3)) * 3)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.full((1, 3, 8, 8), 2.6).index_fill(3, torch.tensor([0]), -2.1), "pass \\[0,1\\] images"),
        (torch.full((1, 3, 8, 8), 200.0), "images / 255"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "images / 255"),
        (torch.zeros(3, 8, 8), "images\\[None\\]"),
        (torch.zeros(1, 8, 8, 3), "permute"),
        (torch.full((1, 3, 8, 8), float("nan")), "NaN"),
        (torch.full((1, 3, 8, 8), 1.001), "clamp"),
        ([1, 2], "list"),
    ],
)
def test_images_are_checked_at_the_door(images: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        classifier_of(small_net()).logits(images)


def test_rounding_errors_pass_the_door() -> None:
    classifier_of(small_net()).check(torch.full((1, 3, 8, 8), 1 + 5e-7))


def test_softmax_and_log_softmax_tails_are_refused_and_can_be_declared() -> None:
    linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        linear[1].reset_parameters()
    for tail, name in ((nn.Softmax(1), "probabilities"), (nn.LogSoftmax(1), "log-probabilities")):
        with pytest.raises(ModelError, match=name):
            classifier_of(nn.Sequential(linear, tail))
        declared = classifier_of(nn.Sequential(linear, tail), outputs=name)
        assert torch.allclose(declared.probabilities(IMAGES), linear(IMAGES).softmax(1), atol=1e-6)


def test_wrong_number_of_labels_is_refused() -> None:
    with pytest.raises(ModelError, match="3 labels for a model with 4 classes"):
        classifier_of(small_net(), labels=["a", "b", "c"])


def test_layers_that_have_no_weights_yet_are_refused() -> None:
    with pytest.raises(ModelError, match=r"layer '1' \(LazyLinear\) has no weights yet.*call it once"):
        Classifier.from_module(nn.Sequential(nn.Flatten(), nn.LazyLinear(3)))


def test_second_normalization_is_refused() -> None:
    class Normalize(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(3))
            self.register_buffer("std", torch.ones(3))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return (images - self.mean.view(1, 3, 1, 1)) / self.std.view(1, 3, 1, 1)

    inside = nn.Sequential(Normalize(), small_net())
    classifier_of(inside)
    with pytest.raises(ModelError, match="normalizes inside"):
        classifier_of(inside, mean=0.5, std=(0.2, 0.2, 0.2))


class Reuses(nn.Module):
    """Use one in-place ReLU three times, after two convolutions and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
            self.relu, self.head = nn.ReLU(inplace=True), nn.Linear(4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.relu(self.second(self.relu(self.first(images))))
        return self.head(self.relu(features).mean((2, 3)))


def test_records_each_call_of_a_reused_module_and_the_value_before_in_place_operations() -> None:
    net = Reuses()
    classifier = classifier_of(net)
    found = classifier.record(IMAGES, ["first", "relu#1", "logits"])
    first = F.conv2d(IMAGES, net.first.weight, net.first.bias)
    assert torch.allclose(found["first"], first, atol=1e-6)
    assert torch.allclose(found["relu#1"], F.relu(net.second(F.relu(first))), atol=1e-6)
    with pytest.raises(LayerError, match="runs 3 times"):
        classifier.record(IMAGES, ["relu"])
    with pytest.raises(LayerError, match="try: second"):
        classifier.record(IMAGES, ["secnd"])


def test_the_pass_stops_at_the_deepest_layer_wanted() -> None:
    net = small_net()
    classifier = classifier_of(net)
    classifier.layers()
    ran = []
    net[10].register_forward_hook(lambda *_: ran.append("head"))
    classifier.record(IMAGES, ["0", "4"])
    assert ran == []
    classifier.record(IMAGES, ["0", "logits"])
    assert ran == ["head"]


def test_recorded_layers_are_differentiable() -> None:
    classifier = classifier_of(small_net().double())
    images = IMAGES.double().requires_grad_(True)
    found = classifier.record(images, ["4", "logits"])
    gradient = torch.autograd.grad(found["logits"][:, 1].sum(), [images, found["4"]])
    assert gradient[1].shape == found["4"].shape
    assert gradient[1].abs().sum() > 0


def test_compiled_modules_are_seen_through() -> None:
    net = small_net()
    expected = classifier_of(net).record(IMAGES, ["4", "logits"])
    wrapped = torch.compile(net, backend="eager")
    found = classifier_of(wrapped).record(IMAGES, ["4", "logits"])
    assert torch.equal(found["4"], expected["4"])
    net.compile(backend="eager")
    assert torch.equal(classifier_of(net).record(IMAGES, ["4", "logits"])["logits"], expected["logits"])


def test_layers_lists_names_types_shapes_and_calls() -> None:
    layers = {layer.name: layer for layer in classifier_of(Reuses()).layers()}
    assert layers["relu"].calls == 3
    assert layers["second"].type == "Conv2d"
    assert layers["second"].shape == (1, 4, 4, 4)


def test_class_index_by_label_synonym_number_and_near_names() -> None:
    classifier = classifier_of(small_net(), labels=["tabby, tabby cat", "dog", "goldfish", "rocket"])
    assert classifier.class_index("Tabby Cat") == 0
    assert classifier.class_index("3") == 3
    with pytest.raises(InputError, match="try: goldfish"):
        classifier.class_index("goldfsh")
    with pytest.raises(InputError, match="0 to 3"):
        classifier.class_index(4)
