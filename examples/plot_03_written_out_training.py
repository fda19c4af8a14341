"""
Does a network train as well with the convolution written out?
==============================================================

`UnfoldConv2d` computes a convolution as a matrix product over unfolded columns and brings its own derivatives.
The classic CNN is trained from the same weights on the same batches, as it is and converted, at three learning rates.
"""

import statistics
import time

import drawing
import setting
import torch

import backlight
from backlight.layers import replace_conv, unfold_conv2d
from backlight.table.statistics import wilson

SPEC = "shapes:n=1100,size=24,classes=4@train=0:800,val=800:1100"
epochs = setting.choose(4, 15)
training, validation = setting.part(SPEC, "train"), setting.part(SPEC, "val")
options = {"random": True, "size": 24, "labels": training.label_names, "mean": 0.5, "std": 0.25}

runs = {}
for rate in (3e-4, 1e-3, 3e-3):
    for name in ("F.conv2d", "written out"):
        given = backlight.load("classic_cnn", **options)
        module = given.module if name == "F.conv2d" else replace_conv(given.module)
        classifier = backlight.Classifier.from_module(
            module, mean=given.mean, std=given.std, size=24, labels=training.label_names
        )
        how = setting.recipe(epochs, lr=rate, schedule="constant")
        runs[rate, name] = setting.train_classifier(classifier, training, validation, how)
logs = {key: setting.epochs_of(run) for key, run in runs.items()}

figure, axes = drawing.start(2, width=3.5, height=2.9)
for axis, value in zip(axes, ("val_loss", "val_accuracy")):
    for (rate, name), log in logs.items():
        color = drawing.CYCLE[sorted({rate for rate, _ in runs}).index(rate)]
        style = {"F.conv2d": {"linewidth": 5, "alpha": 0.35}, "written out": {"marker": "o", "markersize": 3}}[name]
        axis.plot(range(1, epochs + 1), log[value], color=color, label=f"{name}, rate {rate:g}", **style)
    axis.set(
        xlabel="epoch", ylabel=value.replace("val_", "validation "), xticks=range(1, epochs + 1, max(1, epochs // 5))
    )
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)

# %%
# Speed and memory
# ----------------
# Time and memory of one layer follow from a pass of its own, forward and backward. Peak memory needs a fresh process
# per measurement, so it is measured by ``benchmarks/layers.py``; here the tensors that autograd keeps between forward
# and backward are counted. The textbook's way unfolds the whole batch and leaves the derivative to autograd.


def textbook(images, weight, padding):
    """Unfold the whole batch and multiply."""
    columns = torch.nn.functional.unfold(images, 3, padding=padding)
    return (weight.flatten(1) @ columns).unflatten(2, images.shape[2:])


draw = torch.Generator().manual_seed(0)
images = torch.randn(8, 64, 32, 32, generator=draw, requires_grad=True)
weight = torch.randn(64, 64, 3, 3, generator=draw, requires_grad=True)
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
speeds = {
    name: statistics.median(run.images_per_second for (_, one), run in runs.items() if one == name)
    for name in ("F.conv2d", "written out")
}
kept = {name: megabytes for name, (_, megabytes) in measured.items()}
figure, axes = drawing.start(3, width=2.7, height=2.4)
for axis, values, label, digits in (
    (axes[0], speeds, "training, images per second", 0),
    (axes[1], {name: 1000 * seconds for name, (seconds, _) in measured.items()}, "one layer, milliseconds", 0),
    (axes[2], kept, "one layer, MB kept for backward", 1),
):
    bars = axis.bar(list(values), list(values.values()), color=drawing.CYCLE)
    axis.bar_label(bars, fmt=f"%.{digits}f", fontsize=8)
    axis.margins(y=0.12)
    axis.set(title=label)
    axis.tick_params(axis="x", labelsize=7)

# %%
# What the run found
# ------------------
# The convolutions differ in the last bits of their sums only. At small rates the two curves lie on each other; a large
# rate lets these bits grow and the curves part a little, which is no difference in accuracy that so many pictures
# could show. Written out, a layer is slower than torch's, and keeps no more than it for the backward pass: columns
# are computed again there, where the textbook's are stored.

for name, (seconds, megabytes) in measured.items():
    print(f"{name:12} one layer {1000 * seconds:6.1f} ms, keeps {megabytes:5.1f} MB")
print("images per second in training:", {name: round(speed) for name, speed in speeds.items()})
for rate in sorted({rate for rate, _ in runs}):
    first, second = (logs[rate, name] for name in ("F.conv2d", "written out"))
    gap = max(abs(a - b) for a, b in zip(first["val_loss"], second["val_loss"]))
    ends = [log["val_accuracy"][-1] for log in (first, second)]
    print(f"rate {rate:g}: accuracy {ends[0]:.3f} and {ends[1]:.3f}; validation losses at most {gap:.4f} apart")
    bounds = [wilson(round(end * len(validation)), len(validation)) for end in ends]
    assert max(low for low, _ in bounds) < min(high for _, high in bounds)
assert kept["written out"] <= kept["F.conv2d"] * 1.01 < kept["textbook"]
