"""The terms of a report in plain words: shown where a term is pointed at or focused, and listed at the end."""

from __future__ import annotations

GLOSSARY: dict[str, str] = {
    "classifier": (
        "A program that looks at a picture and gives a score to every class that it knows. It was made by "
        "showing it many labeled pictures. It always answers, even when nothing that it knows is in the "
        "picture."
    ),
    "logit": (
        "The raw score of a class, any number. The class with the highest logit is the answer. Logits say how "
        "classes compare, but have no scale of their own."
    ),
    "probability": (
        "Logits turned into shares that add up to 100% (softmax). It says how sure the classifier is, which "
        "is not the same as how often it is right."
    ),
    "crop": ("The part of a photograph that the classifier is given: cut to a fixed shape and shrunk to a fixed size."),
    "gradient": (
        "How much the score would change for a tiny change of each pixel. It is found by going backward "
        "through the network. Most maps and all attacks on this page are made from it."
    ),
    "saliency": (
        "The size of the gradient at each pixel: where a tiny change would move the score most. It looks "
        "noisy because networks are jagged at this scale."
    ),
    "Grad-CAM": (
        "Asks one late layer of the network which of its regions speak for the class. The map is coarse, but "
        "it does depend on the class."
    ),
    "guided backpropagation": (
        "A gradient that keeps only what is positive on its way back. It draws sharp edges, which hardly "
        "depend on the class: it shows what the network can see, not why it decides."
    ),
    "guided Grad-CAM": "Guided backpropagation times Grad-CAM: fine lines, but only where Grad-CAM sees evidence.",
    "heat map": (
        "Colors from black (counts little) through red and yellow to white (counts most). Every map has its "
        "own scale: colors of two maps cannot be compared."
    ),
    "signed map": "Red speaks for the class, blue against it; white or nothing is neutral.",
    "rank correlation": (
        "1 when two maps put all places in the same order, 0 when they have nothing to do with each other, -1 "
        "when one is the reverse of the other (Spearman)."
    ),
    "perturbation": "What is added to a picture to mislead the classifier.",
    "epsilon": (
        "The largest change that is allowed for any single color value, where black is 0 and white is 1. "
        "1/255 is the smallest step that a usual picture file can hold."
    ),
    "FGSM": (
        "The fast gradient sign method: one single step that moves every color value by epsilon, up or down, "
        "whichever hurts the answer (Goodfellow et al., 2015)."
    ),
    "PGD": (
        "Projected gradient descent: many small steps of the same kind, from a random start, brought back "
        "within epsilon after each (Madry et al., 2018)."
    ),
    "adversarial attack": (
        "A search for a small change of a picture that makes the classifier answer wrongly. What cannot be "
        "found by one search may be found by another: a picture that withstands is not proven safe."
    ),
    "surrogate": (
        "The model that an attacker can look into, and makes pictures on, in place of the one that is meant to be "
        "fooled."
    ),
    "universal perturbation": (
        "One small change that is added to every picture alike and makes a classifier err on many of them, also on "
        "pictures that it was not made from."
    ),
    "adversarial patch": (
        "A printed picture that makes a classifier err wherever it lies in the scene. It is found by trying it on many "
        "pictures, at many places, sizes and turns."
    ),
    "victim": "The model that is shown pictures made on another one. It took no part in making them.",
    "threat model": "What an attacker is allowed to change, how much of it, and what counts as winning.",
    "robust accuracy": (
        "The share of pictures that are named right and still are after the attack. It can only be too high: "
        "a stronger attack may break more."
    ),
    "margin": (
        "By how much the logit of the right class lies above the best other one. The attack has won when it is "
        "below zero. For an attack with a target: by how much the best other logit lies above the target's."
    ),
    "undecided": (
        "Pictures whose margin is so close to zero (below 0.0001) that another machine may count them otherwise."
    ),
    "targeted attack": "An attack that wants one particular wrong answer, not just any.",
    "L2 distance": (
        "The length of a change: the root of the sum of all squared changes. Many tiny changes may add up to "
        "the same length as one large one."
    ),
    "pretrained": "With the weights that were learned from data, as opposed to random ones.",
    "random weights": "The same network before it has learned anything. Whatever it says is chance.",
    "parameters": "The numbers inside of the network that were set by training.",
    "multiply-adds": "How many multiplications one look at one picture takes.",
    "head": "The last layer: it turns what the network found into one logit for each class.",
    "seed": "The number from which all random numbers follow: the same seed gives the same page.",
    "accuracy": "The share of pictures for which the first answer is right.",
    "interval": (
        "The range in which the true accuracy plausibly lies, given that few pictures were looked at (95%, "
        "Wilson). Few pictures, wide range."
    ),
    "controls": (
        "Two maps that were made without the classifier: one drawn at random, one of the edges in the picture. A "
        "score says something about a method only where it is better than both."
    ),
    "standard error": (
        "How far a mean would typically move if other pictures of the same kind had been looked at. A difference of "
        "less than two of them may be chance."
    ),
    "precision": "Of the pictures that it gives a class, the share that really is of that class.",
    "average precision": (
        "How well the pictures that have a label stand before those that have not, once all are put in the order in "
        "which the classifier is sure of it: the mean share of right ones, at every step that finds more."
    ),
    "recall": "Of the pictures that have a label, the share that is found.",
    "F1": "One number for a class: the harmonic mean of the share it finds (accuracy) and its precision.",
    "confusion matrix": "A table that counts, for each true class, what its pictures are taken for.",
    "calibration error": (
        "By how much certainty and correctness differ on average, in groups of equal certainty (expected calibration "
        "error, 15 groups). Zero means: of all pictures of which it is 80% sure, 80% are right."
    ),
    "mean corruption error": (
        "A model's errors under corruptions in percent of those of AlexNet (2012), kind by kind, on average over kinds."
    ),
    "loss": (
        "How surprised the classifier is by the right class: minus the logarithm of its probability. Training makes it "
        "small; unlike accuracy it also punishes being sure and wrong."
    ),
    "epoch": "One pass of training over all training pictures.",
    "validation": (
        "Pictures that are kept out of training and only used to choose among epochs and settings. The test pictures "
        "are used for nothing but the final number."
    ),
    "McNemar test": (
        "How likely a split at least this uneven would be if both models were equally good, from the pictures that "
        "only one of them gets right (exact, two-sided). Below 0.05 is usually not called chance."
    ),
}
