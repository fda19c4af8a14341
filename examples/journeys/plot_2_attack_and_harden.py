"""
How easily is it fooled, and what helps?
========================================

A network is attacked, trained further on attacked pictures, and attacked again. What is gained, and what does it cost?
"""
# sphinx_gallery_capture_repr = ("_repr_html_",)

import tempfile
from pathlib import Path

import backlight
from backlight.attack import RobustnessRequest
from backlight.train import Recipe

SPEC = "shapes:n=1000,size=24,classes=4@train=0:640,val=640:800,test=800:1000"
train, val, test = (backlight.load_data(SPEC, split=part) for part in ("train", "val", "test"))
folder = Path(tempfile.mkdtemp())


model = backlight.load("classic_cnn", random=True, size=24, labels=train.label_names, mean=0.5, std=0.25)
usual = Recipe(epochs=8, batch_size=64)
plain = backlight.fit(model, train, val, folder / "plain", recipe=usual, progress=backlight.progress_bar())
plain

# %%
# One picture
# -----------
# The original, the change ten times as strong, and the picture that is answered wrongly. The change is at most 8 of 255
# levels at every pixel.

batch = next(test.batches(4))
fooled = backlight.attack(plain.classifier, batch.images, batch.labels, method="pgd", eps="8/255", steps=20)
fooled

# %%
# All pictures
# ------------
# Robust accuracy is the share that no attack changed, with its interval, and with signs that an attack was hindered
# rather than the network robust.

before = backlight.evaluate_robustness(plain.classifier, test, RobustnessRequest("pgd:steps=20", eps=8 / 255))
before

# %%
# Harden it
# ---------
# The same network goes on with pictures that are attacked anew in every step.

attacked = Recipe(epochs=4, batch_size=64, adversary="pgd:eps=8/255,steps=2")
again = backlight.load(folder / "plain")
hardened = backlight.fit(again, train, val, folder / "hard", recipe=attacked, progress=backlight.progress_bar())
after = backlight.evaluate_robustness(hardened.classifier, test, RobustnessRequest("pgd:steps=20", eps=8 / 255))
for name, one in (("plain", before), ("hardened", after)):
    low, high = one.interval
    print(f"{name:<9} clean {one.clean_accuracy:.2f}, robust {one.robust_accuracy:.2f} ({low:.2f} to {high:.2f})")
assert after.robust_accuracy > before.robust_accuracy
after

# %%
# The table that goes into a paper
# --------------------------------
# A row per picture, for pandas; ``write("robust.tex")`` writes LaTeX, ``.csv`` and ``.md`` too.

after.table.to_pandas().head()
