"""
What does a convolution look like as a matrix?
==============================================

The kernel [3, 3, 3] slides over six values. Sliding is linear, so it is a matrix; what lies beyond the ends
decides its first and last rows.
"""

import drawing
import torch

from backlight.layers import conv1d_forward, conv1d_gradients, conv1d_matrix

kernel = torch.tensor([3.0, 3.0, 3.0])
boundaries = ("zero", "reflect", "circular", "replicate")

figure, axes = drawing.start(4, width=2.1, height=2.7)
for axis, boundary in zip(axes, boundaries):
    matrix = conv1d_matrix(kernel, 6, boundary)
    drawing.matrix(axis, matrix, f"{boundary} beyond the ends", reach=6)
    axis.set_xlabel("input")
    print(f"{boundary:9} row sums {[int(value) for value in matrix.sum(1)]}")
    assert (matrix.sum(1) == 9).all() == (boundary != "zero")
axes[0].set_ylabel("output")

# %%
# What the run found
# ------------------
# Every row but the outer ones is the kernel, shifted. Only with zeros beyond the ends do the outer rows sum to
# less than 9: a constant signal would darken at its ends. The other three boundaries move the missing weight to
# the mirrored, the opposite or the last value.
#
# One step of gradient descent
# ----------------------------
# For a cost C of y = Mx all derivatives follow from dC/dy: dC/dM = dC/dy xᵀ, and the kernel's derivative sums
# dC/dM over the cells in which each tap stands. A step against it must lower the cost.

signal = torch.rand(8, 6, generator=torch.Generator().manual_seed(1))
wanted = conv1d_forward(conv1d_matrix(torch.tensor([-1.0, 2.0, -1.0]), 6), signal)  # what the kernel should do
eta, costs, weight = 0.01, [], kernel.clone()
for _ in range(60):
    difference = conv1d_forward(conv1d_matrix(weight, 6), signal) - wanted
    costs.append(float(0.5 * difference.pow(2).sum()))
    gradients = conv1d_gradients(weight, signal, grad_output=difference)
    weight = weight - eta * gradients.weight

figure, (left, middle, right) = drawing.start(3, width=2.7, height=2.4)
first = conv1d_forward(conv1d_matrix(kernel, 6), signal) - wanted
slopes = conv1d_gradients(kernel, signal, grad_output=first)
drawing.matrix(left, slopes.matrix, "dC/dM before the step")
drawing.matrix(middle, conv1d_matrix(kernel - eta * slopes.weight, 6), "M after one step", digits=1)
right.semilogy(costs, color=drawing.BLUE)
right.set(xlabel="step", ylabel="cost C", title="the cost falls at every step")

# %%
# dC/dM has numbers in every cell, as if each could move alone; the kernel shares its three taps among them, so
# the matrix after the step is banded as before.

print(f"C before {costs[0]:.2f}, after one step {costs[1]:.2f}, after {len(costs)} steps {costs[-1]:.4f}")
print(f"dC/dw {slopes.weight.tolist()}, kernel at the end {[round(value, 2) for value in weight.tolist()]}")
assert costs[1] < costs[0]
assert all(later < earlier for earlier, later in zip(costs, costs[1:]))
