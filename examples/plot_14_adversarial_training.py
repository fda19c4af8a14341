"""
What does adversarial training buy, and what does it cost?
==========================================================

A network is trained as usual, with a PGD attack on every picture, on half of each batch (share), and on pictures
halfway between clean and attacked (blend). Each is then attacked by PGD with 10 steps.
"""

import drawing
import setting

from backlight.attack import attack
from backlight.evaluate.metrics import wilson

SPEC = "shapes:n=800,size=32,classes=4"
EPS = "4/255"
epochs = setting.choose(4, 30)
inner = f"pgd:eps={EPS},steps=2"
adversaries = {
    "none": "",
    "every picture": inner,
    "half of a batch": f"{inner},share=0.5",
    "halfway": f"{inner},blend=0.5",
}
runs = {label: setting.train("classic_cnn", SPEC, epochs=epochs, adversary=text) for label, text in adversaries.items()}
test = setting.part(SPEC, "test")
batch = next(test.batches(len(test)))

clean, robust = {}, {}
for label, run in runs.items():
    clean[label] = int((run.classifier.logits(batch.images).argmax(1) == batch.labels).sum())
    result = attack(run.classifier, batch.images, batch.labels, method="pgd", eps=EPS, steps=10)
    robust[label] = int((~result.success).sum())

figure, axis = drawing.start(width=5.2)
for color, (name, counts), shift in zip(drawing.CYCLE, (("clean", clean), ("attacked", robust)), (-0.18, 0.18)):
    shares = [count / len(test) for count in counts.values()]
    bounds = [wilson(count, len(test)) for count in counts.values()]
    errors = [[s - low for s, (low, _) in zip(shares, bounds)], [high - s for s, (_, high) in zip(shares, bounds)]]
    axis.bar([place + shift for place in range(len(runs))], shares, 0.36, yerr=errors, color=color, label=name)
axis.set(xticks=range(len(runs)), xticklabels=list(runs), ylim=(0, 1), ylabel="accuracy", xlabel="attacked in training")
axis.legend(ncols=2)

# %%
# What the run found
# ------------------
# Lines are 95 % Wilson intervals. Training against the attack keeps more of the accuracy under it, and takes
# several passes more for each picture.

for label, run in runs.items():
    print(f"{label:16} clean {clean[label] / len(test):.2f}, under attack {robust[label] / len(test):.2f},", end=" ")
    print(f"{run.images_per_second:.0f} images/s")
kept = {label: robust[label] / max(clean[label], 1) for label in runs}
print("share of the accuracy that is kept:", {label: round(value, 2) for label, value in kept.items()})
assert kept["every picture"] > kept["none"]
assert runs["every picture"].images_per_second < runs["none"].images_per_second
