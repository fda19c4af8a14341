"""Gradients from first principles: small functions that the gallery runs and draws."""

from backlight.lessons.gradients import (
    DerivativeComparison,
    VectorGradients,
    compare_derivatives,
    gradient_by_ones,
    gradient_by_sum,
    numerical_gradient,
    vector_gradients,
)
from backlight.lessons.image_gradients import SpatialGradients, spatial_gradients
from backlight.lessons.softmax import (
    QuantityGradients,
    input_gradients,
    logit_gradients,
    softmax,
    softmax_jacobian,
)
from backlight.lessons.taylor import SineDerivative, derivative_of_sine, sin_taylor

__all__ = [
    "DerivativeComparison",
    "QuantityGradients",
    "SineDerivative",
    "SpatialGradients",
    "VectorGradients",
    "compare_derivatives",
    "derivative_of_sine",
    "gradient_by_ones",
    "gradient_by_sum",
    "input_gradients",
    "logit_gradients",
    "numerical_gradient",
    "sin_taylor",
    "softmax",
    "softmax_jacobian",
    "spatial_gradients",
    "vector_gradients",
]
