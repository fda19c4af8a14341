"""
Can a photograph be made anything one likes?
============================================

Two photographs are walked towards a class that has nothing to do with them by 200 steps, each along the gradient of
that class's probability and of the same small l2 length. The walk does not stop when the class is predicted.
"""

import drawing
import setting
import torch

from backlight.images.render import amplify
from backlight.pixels import Box, Pixels, Unit, probability, turns

STEP = 0.1
classifier = setting.pretrained()
images = setting.photographs(classifier, "coffee.png", "chelsea.png")
wanted = torch.tensor([classifier.class_index(label) for label in ("tarantula", "espresso")])
before = classifier.probabilities(images)
first = before.argmax(1)

walk = {"objective": probability(wanted), "parametrization": Pixels(images), "rule": Unit(STEP), "constraint": Box()}
path = []
for run in turns(classifier, **walk, steps=200, keep="last"):
    if run.t:
        path.append(run.result.value.clone())
result, path = run.result, torch.stack(path, 1)
after = classifier.probabilities(result.images)

difference = result.images - images
rows, titles = [], []
for row in range(len(images)):
    rows.append([images[row], result.images[row], amplify(difference[row], 10)])
    captions = [
        f"{classifier.label(int(k))} {float(p[row, k]):.1%}" for p, k in ((before, first[row]), (after, wanted[row]))
    ]
    length = float(difference[row].norm())
    titles.append(
        [f"before:\n{captions[0]}", f"after 200 steps:\n{captions[1]}", f"difference x 10\nl2 length {length:.2f}"]
    )
figure = drawing.pictures(rows, titles, size=2.1)

# %%
# The probabilities of both classes before and after, and that of the wanted class on the way:

figure, axes = drawing.start(3, width=2.9, height=2.3)
for row, axis in enumerate(axes[:2]):
    pair = [int(first[row]), int(wanted[row])]
    places = torch.arange(2)
    for shift, values, color, name in ((-0.2, before, drawing.BLUE, "before"), (0.2, after, drawing.ORANGE, "after")):
        bars = axis.bar(places + shift, values[row, pair], 0.4, color=color, label=name)
        axis.bar_label(bars, [f"{value:.1%}" for value in values[row, pair].tolist()], fontsize=7)
    axis.set(xticks=places, xticklabels=[classifier.label(k) for k in pair], ylim=(0, 1.3), ylabel="probability")
    axis.legend(fontsize=7, ncols=2, loc="upper center")
for row, style in enumerate(("-", "--")):
    label = f"{classifier.label(int(first[row]))} to {classifier.label(int(wanted[row]))}"
    axes[2].plot(path[row], style, label=label)
axes[2].set(xlabel="step", ylabel="probability", title="the wanted class on the way", ylim=(0, 1.3))
axes[2].legend(fontsize=7, loc="upper center")

# %%
# What the run found
# ------------------
# The first few dozen of the 200 steps settle it, the rest only make sure. Can you tell the pictures apart? The numbers
# say how hard that is: on average a value moves by one or two of the 255 steps of an 8-bit picture.

for row in range(len(images)):
    old, new = int(first[row]), int(wanted[row])
    print(
        f"{classifier.label(old)}: {float(before[row, old]):.1%} before, {float(after[row, old]):.3%} after", end="; "
    )
    print(f"{classifier.label(new)}: {float(before[row, new]):.4%} before, {float(after[row, new]):.1%} after")
    crossed = int((path[row] > 0.5).nonzero()[0])
    mean, largest = 255 * float(difference[row].abs().mean()), 255 * float(difference[row].abs().max())
    print(f"    above one half after {crossed} steps; mean change {mean:.1f}, largest {largest:.0f} of 255")
    assert mean < 2.5
    assert crossed < 50
assert bool((after.argmax(1) == wanted).all())
assert float(after.gather(1, wanted[:, None]).min()) > 0.9
