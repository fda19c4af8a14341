"""
Does an explanation reveal a shortcut?
======================================

Two networks learn to tell drawn shapes apart. In the training pictures of the first, a small patch in a corner
has the color of the right class; in those of the second it has any color. Both are asked about
pictures whose patches say nothing, and their explanations are scored by where their mass lies.
"""

import drawing
import setting
import torch

from backlight.evaluate import evaluate
from backlight.explain import explain
from backlight.explain.figures import overlays
from backlight.explain.scores.score import score

epochs = setting.choose(8, 30)
honest_spec = "shapes:n=600,size=32,classes=3,shortcut=0.001"
runs = {
    "shortcut": setting.train("classic_cnn", "shapes:n=600,size=32,classes=3,shortcut=1", epochs=epochs, batch_size=32),
    "honest": setting.train("classic_cnn", honest_spec, epochs=epochs, batch_size=32),
}
test = setting.data(honest_spec).pick("test").limited(setting.choose(60, 60))
batch = next(test.batches(len(test)))
masks = {name: test.mask(name, range(len(test))) for name in ("patch", "object")}

# %%
# Both explain what they predict. The share of each map's positive mass that lies on the patch and on the object,
# with the share that a random map has there by chance:

method = "smoothgrad:samples=10"
mass, chance = {}, {}
for name, run in runs.items():
    for place, mask in masks.items():
        scores = score(run.classifier, batch.images, methods=[method], metrics=["mass"], masks=mask)
        mass[name, place] = torch.tensor(scores.table[f"{method}.mass"])
        chance[place] = scores.summary()[method]["mass"]["random"]["mean"]
        print(f"{name:9} on the {place:6}: {drawing.interval(mass[name, place])[0]:.3f}", end="  ")
        print(f"by chance {chance[place]:.3f}")

figure, axis = drawing.start(width=4.2)
for color, (name, shift) in zip(drawing.CYCLE, (("shortcut", -0.18), ("honest", 0.18))):
    found = [drawing.interval(mass[name, place]) for place in masks]
    places = torch.arange(2) + shift
    axis.bar(
        places, [mean for mean, _ in found], 0.36, yerr=[half for _, half in found], capsize=3, color=color, label=name
    )
axis.hlines(chance.values(), [-0.4, 0.6], [0.4, 1.4], color=drawing.INK, linestyle="--", linewidth=1, label="by chance")
axis.set(xticks=[0, 1], xticklabels=["on the patch", "on the object"], ylabel="share of the explanation")
axis.legend(title="network trained")

rows, titles = [batch.images[:6]], [[test.label_names[label] for label in batch.labels[:6].tolist()]]
for run in runs.values():
    found = explain(run.classifier, batch.images[:6], methods=[method])
    rows.append(overlays(found, method))
figure = drawing.pictures(rows, titles, ["picture", "shortcut", "honest"], size=1.3)

# %%
# What the run found
# ------------------
# Accuracy on pictures with meaningless patches tells that something is wrong with the first network; the
# explanation tells what: far more of it lies on the patch than for the network trained honestly. The intervals
# are 95% intervals of the mean over pictures.

accuracies = {name: evaluate(run.classifier, test).accuracy for name, run in runs.items()}
print({name: round(value, 3) for name, value in accuracies.items()})
low = drawing.interval(mass["shortcut", "patch"])[0] - drawing.interval(mass["shortcut", "patch"])[1]
high = sum(drawing.interval(mass["honest", "patch"]))
print(f"mass on the patch: at least {low:.3f} with the shortcut, at most {high:.3f} without")
assert accuracies["honest"] > accuracies["shortcut"]
assert low > high
