"""Attention-based attribution: attention in the open, and formulas against explicit loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.core.errors import BacklightError, ModelError
from backlight.core.random import Random
from backlight.explain import explain
from backlight.explain.attention import Attentions
from backlight.explain.methods.transformers import read_tokens
from backlight.explain.session import Question, Recording, Session
from backlight.models.vit import ViT
from backlight.testing import unchanged
from tests.explain.nets import images, keyed

METHODS = ("rollout", "gradient_attention", "legrad")


def timm_vit(name: str = "vit_tiny_patch16_224", size: object = (32, 48), **options: object) -> Classifier:
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = timm.create_model(name, num_classes=5, img_size=size, depth=3, **options)
        for one in [part for part in net.modules() if isinstance(part, nn.Linear)]:
            nn.init.normal_(one.weight, std=0.1)
    return Classifier.from_module(net.double(), size=size)


def torchvision_vit() -> Classifier:
    from torchvision.models import VisionTransformer

    with torch.random.fork_rng():
        net = VisionTransformer(32, 8, 3, 2, 16, 32, num_classes=5)
    return Classifier.from_module(keyed(net).double(), size=32)


@pytest.mark.parametrize("masked", [None, "bool", "float", "causal"])
def test_attention_in_the_open_equals_the_fused_one(masked: str | None) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    mask = torch.rand(5, 5, generator=generator, dtype=torch.float64)
    options = {
        None: {},
        "bool": {"attn_mask": mask > 0.3},
        "float": {"attn_mask": mask, "scale": 0.7},
        "causal": {"is_causal": True},
    }[masked]
    expected = F.scaled_dot_product_attention(q, k, v, **options)
    with Attentions(weights := []):
        found = F.scaled_dot_product_attention(q, k, v, **options)
    assert torch.allclose(found, expected, atol=1e-12)
    assert torch.allclose(weights[0].sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))


@pytest.mark.parametrize("batch_first", [True, False])
def test_multihead_attention_and_its_fast_path_equal_the_open_one(batch_first: bool) -> None:
    with torch.random.fork_rng():
        net = keyed(nn.MultiheadAttention(8, 2, batch_first=batch_first)).double()
    tokens = images(3, (6, 8), channels=1)[:, 0]
    with torch.no_grad():
        expected, weights = net(tokens, tokens, tokens, average_attn_weights=False)
    with Attentions(seen := []):
        found, _ = net(tokens, tokens, tokens, need_weights=False)
    assert torch.allclose(found, expected, atol=1e-12)
    assert torch.allclose(seen[0], weights, atol=1e-12)


def test_special_attention_is_refused() -> None:
    with torch.random.fork_rng():
        net = nn.MultiheadAttention(8, 2, add_bias_kv=True)
    with pytest.raises(ModelError, match="bias_k"), Attentions([]):
        net(torch.zeros(2, 1, 8), torch.zeros(2, 1, 8), torch.zeros(2, 1, 8))


def blocks(classifier: Classifier, x: Tensor, target: int) -> tuple[list[Tensor], list[Tensor], int, tuple[int, int]]:
    session = Session(
        classifier, x, Question(target), random=Random(0, [0] * len(x)), recording=Recording(tokens="norm")
    )
    tokens = read_tokens(session)
    return tokens.weights, tokens.gradients, tokens.layout.prefix, tokens.layout.grid


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
def test_rollout_and_gradient_attention_equal_explicit_loops(name: str) -> None:
    classifier, x = timm_vit(name), images(2, (32, 48))
    with unchanged(classifier.module):
        found = explain(classifier, x, 1, methods=["rollout", "gradient_attention"])
    weights, gradients, prefix, grid = blocks(classifier, x, 1)
    assert prefix == (2 if "distilled" in name else 1)
    assert grid == (2, 3)
    count = prefix + 6
    for row in range(2):
        rolled = relevance = torch.eye(count, dtype=torch.float64)
        for a, g in zip(weights, gradients):
            mean = sum(a[row, head] for head in range(3)) / 3 + torch.eye(count)
            normalized = torch.stack([line / line.sum() for line in mean])
            assert torch.allclose(normalized.sum(1), torch.ones(count, dtype=torch.float64))
            rolled = normalized @ rolled
            positive = sum((a[row, head] * g[row, head]).clamp(min=0) for head in range(3)) / 3
            relevance = relevance + positive @ relevance
        for method, matrix in (("rollout", rolled), ("gradient_attention", relevance)):
            expected = matrix[:prefix].mean(0)[prefix:].view(2, 3)
            assert torch.allclose(found[method].attributions[row, 0], expected, atol=1e-10)


def test_legrad_equals_running_the_head_on_each_block() -> None:
    classifier, x = timm_vit(fc_norm=False), images(2, (32, 48))
    with unchanged(classifier.module):
        found = explain(classifier, x, 1, methods=["legrad"])["legrad"]
    net = classifier.module.eval()
    total = torch.zeros(2, 7, dtype=torch.float64)
    with Attentions(seen := []):
        hidden = net.patch_embed(classifier.normalize(x).requires_grad_(True))
        hidden = net.norm_pre(net.patch_drop(net._pos_embed(hidden)))
        for block in net.blocks:
            hidden = block(hidden)
            score = net.forward_head(net.norm(hidden))[:, 1].sum()
            gradient = torch.autograd.grad(score, seen[-1], retain_graph=True)[0]
            total += gradient.clamp(min=0).mean((1, 2)) / 3
    assert torch.allclose(found.attributions[:, 0], total[:, 1:].view(2, 2, 3), atol=1e-10)
    assert (found.forwards, found.backwards) == (3, 3)


@pytest.mark.parametrize(
    "build", [torchvision_vit, lambda: our_vit(), lambda: timm_vit("vit_tiny_patch16_224", (32, 48))]
)
def test_every_library_s_transformer_is_explained_in_one_pass(build) -> None:
    classifier = build()
    x = images(3, classifier.size)
    with unchanged(classifier.module):
        found = explain(classifier, x, 1, methods=["rollout", "gradient_attention", "gradcam", "saliency"])
    assert (found.forwards, found.backwards) == (1, 1)
    everything = explain(classifier, x, 1, methods=METHODS)
    for method in METHODS:
        alone = explain(classifier, x[1:2], 1, methods=[method])[method]
        assert torch.allclose(everything[method].attributions[1:2], alone.attributions, atol=1e-12)
        assert float(everything[method].attributions.abs().max()) > 0


def our_vit() -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = ViT(5, (16, 24), 3, patch=4, dim=16, depth=2, heads=2)
        nn.init.normal_(net.head.weight)
    return Classifier.from_module(net.double(), size=(16, 24))


def test_the_maps_of_a_mean_pooled_transformer_average_all_rows() -> None:
    classifier, x = our_vit(), images(2, (16, 24))
    found = explain(classifier, x, 1, methods=["rollout"])["rollout"]
    assert found.layer == "2 attentions, grid 4x6"
    assert torch.allclose(found.attributions.flatten(1).sum(1), torch.ones(2, dtype=torch.float64), atol=1e-12)


def test_attention_in_windows_is_refused_with_a_way_out() -> None:
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng():
        net = timm.create_model(
            "swin_tiny_patch4_window7_224", img_size=32, window_size=2, depths=(1, 1), num_heads=(3, 6), num_classes=5
        )
    classifier = Classifier.from_module(net, size=32)
    for method in METHODS:
        with pytest.raises(ModelError, match="gradcam"):
            explain(classifier, images(1, 32).float(), methods=[method])


def test_a_network_without_tokens_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    with pytest.raises(BacklightError, match="no tokens"):
        explain(Classifier.from_module(net, size=8), images(1, 8).float(), methods=["rollout"])
