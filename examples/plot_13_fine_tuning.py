"""
Fine-tuning or training from scratch?
=====================================

EfficientNet-lite0 has seen a million photographs, and none of the drawn shapes that it is to tell apart here.
It is trained on few of them in three ways: from random weights, from its ImageNet weights, and from those with
everything but the head frozen.
"""

import drawing
import setting

from backlight.train.start import start_classifier

SPEC = "shapes:n=480,size=64,classes=4"
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

figure, (left, right) = drawing.start(2, width=3.5)
for axis, name in ((left, "loss"), (right, "accuracy")):
    drawing.curves(axis, {one: log[f"val_{name}"] for one, log in logs.items()})
    axis.set_title(f"validation {name}")
left.set_yscale("log")
left.legend(fontsize=7)

# %%
# What the run found
# ------------------
# Started from the photographs' weights, the network is ahead of the one from scratch from the first epoch on,
# although shapes are no photographs. Training the head alone costs a fraction of the time.

for label, run in runs.items():
    print(f"{label:13} validation accuracy {run.val_accuracy:.3f} after {epochs} epochs, {run.seconds:.0f} s")
assert runs["fine-tuned"].val_accuracy > runs["from scratch"].val_accuracy
