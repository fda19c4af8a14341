"""Which layer a map is read from, and how that layer lays out space.

NCHW     convolutional networks           NHWC    Swin and other channels-last transformers
tokens   [B, prefix + h*w, C]: vision transformers, with class, distillation or register tokens in front
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from backlight.classifier import Classifier
from backlight.classifier.recording import Layer, split_call
from backlight.core.errors import LayerError

MOST_PREFIX_TOKENS = 16
Size = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """Where the rows and columns of a layer's output are: `kind`, the grid (h, w), the tokens
    before it, and whether they were merged from more.

    >>> Layout("tokens", (14, 14), prefix=1).describe(768)
    '(768,14,14) from tokens after 1 prefix'
    """

    kind: str
    grid: Size
    prefix: int = 0
    merged: bool = False

    def to_map(self, output: Tensor) -> Tensor:
        """Turn the layer's output, or a gradient of that shape, into `[B,C,h,w]`."""
        if self.kind == "NCHW":
            return output
        if self.kind == "NHWC":
            return output.permute(0, 3, 1, 2)
        return output[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)

    def describe(self, channels: int) -> str:
        """Write the shape as people read it."""
        shape = f"({channels},{self.grid[0]},{self.grid[1]})"
        if self.kind == "NCHW":
            return shape
        return f"{shape} from {self.kind}" + (f" after {self.prefix} prefix" if self.kind == "tokens" else "")


def choose_layer(classifier: Classifier) -> str:
    """Choose the layer that a class activation map is read from.

    Convolutional networks and Swin: the last map, or merged tokens, with h, w > 1 before pooling. Networks that end in
    tokens: the normalization before the last attention, because the patch tokens after it do not reach a class token.

    Raises LayerError where no layer holds a map.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> choose_layer(Classifier.from_module(net, size=8))
    '1'
    """
    layers = _outside_attention(classifier)
    assert classifier.size is not None
    maps = [layer for layer in layers if _last_map(layer, classifier.size)]
    tokens = [layer for layer in layers if _tokens_after(maps, layer, layers, classifier.size) is not None]
    if not maps and not tokens:
        raise LayerError(f"no layer of {classifier.name} holds a map", expected="an output [B,C,h,w] with h, w > 1")
    order = {layer.name: place for place, layer in enumerate(layers)}
    if not tokens or (maps and order[maps[-1].name] > order[tokens[-1].name]):
        return _indexed(maps[-1])
    last = _tokens_after(maps, tokens[-1], layers, classifier.size)
    if last is not None and last.merged:  # no class token that patches have to reach
        return _indexed(tokens[-1])
    return _indexed(_before_last_attention(classifier, tokens) or tokens[-1])


def last_tokens(classifier: Classifier) -> str:
    """Name the last layer whose output is the image's tokens: what the classifier reads out.

    Raises LayerError where there is none.

    >>> from backlight.models.vit import ViT
    >>> last_tokens(Classifier.from_module(ViT(2, (8, 8), 3, dim=8, depth=1, heads=2), size=8))
    'norm'
    """
    layers = _outside_attention(classifier)
    assert classifier.size is not None
    maps = [layer for layer in layers if _last_map(layer, classifier.size)]
    for layer in reversed(layers):
        channels_last = layer in maps and layout_of_map(layer.shape, classifier.size)
        if channels_last and channels_last.kind == "NHWC":
            return _indexed(layer)
        if _tokens_after(maps, layer, layers, classifier.size) is not None:
            return _indexed(layer)
    raise LayerError(f"{classifier.name} has no tokens", expected="a vision transformer", hint="gradcam")


def find_layout(classifier: Classifier, layer: str, shape: tuple[int, ...], image_size: Size) -> Layout:
    """Find the layout of an output of this shape, at the actual image size.

    Raises LayerError for a layer that is no map, or a map of 1x1, which would say nothing about places.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> find_layout(Classifier.from_module(net, size=8), "0", (5, 4, 6, 6), (8, 8)).grid
    (6, 6)
    """
    layout = layout_of_map(shape, image_size) if len(shape) == 4 else None
    if len(shape) == 3:
        layout = _layout_tokens(classifier, layer, shape[1], image_size)
    if layout is None:
        raise LayerError(f"layer {layer!r} has shape {shape}", expected="a map [B,C,h,w], [B,h,w,C] or tokens [B,T,C]")
    if layout.grid == (1, 1):
        raise LayerError(f"layer {layer!r} is a 1x1 map {shape}", expected="h, w > 1", hint=choose_layer(classifier))
    return layout


def _indexed(layer: Layer) -> str:
    # A layer that runs several times is named by its last call.
    return layer.name if layer.calls == 1 else f"{layer.name}#{layer.calls - 1}"


def _last_map(layer: Layer, size: Size) -> bool:
    layout = layout_of_map(layer.shape, size) if len(layer.shape) == 4 else None
    return layout is not None and min(layout.grid) > 1 and "Pool" not in layer.type


def layout_of_map(shape: tuple[int, ...], size: Size) -> Layout | None:
    """Find where the rows and columns of a shape of four axes are, for images of `size`; None where nowhere.

    >>> layout_of_map((1, 7, 7, 96), (224, 224)).kind
    'NHWC'
    """
    _, first, second, third = shape
    if _covers(second, third, size):
        return Layout("NCHW", (second, third))
    if _covers(first, second, size):
        return Layout("NHWC", (first, second))
    return None


def _covers(rows: int, columns: int, size: Size) -> bool:
    """Whether a grid has the image's proportions, up to a border of two cells."""
    if rows > size[0] or columns > size[1]:
        return False
    stride = math.sqrt(size[0] * size[1] / (rows * columns))
    return abs(rows - size[0] / stride) <= 2 and abs(columns - size[1] / stride) <= 2


def _tokens_after(maps: list[Layer], layer: Layer, layers: tuple[Layer, ...], size: Size) -> Layout | None:
    """Return the layout of a token layer at the classifier's own size: its grid is that of the last map before it."""
    if len(layer.shape) != 3 or layer.shape[0] != 1:
        return None
    known = {one.name for one in maps}
    for earlier in reversed(layers[: layers.index(layer)]):
        if earlier.name not in known and "Pool" not in earlier.type:
            continue
        layout = layout_of_map(earlier.shape, size) if len(earlier.shape) == 4 else None
        if layout is None:
            continue
        prefix = layer.shape[1] - layout.grid[0] * layout.grid[1]
        if prefix < 0:
            return _merged(layout.grid, layer.shape[1])
        return Layout("tokens", layout.grid, prefix) if prefix <= MOST_PREFIX_TOKENS else None
    return None


def _merged(grid: Size, count: int) -> Layout | None:
    """Return the layout of so many tokens where neighbors of a grid were merged, two by two and again (Swin)."""
    rows, columns = grid
    while min(rows, columns) > 1 and rows * columns > count:
        rows, columns = (rows + 1) // 2, (columns + 1) // 2
    return (
        Layout("tokens", (rows, columns), merged=True) if rows * columns == count and min(rows, columns) > 1 else None
    )


def _layout_tokens(classifier: Classifier, name: str, length: int, image_size: Size) -> Layout | None:
    layers = _outside_attention(classifier)
    size = classifier.size
    assert size is not None
    maps = [layer for layer in layers if _last_map(layer, size)]
    layer = next((one for one in layers if one.name == split_call(name)[0]), None)
    own = _tokens_after(maps, layer, layers, size) if layer is not None else None
    if own is None or image_size == size:
        return own
    wanted = own.grid[0] * image_size[0] / size[0] / (own.grid[1] * image_size[1] / size[1])
    count = length - own.prefix
    pairs = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    best = min(pairs, key=lambda pair: abs(math.log(pair[0] / pair[1] / wanted)), default=None)
    return Layout("tokens", best, own.prefix) if best else None


def is_attention(module: nn.Module) -> bool:
    """Whether a module is one attention, by its class name.

    >>> is_attention(nn.MultiheadAttention(4, 1))
    True
    """
    return "attention" in type(module).__name__.lower()


def _outside_attention(classifier: Classifier) -> tuple[Layer, ...]:
    # Queries and keys [B,heads,tokens,dim] can have the proportions of an image by chance.
    modules = classifier.module.named_modules()
    inner = {f"{name}.{child}" for name, part in modules if is_attention(part) for child, _ in part.named_modules()}
    return tuple(layer for layer in classifier.layers() if layer.name not in inner)


def _before_last_attention(classifier: Classifier, tokens: list[Layer]) -> Layer | None:
    """Find what ran last beside the last attention and before it: modules may be listed in another order."""
    order = {layer.name: place for place, layer in enumerate(classifier.layers())}
    modules = dict(classifier.module.named_modules())
    attentions = [name for name, part in modules.items() if is_attention(part)]
    outermost = [name for name in attentions if not any(name.startswith(f"{other}.") for other in attentions)]
    begins = {name: _begin(name, modules, order) for name in outermost}
    for name in sorted(outermost, key=lambda one: begins[one], reverse=True):
        parent = name.rpartition(".")[0]
        beside = [one for one in tokens if one.name.rpartition(".")[0] == parent and order[one.name] < begins[name]]
        if beside:
            return beside[-1]
    return None


def _begin(name: str, modules: dict[str, nn.Module], order: dict[str, int]) -> int:
    """Return the place in the order of layers at which a module begins to run."""
    inside = [place for layer, place in order.items() if f"{layer}.".startswith(f"{name}.")]
    if inside:
        return min(inside)
    # A fused attention shows no layers of its own: it runs after what is listed before it.
    parent = name.rpartition(".")[0]
    siblings = [f"{parent}.{one}" if parent else one for one, _ in modules[parent].named_children()]
    before = siblings[: siblings.index(name)]
    return 1 + max((order[one] for one in before if one in order), default=-1)
