"""
What does a fooling image look like?
====================================

Photographs are changed by normalized ascent until the network predicts a class that the reader chooses with
confidence. The change is shown as it is and ten times enlarged.
"""

import drawing
import setting

from backlight.visualize import fooling_image

classifier = setting.pretrained()
images = setting.photographs(classifier, "coffee.png", "chelsea.png", "camera.png")
targets = ["stingray", "goldfish", "tabby"]
found = fooling_image(classifier, images, targets)

before, after = classifier.probabilities(images), classifier.probabilities(found.images)
rows, titles = [], []
for row, target in enumerate(found.targets.tolist()):
    first = int(before[row].argmax())
    rows.append([images[row], found.images[row], 0.5 + found.difference[row], found.amplified[row]])
    names = [f"{classifier.label(k)} {float(p[row, k]):.1%}" for p, k in ((before, first), (after, target))]
    titles.append([*names, "difference", "difference x 10"])
figure = drawing.pictures(rows, titles, size=1.9)

# %%
# What the run found
# ------------------
# Every photograph is taken for the chosen class with high confidence. The difference is next to invisible as it is
# and shows no object even ten times enlarged.

for row, target in enumerate(targets):
    change = 255 * float(found.difference[row].abs().mean())
    print(f"{target:9} {float(after[row, found.targets[row]]):.1%} after {int(found.steps[row])} steps;", end=" ")
    print(f"l2 {float(found.distance[row]):.2f}, mean change {change:.2f} of 255; {found.stopped[row]}")
    assert change < 8
assert bool(found.success.all())
