"""
What does batch normalization change, and when does a network overfit?
======================================================================

A plain network of four convolutions, the same with batch normalization, and a deeper one of ten are trained on few
pictures, without augmentation, so that memorizing is possible.
"""

import drawing
import setting

from backlight.evaluate import evaluate
from backlight.train.augment import Augmentation

SPEC = "shapes:n=1120,size=48,classes=4@train=0:320,val=320:620,test=620:1120"
names = {"plain": "simple_net", "normalized": "simple_net_bn", "deep, normalized": "deep_net"}
epochs = setting.choose(10, 40)
how = {"augment": Augmentation(), "schedule": "constant", "batch_size": 16, "lr": 5e-4}
runs = {label: setting.train(name, SPEC, epochs=epochs, **how) for label, name in names.items()}
logs = {label: setting.epochs_of(run) for label, run in runs.items()}

figure, (left, right) = drawing.start(2, width=3.5)
for axis, name in ((left, "loss"), (right, "accuracy")):
    drawing.curves(
        axis, {one: log[f"val_{name}"] for one, log in logs.items()}, {one: log[name] for one, log in logs.items()}
    )
    axis.set(title="validation, and dashed: training", ylabel=name)
left.set_ylim(0, 2.5)
right.set_ylim(0, 1)
left.legend(fontsize=7)

# %%
# Overfitting in numbers: the accuracy on the pictures of the training and on the test pictures, at the epoch of
# lowest validation loss, and the losses that training on to the last epoch ends with.

found = {}
for label, run in runs.items():
    seen, unseen = (evaluate(run.classifier, setting.part(SPEC, part)) for part in ("train", "test"))
    found[label] = (seen.accuracy, unseen.accuracy, unseen.accuracy_interval)
    low, high = unseen.accuracy_interval
    print(
        f"{label}, epoch {run.best_epoch}: accuracy on training pictures {seen.accuracy:.2f}, on test pictures", end=" "
    )
    print(f"{unseen.accuracy:.2f} (95% interval {low:.2f} to {high:.2f}), gap {seen.accuracy - unseen.accuracy:+.2f};")
    losses = [logs[label][name][-1] for name in ("loss", "val_loss")]
    print(f"    after the last epoch: training loss {losses[0]:.2f}, validation loss {losses[1]:.2f}")

# %%
# What the run found
# ------------------
# Batch normalization makes learning faster: halfway, the training losses of the normalized networks are far below the
# plain one's. Whether the normalized network is better on new pictures too, the last line says. The deep network
# memorizes as fast as the other, and keeps far less of it on new pictures: that is overfitting.

half = epochs // 2
print(f"training loss after {half} epochs:", {label: round(log["loss"][half - 1], 2) for label, log in logs.items()})
faster = [logs[label]["loss"][half - 1] for label in ("normalized", "deep, normalized")]
assert max(faster) < 0.7 * logs["plain"]["loss"][half - 1]
lows, highs = zip(*(interval for _, _, interval in found.values()))
assert highs[2] < min(lows[:2])
told = "overlap: no difference that so many pictures could show" if max(lows[:2]) < min(highs[:2]) else "do not overlap"
print(f"plain and normalized on test pictures: the 95% intervals {told}")
