"""
What does adversarial training buy, and what does it cost?
==========================================================

A network is trained as usual. Copies of it are then trained a few epochs further: as before, with a PGD attack on
every picture, on half of each batch (share), and on pictures halfway between clean and attacked (blend). All are
attacked by PGD with ten steps.
"""

import drawing
import setting

from backlight.attack import attack
from backlight.table.statistics import wilson

SPEC = setting.choose(
    "shapes:n=1200,size=24,classes=4@train=0:640,val=640:840,test=840:1200",
    "shapes:n=6000,size=24,classes=4@train=0:5000,val=5000:5500,test=5500:6000",
)
EPS = "8/255"
inner = f"pgd:eps={EPS},steps=2"
before = setting.train("classic_cnn", SPEC, epochs=setting.choose(8, 30))
adversaries = {
    "as before": "",
    "every picture": inner,
    "half of a batch\n(share 0.5)": f"{inner},share=0.5",
    "halfway\n(blend 0.5)": f"{inner},blend=0.5",
}
further = setting.choose(4, 20)
runs = {"before": before}
for label, adversary in adversaries.items():
    runs[label] = setting.train_further(before, SPEC, further, adversary=adversary)
test = setting.part(SPEC, "test").limited(setting.choose(240, 500))
batch = next(test.batches(len(test)))

clean, robust = {}, {}
for label, run in runs.items():
    clean[label] = int((run.classifier.logits(batch.images).argmax(1) == batch.labels).sum())
    result = attack(run.classifier, batch.images, batch.labels, method="pgd", eps=EPS, steps=10)
    robust[label] = int((~result.success).sum())

figure, axis = drawing.start(width=6.4, height=3.0)
for color, (name, counts), shift in zip(drawing.CYCLE, (("clean", clean), ("attacked", robust)), (-0.2, 0.2)):
    shares = [count / len(test) for count in counts.values()]
    bounds = [wilson(count, len(test)) for count in counts.values()]
    errors = [[s - low for s, (low, _) in zip(shares, bounds)], [high - s for s, (_, high) in zip(shares, bounds)]]
    axis.bar(
        [place + shift for place in range(len(runs))], shares, 0.4, yerr=errors, capsize=3, color=color, label=name
    )
axis.set(xticks=range(len(runs)), xticklabels=list(runs), ylim=(0, 1.2), ylabel=f"accuracy (eps {EPS})")
axis.set_xlabel("attacked in the further training")
axis.legend(ncols=2, title="test pictures")

# %%
# What the run found
# ------------------
# Training further on attacked pictures keeps more of them right under attack, and fewer without one. What further
# training as before, share and blend change can be told from "before" only where the intervals do not overlap, as
# printed. The price in time: two steps of the attack are two more passes for each attacked picture. Lines on the bars
# are 95% Wilson intervals.

bounds = {label: wilson(count, len(test)) for label, count in robust.items()}
for label, run in runs.items():
    name, (low, high) = label.replace("\n", " "), bounds[label]
    print(f"{name:27} clean {clean[label] / len(test):.2f}, under attack {robust[label] / len(test):.2f}", end=" ")
    first, last = bounds["before"]
    told = "more than before" if low > last else "fewer than before" if high < first else "intervals overlap"
    told = "" if label == "before" else f"{told}; "
    print(f"({low:.2f} to {high:.2f}); {told}trained at {run.images_per_second:.0f} images/s")
assert robust["every picture"] > 1.2 * robust["before"]
assert clean["every picture"] < clean["as before"]
