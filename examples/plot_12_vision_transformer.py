"""
What do windows and positions mean to a vision transformer?
===========================================================

A small transformer is trained in three forms: attention over the whole image with learned positions, the same
in one block inside windows, and without positions.
"""

import drawing
import setting
import torch

from backlight.evaluate.metrics import wilson

SPEC = "shapes:n=1500,size=16,classes=2"
base = "vit:depth=2,dim=64,window=2"
forms = {
    "whole image": base,
    "windows": f"{base},window_blocks=0",
    "no positions": f"{base},positions=none",
}
epochs = setting.choose(10, 60)
runs = {label: setting.train(form, SPEC, epochs=epochs, lr=2e-3) for label, form in forms.items()}
logs = {label: setting.epochs_of(run) for label, run in runs.items()}

# %%
# Without positions the network cannot know where a patch was: shuffling the patches of a picture must not change
# its logits. With them, or inside windows, it must.

test = setting.part(SPEC, "test")
images = test.read(range(4)).float() / 255
side = images.shape[-1] // 4
order = torch.randperm(side * side, generator=torch.Generator().manual_seed(0))
patches = images.unfold(2, 4, 4).unfold(3, 4, 4).flatten(2, 3)[:, :, order].unflatten(2, (side, side))
shuffled = patches.permute(0, 1, 2, 4, 3, 5).reshape(images.shape).contiguous()
moved = {
    label: float((run.classifier.logits(images) - run.classifier.logits(shuffled)).abs().max())
    for label, run in runs.items()
}

figure, (left, right) = drawing.start(2, width=3.5)
for axis, name in ((left, "loss"), (right, "accuracy")):
    drawing.curves(
        axis, {one: log[f"val_{name}"] for one, log in logs.items()}, {one: log[name] for one, log in logs.items()}
    )
    axis.set_title(f"{name} (dashed: training)")
left.legend(fontsize=7)
figure = drawing.pictures([[*images[:3], *shuffled[:3]]], [["picture"] * 3 + ["shuffled"] * 3], size=1.2)

# %%
# What the run found
# ------------------
# What shuffling does is exact. Which form is more accurate is not for so short a training to say: the intervals
# of the accuracies, of 95 %, are wide.

for label, run in runs.items():
    validation = setting.part(SPEC, "val")
    low, high = wilson(round(run.val_accuracy * len(validation)), len(validation))
    print(f"{label:13} validation accuracy {run.val_accuracy:.3f} ({low:.2f} to {high:.2f});", end=" ")
    print(f"shuffling the patches moves the logits by up to {moved[label]:.1e}")
assert moved["no positions"] < 1e-4 < min(moved["whole image"], moved["windows"])
