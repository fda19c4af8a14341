"""What every verb says of every kind of model: rows of verbs, how they end, and words that they say.

Verbs that no row names work and say nothing of the model. The page of the docs is drawn from this.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.hostile.verbs import NAMED, REFUSED, VERBS, WORKS

ALL = " ".join(VERBS)
GRADIENTS = "explain attack robustness transfer universal visualize report"
NUMBERS = "predict evaluate certify corruptions calibrate"


class Row(NamedTuple):
    """How some verbs end, and in what words."""

    verbs: str
    ended: str
    words: tuple[str, ...]


def row(verbs: str, ended: str, *words: str) -> Row:
    return Row(verbs, ended, words)


def refused(*words: str) -> tuple[Row, ...]:
    """Every verb refuses, before any work."""
    return (row(ALL, REFUSED, *words),)


def doubted(words: str) -> tuple[Row, ...]:
    """Every verb works, and says this of its numbers."""
    return (row(ALL, WORKS, words),)


NO_PREDICTION = "the model has no prediction for it: its output is NaN or infinite"
LOOKS = "no well-defined prediction in"
ROWS = "expected one row per picture"
BLIND = row(GRADIENTS, REFUSED, "not differentiable", "occlusion, rise, lime or kernelshap")
UNSTEADY = "two passes on the same pictures differ"
BY_BATCH = "the answer for a picture changes with the other pictures of its batch"
UNIT = "all outputs lie between 0 and 1"
SAME = "all pictures get the same outputs"
FLAT = "the loss is the same at every temperature"
ZERO = "zero all over or NaN"
BLIND_SURROGATE = "gradients that were zero all over or NaN, and did not fool even the model"
NONE_RIGHT = "none of 12 pictures to learn from is named rightly"
BLIND_ATTACK = "blind attack"
NOWHERE = "the gradients do not lead anywhere"
FLOATS = "expected logits, as floats"
FAILED = "the model itself failed"

ALL_UNDEFINED = (
    row("predict evaluate explain attack robustness certify report", NAMED, NO_PREDICTION),
    row("transfer corruptions", NAMED, LOOKS),
    row("universal", REFUSED, NONE_RIGHT),
    row("calibrate", REFUSED, "none of 24 pictures has a finite loss"),
)
SOME_UNDEFINED = (
    row("predict evaluate explain attack robustness certify calibrate report", NAMED, NO_PREDICTION),
    row("transfer universal corruptions", NAMED, LOOKS),
)
MASKED_GRADIENTS = (
    row("attack", WORKS, ZERO),
    row("robustness", WORKS, ZERO, NOWHERE),
    row("transfer", WORKS, BLIND_SURROGATE),
    row("universal", WORKS, ZERO),
)
NO_GRADIENTS = (*MASKED_GRADIENTS, row("explain", WORKS, "some maps hold NaN or infinite values"))

EXPECTED: dict[str, tuple[Row, ...]] = {
    "NaN for every picture": (*ALL_UNDEFINED, row("visualize", NAMED, "what was to be raised is NaN or infinite")),
    "NaN for some pictures": SOME_UNDEFINED,
    "NaN in one class": ALL_UNDEFINED,
    "+inf in one class": ALL_UNDEFINED,
    "all classes -inf for some pictures": SOME_UNDEFINED,
    "constant": (
        row("predict evaluate corruptions", WORKS, SAME),
        row("certify", WORKS, SAME, BLIND_ATTACK),
        row("calibrate", WORKS, SAME, FLAT),
        row(GRADIENTS, REFUSED, "not differentiable"),
    ),
    "constant with a gradient": (
        row("predict evaluate explain corruptions report visualize", WORKS, SAME),
        row("calibrate", WORKS, SAME, FLAT),
        row("attack", WORKS, SAME, ZERO),
        row("certify", WORKS, SAME, BLIND_ATTACK),
        row("robustness", WORKS, SAME, ZERO, NOWHERE),
        row("transfer", WORKS, SAME, BLIND_SURROGATE),
        row("universal", WORKS, SAME, ZERO),
    ),
    "logits of 1e30": (
        *MASKED_GRADIENTS,
        row("calibrate", WORKS, "divide them, if that is what the model is meant to return"),
    ),
    "logits of 1e-30": (row("calibrate", WORKS, FLAT),),
    "overflows in float32": (
        row("predict evaluate explain calibrate report", NAMED, NO_PREDICTION),
        row("attack robustness", NAMED, NO_PREDICTION, ZERO),
        row("transfer", NAMED, LOOKS, BLIND_SURROGATE),
        row("universal", NAMED, LOOKS, ZERO),
        row("certify", NAMED, NO_PREDICTION, BLIND_ATTACK),
        row("corruptions", NAMED, LOOKS),
    ),
    "10,000 classes": (row("universal", REFUSED, NONE_RIGHT),),
    "fewer rows than pictures": refused(ROWS),
    "more rows than pictures": refused(ROWS),
    "one row for all": refused(ROWS),
    "one value per picture": refused("1 value per picture", "--outputs binary"),
    "no class": refused("0 values per picture"),
    "more classes than labels": refused("3 labels for a model with 5 classes"),
    "other classes in a later pass": (
        row(ALL.removeprefix("predict "), REFUSED, "3 labels for a model with 2 classes"),
    ),
    "logits [B,K,1,1]": refused("nn.Sequential(model, nn.Flatten())"),
    "a map of logits [B,K,H,W]": refused("model(images).mean((2, 3))"),
    "logits [K] without a batch": refused(ROWS),
    "a scalar": refused(ROWS),
    "columns and rows swapped": refused(ROWS),
    "complex": refused("complex64", FLOATS),
    "integers": refused("int64", FLOATS),
    "booleans": refused("bool", FLOATS),
    "argmax": refused("leave out its argmax"),
    "one-hot votes": (row(NUMBERS, WORKS, UNIT), BLIND),
    "rounded": MASKED_GRADIENTS,
    "int8 weights": (row(NUMBERS, WORKS, BY_BATCH), BLIND),
    "a dictionary without logits": refused("the model returns dict", "wrap it"),
    "None": refused("NoneType", "return the logits from its forward()"),
    "a NumPy array": refused("ndarray", "torch.from_numpy"),
    "its input": refused("expected logits [2, classes]"),
    "probabilities": refused("the model returns probabilities", "--outputs probabilities"),
    "log-probabilities": refused("the model returns log-probabilities", "--outputs log-probabilities"),
    "logits, declared as probabilities": refused("expected probabilities of one class among all"),
    "a sigmoid per class": refused("the model ends in a sigmoid", "--outputs multilabel"),
    "a sigmoid written by hand": doubted(UNIT),
    "a softmax written by hand": refused("the model returns probabilities"),
    "percent": doubted("positive and sum to 100, as shares do"),
    "detached": (BLIND,),
    "under no_grad": (BLIND,),
    "NaN gradients": NO_GRADIENTS,
    "a hook that zeroes gradients": (*MASKED_GRADIENTS, row("explain", WORKS, "some maps are zero everywhere")),
    "a hook that makes NaN": NO_GRADIENTS,
    "raises in the backward pass": (
        row(f"{GRADIENTS} certify", REFUSED, FAILED, "asked for its gradient: ValueError: no way back"),
    ),
    "answers that change with a counter": doubted(UNSTEADY),
    "answers that change between calls": doubted(UNSTEADY),
    "writes its own weights": doubted(UNSTEADY),
    "dropout always on": doubted(UNSTEADY),
    "noise of the global generator": doubted(UNSTEADY),
    "seeds the global generator": doubted(BY_BATCH),
    "BatchNorm by batch": doubted(BY_BATCH),
    "normalizes over the batch": doubted(BY_BATCH),
    "an expanded view": (row("calibrate", WORKS, FLAT), row("robustness", WORKS, NOWHERE)),
    "weights on meta": refused("lies on the device meta"),
    "a layer on meta": refused("lies on the device meta"),
    "raises at once": refused(FAILED, "ValueError: out of order"),
    "raises in the third pass": refused(FAILED, "ValueError: tired"),
    "raises on some picture": (
        row(ALL.replace(" visualize", ""), REFUSED, FAILED, "ValueError: cannot bear white corners"),
    ),
}


def expected(kind: str, verb: str) -> tuple[str, tuple[str, ...]]:
    """Return how a verb ends for a kind of model, and the words that it says."""
    for one in EXPECTED.get(kind, ()):
        if verb in one.verbs.split():
            return one.ended, one.words
    return WORKS, ()
