"""
Does a network train as well with the convolution written out?
==============================================================

`UnfoldConv2d` computes a convolution as a matrix product over unfolded columns and brings its own derivatives.
The classic CNN is trained twice from the same weights on the same batches: once as it is, once converted.
"""

import statistics
import time

import drawing
import setting
import torch

import backlight
from backlight.layers import replace_conv

SHAPES = "shapes:n=1000,size=32,classes=4"
epochs = setting.choose(4, 15)
training, validation = setting.part(SHAPES, "train"), setting.part(SHAPES, "val")
options = {"random": True, "size": 32, "labels": training.label_names, "mean": 0.5, "std": 0.25}

runs = {}
for name in ("F.conv2d", "written out"):
    given = backlight.load("classic_cnn", **options)
    module = given.module if name == "F.conv2d" else replace_conv(given.module)
    classifier = backlight.Classifier.from_module(
        module, mean=given.mean, std=given.std, size=32, labels=training.label_names
    )
    runs[name] = setting.train_classifier(classifier, training, validation, setting.recipe(epochs))

logs = {name: setting.epochs_of(run) for name, run in runs.items()}

# %%
# Time and memory of one layer follow from a pass of its own, forward and backward. Peak memory needs a fresh
# process per measurement, so it is measured by `benchmarks/layers.py`; here the tensors that autograd keeps
# between forward and backward are counted.

from backlight.layers import unfold_conv2d


def textbook(images, weight, padding):
    """Unfold the whole batch and leave the derivative to autograd."""
    columns = torch.nn.functional.unfold(images, 3, padding=padding)
    return (weight.flatten(1) @ columns).unflatten(2, images.shape[2:])


images, weight = torch.randn(8, 64, 32, 32, requires_grad=True), torch.randn(64, 64, 3, 3, requires_grad=True)
variants = {"F.conv2d": torch.nn.functional.conv2d, "written out": unfold_conv2d, "textbook": textbook}


def measure(function):
    """Give the median seconds of five passes, and the MB that autograd keeps in one."""
    taken, stored = [], {}
    for _ in range(5):
        begin = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda one: stored.setdefault(one.data_ptr(), one), lambda one: one
        ):
            output = function(images, weight, padding=1)
        megabytes = sum(tensor.numel() * 4 for tensor in stored.values()) / 1e6
        output.sum().backward()
        taken.append(time.perf_counter() - begin)
        stored.clear()
    return statistics.median(taken), megabytes


measured = {name: measure(function) for name, function in variants.items()}
seconds = {name: found[0] for name, found in measured.items()}
kept = {name: found[1] for name, found in measured.items()}

figure, (left, middle, right) = drawing.start(3, width=2.8)
drawing.curves(left, {name: log["val_loss"] for name, log in logs.items()}, {n: log["loss"] for n, log in logs.items()})
left.set(title="loss (dashed: training)")
left.legend(fontsize=7)
middle.bar(seconds.keys(), [1000 * value for value in seconds.values()], color=drawing.CYCLE)
middle.set(title="milliseconds, forward + backward")
right.bar(kept.keys(), kept.values(), color=drawing.CYCLE)
right.set(title="MB kept for the backward pass")
for axis in (middle, right):
    axis.tick_params(axis="x", labelsize=7)

# %%
# What the run found
# ------------------
# The curves lie on each other: the two convolutions differ in the last bits of their sums only. Written out, a
# layer is slower, and keeps no more than `F.conv2d` does: columns are recomputed in the backward pass where the
# textbook's are stored.

gap = max(abs(a - b) for a, b in zip(*(log["val_loss"] for log in logs.values())))
for name in variants:
    print(f"{name:12} {1000 * seconds[name]:7.1f} ms   keeps {kept[name]:5.1f} MB")
for name, run in runs.items():
    print(f"{name:12} trained at {run.images_per_second:.0f} images/s, validation accuracy {run.val_accuracy:.3f}")
print(f"largest distance of the validation losses: {gap:.4f}")
assert gap < 0.1
assert kept["written out"] <= kept["F.conv2d"] * 1.01 < kept["textbook"]
