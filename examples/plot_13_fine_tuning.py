"""
Fine-tuning or training from scratch?
=====================================

EfficientNet-lite0 has seen a million photographs, and none of the drawn shapes that it is to tell apart here.
It is trained on few of them in three ways: from random weights, from its ImageNet weights, and from those with
everything but the head frozen.
"""

import drawing
import setting

from backlight.table.statistics import wilson
from backlight.train.start import start_classifier

SPEC = setting.choose(
    "shapes:n=480,size=64,classes=8@train=0:240,val=240:480",
    "shapes:n=2400,size=64,classes=8@train=0:1600,val=1600:2400",
)
epochs = setting.choose(3, 15)
training, validation = setting.part(SPEC, "train"), setting.part(SPEC, "val")
ways = {
    "from scratch": {"pretrained": False, "freeze": 0, "lr": 1e-3},
    "fine-tuned": {"pretrained": True, "freeze": 0, "lr": 1e-3},
    "head only": {"pretrained": True, "freeze": -1, "lr": 1e-2},
}
runs = {}
for label, way in ways.items():
    start = start_classifier("efficientnet_lite0", training, pretrained=way["pretrained"], size=(64, 64))
    how = setting.recipe(epochs, freeze=way["freeze"], lr=way["lr"], batch_size=32)
    runs[label] = setting.train_classifier(start, training, validation, how)
logs = {label: setting.epochs_of(run) for label, run in runs.items()}

figure, (left, middle, right) = drawing.start(3, width=2.8)
for axis, name in ((left, "loss"), (middle, "accuracy")):
    drawing.curves(axis, {one: log[f"val_{name}"] for one, log in logs.items()})
    axis.set(ylabel=f"validation {name}")
left.set_yscale("log")
middle.set_ylim(0, 1.05)
middle.axhline(1 / len(training.label_names), color=drawing.GRAY, linestyle=":", label="chance")
bars = right.bar(list(runs), [run.seconds / epochs for run in runs.values()], color=drawing.CYCLE)
right.bar_label(bars, fmt="%.1f")
right.tick_params(axis="x", labelsize=7)
right.set(ylabel="seconds per epoch")
figure.legend(*middle.get_legend_handles_labels(), loc="outside lower center", ncols=4)

# %%
# What the run found
# ------------------
# Started from the photographs' weights, the network is ahead of the one from scratch from the first epoch on,
# although shapes are no photographs; so few pictures and epochs teach the one from scratch next to nothing. Training
# the head alone does as well here as training everything, and needs no backward pass through the rest.

for label, run in runs.items():
    low, high = wilson(round(run.val_accuracy * len(validation)), len(validation))
    print(
        f"{label:13} validation accuracy {run.val_accuracy:.3f} ({low:.2f} to {high:.2f}) at epoch {run.best_epoch};",
        end=" ",
    )
    print(f"{run.seconds / epochs:.1f} s per epoch")
first = {label: log["val_accuracy"][0] for label, log in logs.items()}
print("after the first epoch:", {label: round(value, 3) for label, value in first.items()})
assert min(first["fine-tuned"], first["head only"]) > max(logs["from scratch"]["val_accuracy"])
