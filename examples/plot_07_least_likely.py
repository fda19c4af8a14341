"""
How fast does accuracy fall with epsilon, and with the number of steps?
=======================================================================

PGD drives every test picture towards the class that the network finds least likely. What is left of the
accuracy is drawn over the size of the perturbation and over the steps spent.
"""

import drawing
import setting

from backlight.attack import attack
from backlight.evaluate.metrics import wilson

SHAPES = "shapes:n=2000,size=32,classes=8"
run = setting.train("classic_cnn", SHAPES, epochs=setting.choose(5, 30))
test = setting.part(SHAPES, "test").limited(setting.choose(100, 500))
batch = next(test.batches(len(test)))
clean = float((run.classifier.logits(batch.images).argmax(1) == batch.labels).float().mean())


def accuracy(eps, steps):
    """Give accuracy and success of PGD to the least-likely class."""
    options = {"eps": eps, "steps": steps, "step_size": max(eps / 4, 1 / 255), "target": "least-likely"}
    result = attack(run.classifier, batch.images, batch.labels, method="pgd", **options)
    right = int((result.label_after == batch.labels).sum())
    return right / len(test), wilson(right, len(test)), float(result.success.float().mean())


sizes = [n / 255 for n in (2, 4, 8, 16, 32)]
counts = [1, 3, 10, 20]
by_size = [accuracy(eps, 10) for eps in sizes]
by_steps = [accuracy(8 / 255, steps) for steps in counts]

figure, axes = drawing.start(2, width=3.5)
for axis, places, found, label in (
    (axes[0], [round(255 * eps) for eps in sizes], by_size, "eps in steps of 1/255 (10 steps)"),
    (axes[1], counts, by_steps, "steps (eps 8/255)"),
):
    low, high = zip(*(bounds for _, bounds, _ in found))
    axis.fill_between(places, low, high, color=drawing.BLUE, alpha=0.15)
    axis.plot(places, [value for value, _, _ in found], "o-", color=drawing.BLUE, label="accuracy")
    axis.plot(places, [success for _, _, success in found], "o-", color=drawing.ORANGE, label="least-likely predicted")
    axis.axhline(clean, color=drawing.GRAY, linestyle="--", label="accuracy without attack")
    axis.set(xlabel=label, ylim=(0, 1))
axes[0].legend(fontsize=7)

# %%
# What the run found
# ------------------
# Accuracy falls with both; reaching the least-likely class takes more than leaving the right one, so its curve
# rises later. Bands are 95 % Wilson intervals.

print(f"accuracy without attack {clean:.2f} on {len(test)} pictures")
for eps, (value, _, success) in zip(sizes, by_size):
    print(f"eps {round(255 * eps):2}/255, 10 steps: accuracy {value:.2f}, least-likely predicted {success:.2f}")
for steps, (value, _, success) in zip(counts, by_steps):
    print(f"eps  8/255, {steps:2} steps: accuracy {value:.2f}, least-likely predicted {success:.2f}")
assert by_size[-1][0] < clean
assert by_steps[-1][0] <= by_steps[0][0]
assert by_size[-1][2] >= by_size[0][2]
