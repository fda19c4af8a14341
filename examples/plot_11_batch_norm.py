"""
What does batch normalization change, and when does a network overfit?
======================================================================

A plain network of four convolutions, the same with batch normalization, and a deeper one are trained on few
pictures, without augmentation, so that memorizing is possible.
"""

import drawing
import setting

from backlight.train.augment import Augmentation

SPEC = "shapes:n=600,size=64,classes=4"
names = {"plain": "simple_net", "normalized": "simple_net_bn", "deep, normalized": "deep_net"}
epochs = setting.choose(6, 25)
runs = {
    label: setting.train(name, SPEC, epochs=epochs, augment=Augmentation(), schedule="constant")
    for label, name in names.items()
}
logs = {label: setting.epochs_of(run) for label, run in runs.items()}

figure, (left, right) = drawing.start(2, width=3.5)
for axis, name in ((left, "loss"), (right, "accuracy")):
    drawing.curves(
        axis, {one: log[f"val_{name}"] for one, log in logs.items()}, {one: log[name] for one, log in logs.items()}
    )
    axis.set_title(f"{name} (dashed: training)")
left.set_ylim(0, 3)
left.legend(fontsize=7)

# %%
# What the run found
# ------------------
# Overfitting is the distance between training and validation. The normalized network learns faster from the same
# number of pictures; what it gains on those it has seen, it does not all keep on new ones.

for label, log in logs.items():
    gap = log["accuracy"][-1] - log["val_accuracy"][-1]
    print(
        f"{label:17} training {log['accuracy'][-1]:.2f}, validation {log['val_accuracy'][-1]:.2f}, gap {gap:+.2f};",
        end=" ",
    )
    print(f"best epoch {runs[label].best_epoch} of {epochs}, {runs[label].images_per_second:.0f} images/s")
assert logs["normalized"]["loss"][-1] < logs["plain"]["loss"][-1]
