"""Small nets, pictures and written-out loops that several tests of the pixel loop share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.testing import small_net

SIZE = 8
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)


def pictures(count: int = 12, dtype: torch.dtype = torch.float32, size: int = SIZE) -> Tensor:
    """Draw 8-bit pictures [B,3,size,size] in [0,1]."""
    return Random("pictures", torch.arange(count)).integer(256, 3, size, size).to(dtype) / 255


def classifier_of(module: nn.Module | None = None, dtype: torch.dtype = torch.float32, classes: int = 5) -> Classifier:
    """Wrap a module, or a small CNN, in a classifier that normalizes."""
    module = small_net(classes) if module is None else module
    return Classifier.from_module(module.to(dtype), size=SIZE, mean=MEAN, std=STD)


def convolutional(classes: int = 5) -> nn.Module:
    """Build a CNN without a linear layer: matrix products change their last bits with the number of rows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, classes, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )


def linear(weights: Tensor, bias: Tensor) -> Classifier:
    """Make the classifier with logits `weights @ x + bias`, weights [K, 3 * SIZE * SIZE], no normalization."""
    head = nn.Linear(weights.shape[1], weights.shape[0], dtype=weights.dtype)
    with torch.no_grad():
        head.weight.copy_(weights)
        head.bias.copy_(bias)
    return Classifier.from_module(nn.Sequential(nn.Flatten(), head), size=SIZE)


def mixed_labels(classifier: Classifier, images: Tensor) -> Tensor:
    """Give each picture its predicted class, but a wrong one to every fifth: it is fooled from the start."""
    labels = classifier.logits(images).argmax(1)
    labels[::5] = (labels[::5] + 1) % classifier.classes
    return labels


def plain_pgd(classifier: Classifier, x: Tensor, y: Tensor, eps: float, size: float, steps: int) -> Tensor:
    """PGD as a textbook writes it: random start, sign steps, clamp to the ball and to the box."""
    net = classifier.module.eval()
    mean, std = torch.tensor(MEAN, dtype=x.dtype).view(1, 3, 1, 1), torch.tensor(STD, dtype=x.dtype).view(1, 3, 1, 1)
    noise = Random((0, "start"), torch.arange(len(x))).uniform(*x.shape[1:], dtype=x.dtype)
    adversarial = (x + eps * (2 * noise - 1)).clamp(x - eps, x + eps).clamp(0, 1)
    for _ in range(steps):
        adversarial.requires_grad_(True)
        loss = F.cross_entropy(net((adversarial - mean) / std), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, adversarial)
        adversarial = adversarial.detach() + size * gradient.sign()
        adversarial = adversarial.clamp(x - eps, x + eps).clamp(0, 1)
    return adversarial
