"""
How fast does accuracy fall with epsilon, and with the number of steps?
=======================================================================

PGD drives every test picture towards the class that the network finds least likely. What is left of the
accuracy is drawn over the size of the perturbation and over the steps spent.
"""

import drawing
import setting

from backlight.attack import attack
from backlight.table.statistics import wilson

run = setting.train("classic_cnn", setting.SMALL_PICTURES, epochs=setting.choose(8, 30), schedule="constant")
test = setting.part(setting.SMALL_PICTURES, "test").limited(setting.choose(80, 500))
batch = next(test.batches(len(test)))
clean = float((run.classifier.logits(batch.images).argmax(1) == batch.labels).float().mean())


def drive(eps, steps):
    """Count the right and the least-likely predictions under PGD to the least-likely class, eps in 1/255."""
    options = {"eps": eps / 255, "steps": steps, "step_size": eps / 255 / (1 if steps == 1 else 4)}
    result = attack(run.classifier, batch.images, batch.labels, method="pgd", target="least-likely", **options)
    return int((result.label_after == batch.labels).sum()), int(result.success.sum())


sizes, counts, fixed = (4, 8, 16, 32, 64), (1, 3, 10, 30), 32
by_size = [drive(eps, 10) for eps in sizes]
by_steps = [by_size[sizes.index(fixed)] if steps == 10 else drive(fixed, steps) for steps in counts]

figure, axes = drawing.start(2, width=3.5, height=2.9)
for axis, places, found, label in (
    (axes[0], sizes, by_size, "eps, in 1/255 (10 steps)"),
    (axes[1], counts, by_steps, f"steps (eps {fixed}/255)"),
):
    lines = ("accuracy under attack", drawing.BLUE), ("least-likely class predicted", drawing.ORANGE)
    for (name, color), values in zip(lines, zip(*found)):
        low, high = zip(*(wilson(value, len(test)) for value in values))
        axis.fill_between(places, low, high, color=color, alpha=0.15, linewidth=0)
        axis.plot(places, [value / len(test) for value in values], "o-", markersize=4, color=color, label=name)
    axis.axhline(clean, color=drawing.GRAY, linestyle="--", label="accuracy without attack")
    axis.set_xscale("log", base=2)
    axis.set(xlabel=label, ylim=(0, 1), ylabel="share of the pictures", xticks=places, xticklabels=places)
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)

# %%
# What the run found
# ------------------
# Accuracy falls with both. To leave the right class takes less than to reach the least likely one: in between are
# pictures that are taken for a third class. More steps find more than a larger single step. Bands are 95% Wilson
# intervals.

print(f"accuracy without attack {clean:.2f} on {len(test)} pictures")
for eps, (right, reached) in zip(sizes, by_size):
    print(f"eps {eps:2}/255, 10 steps: accuracy {right / len(test):.2f}, least-likely {reached / len(test):.2f}")
for steps, (right, reached) in zip(counts, by_steps):
    print(f"eps {fixed}/255, {steps:2} steps: accuracy {right / len(test):.2f}, least-likely {reached / len(test):.2f}")
assert wilson(by_size[-1][0], len(test))[1] < clean
assert wilson(by_steps[0][1], len(test))[1] < wilson(by_steps[-1][1], len(test))[0]
assert any(right + reached < len(test) for right, reached in by_size + by_steps)
