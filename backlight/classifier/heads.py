"""What a network's last layer means, and its outputs made into logits: the one place, with checks on every pass.

`logits`             one number per class, of which softmax makes probabilities
`probabilities`      their softmax; `log-probabilities` its logarithm
`binary`             one number z per picture, read as the logits [0, z] of two classes
`multilabel`         one number per label, each a question of its own: sigmoid makes its probability
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.classifier.suspicion import Seen
from backlight.core.errors import ModelError, counted

OUTPUTS = ("logits", "probabilities", "log-probabilities", "binary", "multilabel")

NO_PREDICTION = "no prediction"
"""What the prediction -1 is called."""
UNDEFINED = "the model has no prediction for it: its output is NaN or infinite"

_HOW = "Classifier.from_module(..., outputs={0!r}), or --outputs {0}"
_BINARY = f"{_HOW.format('binary')}, reads one logit z as the two logits [0, z]"
# Rows of softmax sum to one up to the rounding of the type that they are computed in.
_SUM_TOLERANCE = {torch.float16: 1e-2, torch.bfloat16: 5e-2}
_FULL_TOLERANCE, _DECLARED_TOLERANCE = 1e-5, 1e-3


def well_defined(logits: Tensor) -> Tensor:
    """Whether logits `[B,K]` have a prediction: bool `[B]`.

    The highest must be finite: NaN anywhere, +inf anywhere and nothing but -inf leave it open which class is meant.
    A class that is masked by -inf is merely not predicted.

    >>> well_defined(torch.tensor([[1.0, -torch.inf], [1.0, torch.nan], [torch.inf, 0.0]])).tolist()
    [True, False, False]
    """
    return logits.amax(1).isfinite()  # the maximum of anything with NaN is NaN


def predicted_classes(logits: Tensor) -> Tensor:
    """Return the class of the highest logit, int64 `[B]`, and -1 where none is well defined.

    >>> predicted_classes(torch.tensor([[1.0, -torch.inf], [1.0, torch.nan]])).tolist()
    [0, -1]
    """
    return torch.where(well_defined(logits), logits.argmax(1), -1)


class Head:
    """Make the output `[B,K]` of a module into logits `[B,classes]`, and check each time that it can be.

    `tail` is what the network was seen to end in (see `backlight.classifier.tail`), None while nobody looked. With
    `column` only that label of a multi-label head is asked for: its logits are [0, z]. `seen` follows the values.

    Raises ModelError for outputs that are not what was declared.

    >>> Head("binary").logits(torch.tensor([[2.0]]))
    tensor([[0., 2.]])
    """

    def __init__(
        self,
        kind: str = "logits",
        labels: Sequence[str] = (),
        *,
        column: int | None = None,
        tail: str | None = None,
        seen: Seen | None = None,
    ) -> None:
        if kind not in OUTPUTS:
            raise ModelError(f"outputs={kind!r}", expected=" or ".join(OUTPUTS))
        self.kind, self.column, self.tail = kind, column, tail
        self.seen = Seen() if seen is None else seen
        self._labels = len(labels)
        self._columns = 0  # of the first pass; none is zero
        self._settled = False  # some row was no probability
        if self.kind == "binary" and labels and len(labels) != 2:
            raise ModelError(f"{len(labels)} labels for a binary model", expected="2: of [0, z], in this order")

    @property
    def width(self) -> int | None:
        """Return how many columns the module should return, None where that is not known yet."""
        if self.kind == "binary":
            return 1
        return self._columns or (self._labels if self.column is None else None) or None

    @property
    def doubt(self) -> str:
        """Return what the values so far make doubtful, or nothing."""
        return self.seen.doubt(self.kind)

    @property
    def multilabel(self) -> bool:
        """Whether every label is a question of its own."""
        return self.kind == "multilabel" and self.column is None

    def probabilities(self, logits: Tensor) -> Tensor:
        """Compute probabilities `[B,classes]` of logits `[B,classes]`: softmax, or sigmoid for `multilabel`."""
        if not self.multilabel:
            return logits.softmax(1)
        # Not sigmoid(): on a CPU its last bits depend on the place in the tensor.
        return torch.stack([torch.zeros_like(logits), logits], 2).softmax(2)[:, :, 1]

    def class_scores(self, logits: Tensor) -> Tensor:
        """Return what speaks for each class `[B,classes]`: its logit, and -z for the first of two that share one z."""
        two = self.kind == "binary" or self.column is not None
        return torch.cat([logits[:, :1] - logits[:, 1:], logits[:, 1:] - logits[:, :1]], 1) if two else logits

    def cross_entropy(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Compute the cross-entropy `[B]` of classes int64 `[B]`, for `multilabel` of the answer yes to that label."""
        if not self.multilabel:
            return F.cross_entropy(logits, classes, reduction="none")
        asked = F.pad(logits.gather(1, classes[:, None]), (1, 0))
        return F.cross_entropy(asked, torch.ones_like(classes), reduction="none")

    def answers(self, logits: Tensor, classes: Tensor) -> Tensor:
        """Whether classes int64 `[B]` are predicted, or for `multilabel` present: bool `[B]`, false for NaN."""
        if self.multilabel:
            return logits.gather(1, classes[:, None])[:, 0] > 0
        return predicted_classes(logits) == classes

    def well_defined(self, logits: Tensor) -> Tensor:
        """Whether logits `[B,classes]` have a prediction, or for `multilabel` every answer: bool `[B]`."""
        return ~logits.isnan().any(1) if self.multilabel else well_defined(logits)

    def logits(self, output: Tensor) -> Tensor:
        """Make logits of a module's output `[B,K]`: float32, or float64 for float64."""
        self._check_width(output)
        values = output if output.dtype == torch.float64 else output.float()
        if self.kind in ("logits", "binary", "multilabel") and self.tail != "sigmoid" and not self.seen.settled:
            self.seen.take(values.detach())
        if self.kind == "logits":
            self._check_logits(values.detach(), _tolerance(output, _FULL_TOLERANCE))
            return values
        if self.kind in ("binary", "multilabel"):
            values = self._of_sigmoid(values) if self.tail == "sigmoid" else values
            if self.kind == "multilabel" and self.column is None:
                return values
            asked = values if self.column is None else values[:, self.column : self.column + 1]
            return F.pad(asked, (1, 0))
        self._check_declared(values.detach(), _tolerance(output, _DECLARED_TOLERANCE))
        # log p equals the logits up to a constant per image, which no measure of ours depends on.
        return values if self.kind == "log-probabilities" else values.clamp(min=torch.finfo(values.dtype).tiny).log()

    def _check_width(self, output: Tensor) -> None:
        columns = output.shape[1]
        if self.kind == "binary":
            if columns != 1:
                found = f"a binary model returns {columns} values per picture"
                raise ModelError(found, expected="one, the logit of its second class", hint="outputs='logits'")
        elif columns < 2 and self.kind != "multilabel":
            raise ModelError(
                f"the model returns {counted(columns, 'value')} per picture",
                expected="logits of at least two classes",
                hint=_BINARY if columns else "look for a slice or mask of its columns that leaves none",
            )
        elif self.column is None and self._labels and columns != self._labels:
            raise ModelError(f"{self._labels} labels for a model with {columns} classes")
        elif self.column is not None and self.column >= columns:
            raise ModelError(f"label {self.column} of a model with {columns}", expected=f"0 to {columns - 1}")
        if self._columns and columns != self._columns:
            found = f"the model returns {columns} classes, and {self._columns} on an earlier pass"
            raise ModelError(found, expected="the same number for every picture")
        self._columns = columns

    def _check_logits(self, values: Tensor, tolerance: float) -> None:
        if self.tail == "sigmoid":
            raise ModelError(
                "the model ends in a sigmoid: it returns a probability per class, not logits",
                hint=f"{_HOW.format('multilabel')}, if each class is a question of its own; else remove the sigmoid",
            )
        if self._settled or not len(values):
            return
        for kind, tail, probabilities in (
            ("probabilities", "softmax", values),
            ("log-probabilities", "log-softmax", values.exp()),
        ):
            if self.tail == tail or bool(_look_like_softmax(probabilities, tolerance)):
                raise ModelError(
                    f"the model returns {kind}{' (each row sums to 1)' if kind == 'probabilities' else ''}, not logits",
                    hint=f"{_HOW.format(kind)}; or remove its {tail}",
                )
        # Rows that were no probabilities once show that these are logits, whatever later ones add up to.
        self._settled = not bool(_sum_to_one(values, tolerance).all())

    def _check_declared(self, values: Tensor, tolerance: float) -> None:
        known = values[well_defined(values)]
        probabilities = known if self.kind == "probabilities" else known.exp()
        wrong = ~_sum_to_one(probabilities, tolerance)
        if bool(wrong.any()):
            row = probabilities[wrong][0]
            raise ModelError(
                f"outputs={self.kind!r}, but a row of {float(row.min()):.3g} to {float(row.max()):.3g} sums to "
                f"{float(row.sum()):.3g}",
                expected="probabilities of one class among all, which sum to 1",
                hint=f"{_HOW.format('multilabel')} for a sigmoid per class, or {_HOW.format('logits')}",
            )

    def _of_sigmoid(self, values: Tensor) -> Tensor:
        known = values.detach()
        if bool(((known < 0) | (known > 1)).any()):
            raise ModelError(
                f"a sigmoid returned {float(known.min()):.3g} to {float(known.max()):.3g}", expected="0 to 1"
            )
        exact = torch.finfo(values.dtype)
        return values.clamp(exact.tiny, 1 - exact.eps / 2).logit()


def _tolerance(output: Tensor, full: float) -> float:
    return max(full, _SUM_TOLERANCE.get(output.dtype, 0.0))


def _look_like_softmax(rows: Tensor, tolerance: float) -> Tensor:
    # Nothing but 0 and 1 is what a table or a vote answers: softmax makes no such rows.
    return _sum_to_one(rows, tolerance).all() & ((rows > 0) & (rows < 1)).any()


def _sum_to_one(rows: Tensor, tolerance: float) -> Tensor:
    return (rows >= -tolerance).all(1) & ((rows.sum(1) - 1).abs() <= tolerance)
