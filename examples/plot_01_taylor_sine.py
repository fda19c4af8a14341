"""
Does automatic differentiation know that the sine becomes the cosine?
=====================================================================

The sine is written as a Taylor sum: multiplications and additions, nothing else. No line of it mentions a
cosine. Differentiating the program must still give one.
"""

import math

import drawing
import torch

from backlight.lessons import compare_derivatives, derivative_of_sine, sin_taylor, vector_gradients

draws = torch.rand(100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
points = (2 * draws - 1) * 2 * torch.pi
found = derivative_of_sine(points, terms=12)
quarter = derivative_of_sine(torch.tensor(torch.pi / 4, dtype=torch.float64))

figure, (left, right) = drawing.start(2, width=3.8)
line = torch.linspace(-2 * torch.pi, 2 * torch.pi, 400, dtype=torch.float64)
left.plot(line, line.cos(), color=drawing.GRAY, label="cosine")
left.plot(points, found.derivative, "o", color=drawing.BLUE, markersize=3, label="derivative of the sum")
left.plot(torch.pi / 4, quarter.derivative, "D", color=drawing.ORANGE, label=r"at $\pi/4$")
left.set(xlabel="x", ylabel="derivative", title="12 terms, 100 random points", ylim=(-1.3, 1.9))
left.legend(loc="upper center", ncols=3, fontsize=7, columnspacing=0.8)
for color, terms in zip(drawing.CYCLE, (4, 6, 8, 10, 12)):
    errors = (derivative_of_sine(line, terms).derivative - line.cos()).abs()
    right.semilogy(line, errors.clamp(min=1e-17), color=color, label=f"{terms} terms")
right.set(xlabel="x", ylabel="distance", title="distance to the cosine", ylim=(1e-17, 1e9))
right.legend(fontsize=7, ncols=2)

# %%
# What the run found
# ------------------
# The derivative is the cosine up to the terms that were left out; near zero only rounding is left. Nothing is
# approximated by automatic differentiation itself: it is exact for the program that was written.

print(f"largest distance to the cosine on 100 points: {found.largest_error:.1e}")
print(f"at pi/4: {quarter.derivative.item():.12f}, 1/sqrt(2) = {0.5**0.5:.12f}")
bound = (2 * torch.pi) ** 24 / math.factorial(24)  # the first term that the derivative leaves out, at its largest
print(f"bound by the first term left out: {bound:.1e}")
assert found.largest_error < bound
assert abs(quarter.derivative.item() - 0.5**0.5) < 1e-12

# %%
# Two asides. The derivative of many values at once needs a vector to pull back, and `backward()` says so; and
# differences of values agree with it only up to their own error, which has a best step.

both = vector_gradients(sin_taylor, points)
print(f"sum and vector of ones agree: {torch.equal(both.by_sum, both.by_ones)}; without: {both.backward_error!r}")
assert torch.equal(both.by_sum, both.by_ones)

steps = [10.0**-k for k in range(1, 13)]
errors = [compare_derivatives(torch.sin, points, step).largest_error for step in steps]
best = steps[errors.index(min(errors))]
figure, axis = drawing.start(width=4.2)
axis.loglog(steps, errors, "o-")
axis.set(xlabel="step of the difference", ylabel="largest error", title="central differences against autograd")
print(f"best step {best:.0e}, error {min(errors):.0e}")
assert 1e-7 < best < 1e-3
