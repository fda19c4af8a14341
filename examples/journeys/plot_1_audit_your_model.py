"""
Can this model be trusted?
==========================

You have a classifier and pictures with labels. Here both are made in a few seconds, with three faults that you are not
told of; put your own in their place: a checkpoint for ``backlight.load``, a folder of class folders for
``backlight.load_data``.
"""
# sphinx_gallery_capture_repr = ("_repr_html_",)

import tempfile
from pathlib import Path

import backlight
from backlight.audit import audit
from backlight.train import Recipe

# In these pictures a small patch in a corner has the color of the class, in training and in testing.
SPEC = "shapes:n=960,size=32,classes=3,shortcut=1@train=0:600,val=600:760,test=760:960"
train, val, test = (backlight.load_data(SPEC, split=part) for part in ("train", "val", "test"))
folder = Path(tempfile.mkdtemp())
model = backlight.load("classic_cnn", random=True, size=32, labels=train.label_names, mean=0.5, std=0.25)
trained = backlight.fit(
    model, train, val, folder / "run", recipe=Recipe(epochs=8, batch_size=32), progress=backlight.progress_bar()
)
trained

# %%
# How good is it?
# ---------------
# The number that everybody reports, with its interval. ``to_pandas()`` and ``write()`` of the table give every picture.

evaluation = backlight.evaluate(trained.classifier, test)
print(f"accuracy {evaluation.accuracy:.3f} on {len(test)} pictures")
evaluation

# %%
# What can be trusted of it?
# --------------------------
# One look at every picture, then every check: duplicates across parts, labels, calibration, slices, shortcuts,
# robustness, corruptions, unknown pictures. What could not be judged is listed with the reason.

found = audit(trained.classifier, test, train=train, depth="normal", progress=backlight.progress_bar())
for light in found.lights:
    print(f"{light.name:<30} {light.judgement}")
found

# %%
# What to do about it
# -------------------
# Next steps, the one with most to gain first. The accuracy above is high because of the patch: the audit says so, and
# accuracy alone never would.

for finding in found.next_steps[:5]:
    print(f"{finding.judgement}: {finding.sentence}")
    print(f"    {finding.next}")
shortcuts = [one for one in found.findings if one.section == "shortcuts" and one.judgement == "bad"]
assert shortcuts, "the planted shortcut was not found"

# %%
# Let a build decide
# ------------------
# The same on the command line ends with exit status 4 where a finding is bad, or where a gate file asks for more:
#
# .. code-block:: sh
#
#    backlight audit --model run --data photos/ --gate gates.toml --junit audit.xml
