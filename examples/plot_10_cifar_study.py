"""
What does the classic CNN confuse, and is it the background's fault?
====================================================================

The classic CIFAR-10 network and its residual variant are trained alike, and of each the epoch of lowest validation
loss is kept. The quick setting draws its pictures, eight kinds of shapes; with BACKLIGHT_GALLERY=full and
BACKLIGHT_DATA they are those that the reader names, such as CIFAR-10.
"""

import drawing
import setting
import torch
from scipy.stats import ttest_ind

from backlight.evaluate import evaluate
from backlight.explain import explain

epochs = setting.choose(8, 30)
names = ("classic_cnn", "residual_cnn")
runs = {name: setting.train(name, setting.SMALL_PICTURES, epochs=epochs, schedule="constant") for name in names}
logs = {name: setting.epochs_of(run) for name, run in runs.items()}

figure, (left, right) = drawing.start(2, width=3.5)
for axis, name in ((left, "loss"), (right, "accuracy")):
    drawing.curves(
        axis, {one: log[f"val_{name}"] for one, log in logs.items()}, {one: log[name] for one, log in logs.items()}
    )
    axis.set(title="validation, and dashed: training", ylabel=name)
for color, (name, run) in zip(drawing.CYCLE, runs.items()):
    kept = {"markersize": 11, "fillstyle": "none", "color": color, "label": f"kept: epoch {run.best_epoch}"}
    left.plot(run.best_epoch, run.val_loss, "o", **kept)
    last = logs[name]["val_loss"][-1]
    worth = f"the last one has {last:.3f}" if run.best_epoch < epochs else "it is the last: training could go on"
    print(f"{name}: epoch {run.best_epoch} of {epochs} has the lowest validation loss, {run.val_loss:.3f}; {worth}")
    assert run.val_loss == min(logs[name]["val_loss"])
left.legend(fontsize=7)

# %%
# Confusion on the test part
# --------------------------

test = setting.part(setting.SMALL_PICTURES, "test")
classifier = runs["classic_cnn"].classifier
found = evaluate(classifier, test)
low, high = found.accuracy_interval
print(f"accuracy {found.accuracy:.3f}, 95% interval {low:.3f} to {high:.3f}, on {len(test)} pictures")

counts = torch.as_tensor(found.confusion.dense())
shares = counts / counts.sum(1, keepdim=True)
figure, axis = drawing.start(width=4.6, height=4.2)
drawing.matrix(axis, 100 * shares, "share of each true class, percent")
names = found.labels
axis.set(xticks=range(len(names)), yticks=range(len(names)), xlabel="taken for", ylabel="true class, with its accuracy")
axis.set_xticklabels(names, rotation=45, ha="right")
axis.set_yticklabels([f"{name}  {found.per_class[name].accuracy:.0%}" for name in names])

# %%
# The most confused pair, both ways
# ---------------------------------

pair = found.most_confused[0]
print(f"{pair.true} is taken for {pair.predicted} {pair.count} times, {pair.fraction:.0%} of its pictures")
numbers = [names.index(pair.true), names.index(pair.predicted)]
labels, predicted = (torch.tensor(found.table[column]) for column in ("label", "prediction"))


def rows_of(true, guess):
    """Give the rows of one true and one predicted class."""
    return ((labels == true) & (predicted == guess)).nonzero()[:, 0]


ways = [(numbers[0], numbers[1]), (numbers[1], numbers[0])]
shown = [[image / 255 for image in test.read(rows_of(*way)[:7])] for way in ways]
kept = [(row, way) for row, way in zip(shown, ways) if row]
figure = drawing.pictures(
    [row for row, _ in kept], names=[f"{names[a]}\ntaken for\n{names[b]}" for _, (a, b) in kept], size=1.1
)

# %%
# Does the background explain it?
# -------------------------------
# Two numbers per picture of the two classes: the share of pixels in which green leads, and the share of the
# explanation (saliency) in the outer eighth on each side. If backgrounds were to blame, confused pictures should
# differ from correct ones.

confused = torch.cat([rows_of(*way) for way in ways])
correct = torch.cat([rows_of(number, number) for number in numbers])


def background(rows):
    """Give the share of green pixels and of explanation mass near the border, per picture."""
    images = test.read(rows).float() / 255
    green = (images[:, 1] > torch.maximum(images[:, 0], images[:, 2])).double().mean((1, 2))
    heat = explain(classifier, images, "top", methods=["saliency"])["saliency"].heatmap().double()
    margin = images.shape[-1] // 8
    inside = heat[:, margin:-margin, margin:-margin].sum((1, 2))
    return {"green share": green, "explanation near the border": 1 - inside / heat.sum((1, 2))}


groups = {"confused": background(confused), "correct": background(correct)}
sizes = {"confused": len(confused), "correct": len(correct)}
figure, axes = drawing.start(2, width=3.0, height=2.6)
for axis, name in zip(axes, groups["confused"]):
    means = [drawing.interval(group[name]) for group in groups.values()]
    axis.bar(
        [f"{group}\n({size} pictures)" for group, size in sizes.items()],
        [mean for mean, _ in means],
        yerr=[half for _, half in means],
        capsize=4,
        color=[drawing.ORANGE, drawing.BLUE],
    )
    axis.set(title=name, ylabel="mean share, 95% interval")

# %%
# What the run found
# ------------------
# The finding is the sentence that the run prints: only an interval of the difference that leaves out 0 would
# speak for the background.

for name in groups["confused"]:
    welch = ttest_ind(groups["confused"][name], groups["correct"][name], equal_var=False)
    low, high = welch.confidence_interval(0.95)
    verdict = "no, no difference that so many pictures could show" if low <= 0 <= high else "yes, it differs"
    print(f"{name}: confused minus correct, 95% interval {low:+.3f} to {high:+.3f}: {verdict}")
