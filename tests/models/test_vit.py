"""Windows and position embeddings of the small transformers do what they say."""

import pytest
import torch

from backlight.core.errors import InputError, UsageError
from backlight.models import networks


def images(count=1, size=16):
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def vit(**options):
    return networks.build("vit", 5, 16, dim=16, depth=2, heads=2, window=2, **options).eval()


def tokens_after_blocks(network, pictures):
    return network.blocks(network.positions(network.patches(pictures)))


@pytest.mark.parametrize(("window_blocks", "spreads"), [("none", True), ("all", False), ("0", True)])
def test_windows_keep_information_inside(window_blocks, spreads):
    network, pictures = vit(window_blocks=window_blocks), images()
    changed = pictures.clone()
    changed[..., :4, :4] += 1  # the first patch, which lies in the upper left window
    difference = (tokens_after_blocks(network, changed) - tokens_after_blocks(network, pictures)).abs()
    assert difference[0, :2, :2].amax() > 1e-4
    assert bool(difference[0, 2:, 2:].amax() > 1e-6) == spreads


@pytest.mark.parametrize("positions", ["absolute", "none"])
def test_without_positions_the_order_of_patches_does_not_matter(positions):
    network, pictures = vit(positions=positions), images()
    swapped = pictures.roll(4, dims=-1)
    same = torch.allclose(network(swapped), network(pictures), atol=1e-6)
    assert same == (positions == "none")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window_blocks": "0+2"}, r"vit: window_blocks is '0\+2'.*0..1"),
        ({"window_blocks": "first"}, "'none', 'all' or block numbers"),
        ({"window_blocks": (0, -1)}, r"vit: window_blocks is \(0, -1\)"),
        ({"positions": "relative"}, "positions is 'relative'"),
        ({"patch": 5}, "size is 16x16; expected sides that 5 divides"),
    ],
)
def test_messages(options, words):
    with pytest.raises(UsageError, match=words):
        vit(**options)


def test_another_size_than_built_for_is_named():
    with pytest.raises(InputError, match=r"shape \[1, 2, 2, 16\].*\[B, 4, 4, 16\]"):
        vit()(images(size=8))


def test_cct_averages_tokens_by_learned_weights():
    network = networks.build("cct", 5).eval()
    torch.nn.init.zeros_(network.importance.weight)
    tokens = network.tokenizer(images(2, 32)).permute(0, 2, 3, 1)
    mean = network.norm(network.blocks(network.positions(tokens))).mean((1, 2))
    torch.testing.assert_close(network(images(2, 32)), network.head(mean))
