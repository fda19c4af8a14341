"""
What do trained weights know that random ones do not?
=====================================================

The same network, the same photographs: once with its ImageNet weights, once with random ones.
"""

import drawing
import setting

from backlight.models import load

trained = setting.pretrained()
untrained = load(trained.name, random=True, seed=0)
names = ("chelsea.png", "coffee.png", "camera.png")
images = setting.photographs(trained, *names)

logits = {"trained": trained.logits(images), "random": untrained.logits(images)}
figure, axes = drawing.start(3, 3, width=2.7, height=1.9)
for row, (image, per_row) in enumerate(zip(images, axes)):
    per_row[0].imshow(image.movedim(0, -1))
    per_row[0].set(xticks=[], yticks=[])
    per_row[0].grid(False)
    for color, (name, values) in zip((drawing.BLUE, drawing.ORANGE), logits.items()):
        per_row[1].hist(values[row], bins=40, density=True, alpha=0.7, color=color, label=name)
        top = values[row].softmax(0).sort(descending=True).values[:20]
        per_row[2].semilogy(range(1, 21), top, "o-", markersize=3, color=color, label=name)
    per_row[1].set(yticks=[])
    per_row[2].set(ylim=(1e-4, 1.5))
for axis, title in zip(axes[0], ("photograph", "all 1000 logits", "20 highest probabilities")):
    axis.set_title(title)
axes[0][1].legend(fontsize=7)
axes[-1][1].set_xlabel("logit")
axes[-1][2].set_xlabel("rank of the class")
for per_row in axes:
    per_row[2].set_ylabel("probability")

# %%
# What the run found
# ------------------
# Both spread most of their logits about equally wide. But random weights say nearly the same about every
# photograph: their logits hardly move from one to the next. Trained weights move all of them, and lift a few classes
# far above the rest: the bars far to the right, and the steep fall of the probabilities on a logarithmic scale.

for row, name in enumerate(names):
    best = logits["trained"][row].argmax().item()
    sure = [values[row].softmax(0).max().item() for values in logits.values()]
    print(f"{name:12} {trained.label(best):12} p = {sure[0]:.3f}; random weights: highest p = {sure[1]:.4f}")
    assert sure[0] > 4 * sure[1]
moves = {name: (values[0] - values[1]).norm() / values.norm(dim=1).mean() for name, values in logits.items()}
print("how far the logits move from one photograph to the next, relative to their length:")
print({name: round(float(value), 3) for name, value in moves.items()})
assert moves["random"] < moves["trained"]
