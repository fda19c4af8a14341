"""The handle that every function takes: a module with its normalization, input size and labels.

classifier   `Classifier` itself; network: the part of it that is run
wrapping     what is made of a callable; diagnosis: what can be wrong with a model
predictions  the most likely classes of images
guard        leaves a module as it was; recording keeps what layers give; rectifiers replaces what ReLUs do
fast         a fused private copy; targets: which class is meant
"""

from backlight.classifier.classifier import Classifier

__all__ = ["Classifier"]
