"""
Can a photograph be made anything one likes?
============================================

A cup of coffee is walked towards "tarantula" by at most 200 steps, each along the gradient of that class's
probability, normalized to a fixed l2 length. It stops when the class is predicted.
"""

import drawing
import setting
import torch

from backlight.attack import attack
from backlight.render import amplify

classifier = setting.pretrained()
images = setting.photographs(classifier, "coffee.png", "chelsea.png")
targets = ["tarantula", "espresso"]
result = attack(classifier, images, method="targeted_l2", target=targets, steps=200)
before, after = classifier.probabilities(images), classifier.probabilities(result.images)

rows, titles = [], []
for row in range(len(images)):
    wanted, first = int(result.targets[row]), int(result.label_before[row])
    rows.append([images[row], result.images[row], amplify(result.perturbation[row], 10)])
    captions = [
        f"{classifier.label(index)} {float(p[row, index]):.1%}" for p, index in ((before, first), (after, wanted))
    ]
    titles.append([*captions, f"difference x 10\nl2 {float(result.distance[row]):.2f}"])
figure = drawing.pictures(rows, titles, size=2.1)

# %%
# The probabilities of both classes before and after:

figure, axes = drawing.start(2, width=3.2, height=2.2)
for row, axis in enumerate(axes):
    pair = [int(result.label_before[row]), int(result.targets[row])]
    places = torch.arange(2)
    axis.bar(places - 0.18, before[row, pair], 0.36, color=drawing.BLUE, label="before")
    axis.bar(places + 0.18, after[row, pair], 0.36, color=drawing.ORANGE, label="after")
    axis.set(xticks=places, xticklabels=[classifier.label(index) for index in pair], ylim=(0, 1), ylabel="probability")
axes[0].legend(fontsize=7)

# %%
# What the run found
# ------------------
# Both photographs became what was asked for within 200 steps. Can you tell them apart? The numbers say how hard
# that is: the mean change of a value, in steps of an 8-bit picture.

for row, target in enumerate(targets):
    change = 255 * float(result.perturbation[row].abs().mean())
    print(f"{target:10} after {int(result.steps[row])} steps: {result.stopped[row]}; mean change {change:.2f} of 255")
    assert change < 5
assert bool(result.success.all())
assert bool((after.gather(1, result.targets[:, None]) > before.gather(1, result.targets[:, None])).all())
