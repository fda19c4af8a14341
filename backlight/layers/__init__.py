"""Convolution and attention written out, in parts that are correct, tested and usable in training."""

from backlight.layers.attention import WindowAttention, attention
from backlight.layers.conv1d import (
    Conv1dGradients,
    conv1d_forward,
    conv1d_gradients,
    conv1d_matrix,
    conv1d_taps,
)
from backlight.layers.conv2d import UnfoldConv2d, replace_conv, unfold_conv2d
from backlight.layers.transformer import PatchEmbedding, PositionEmbedding, TransformerBlock

__all__ = [
    "Conv1dGradients",
    "PatchEmbedding",
    "PositionEmbedding",
    "TransformerBlock",
    "UnfoldConv2d",
    "WindowAttention",
    "attention",
    "conv1d_forward",
    "conv1d_gradients",
    "conv1d_matrix",
    "conv1d_taps",
    "replace_conv",
    "unfold_conv2d",
]
