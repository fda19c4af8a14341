"""
How little does it take to change a prediction?
===============================================

The fast gradient sign method looks at a photograph once and moves every value by the same 0.007, less than two
of the 255 steps of an 8-bit picture, in the direction that raises the loss.
"""

import drawing
import setting

from backlight.attack import attack
from backlight.images.render import amplify

classifier = setting.pretrained()
images = setting.photographs(classifier, "coffee.png", "chelsea.png", "motorcycle_left.png")
result = attack(classifier, images, method="fgsm", norm="linf", eps=0.007)

before, after = classifier.probabilities(images), classifier.probabilities(result.images)


def caption(probabilities, row, index):
    return f"{classifier.label(int(index))}\n{float(probabilities[row, index]):.1%}"


rows, titles = [], []
for row in range(len(images)):
    sign = amplify(result.perturbation[row], 0.5 / 0.007)
    rows.append([images[row], sign, result.images[row]])
    left, right = caption(before, row, result.label_before[row]), caption(after, row, result.label_after[row])
    titles.append([f"original: {left}", "sign of the\ngradient", f"result: {right}"])
figure = drawing.pictures(rows, titles, size=2.0)

# %%
# What the run found
# ------------------
# One step takes the probability of the predicted class down on every photograph, and on most far enough that another
# class is predicted, while no value moves by more than 0.007. The sign of the gradient shows no object: it is a
# pattern of single pixels, spread over the whole picture.

fooled = int(result.success.sum())
print(f"{fooled} of {len(images)} predictions changed; largest change {float(result.distance.max()):.4f}")
print(f"passes: {result.forwards.tolist()} forward, {result.backwards.tolist()} backward")
drops = before.max(1).values - after.gather(1, result.label_before[:, None])[:, 0]
print("loss of probability of the first class:", [round(float(drop), 3) for drop in drops])
assert float(result.distance.max()) <= 0.007 + 1e-6
assert fooled > len(images) / 2
assert bool((drops > 0).all())
