"""Classes as they come in and go out: 0 and 1, one-hots, or a tensor of secret indices."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from tacit.errors import BadInput
from tacit.learn.secrets import Kind, is_tensor, number
from tacit.numbers import selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.functions.softmax import softmax
from tacit.numbers.functions.splines import sigmoid


class Form(Enum):
    BITS = "0 and 1, (rows,)"
    ONE_HOTS = "one-hots, (rows, classes)"
    INDICES = "what session.labels gives with torch: int64, (rows,)"


@dataclass(frozen=True)
class Labels:
    """`bits` (rows,) in the first form, else `bits` (rows, classes)."""

    form: Form
    bits: Number

    @property
    def classes(self) -> int:
        return 2 if self.form is Form.BITS else self.bits.shape[1]

    def columns(self, a: Arithmetic) -> Number:
        """One column for two classes, else one for each: (rows, 1) or (rows, classes)."""
        if self.form is Form.BITS:
            return a.reshape(self.bits, (*self.bits.shape, 1))
        return a.slice(self.bits, 1, 1, 2) if self.classes == 2 else self.bits

    def one_hots(self, a: Arithmetic) -> Number:
        return pair(a, self.columns(a)) if self.form is Form.BITS else self.bits


def read(y: Any, of: Kind, what: str = "y") -> Labels:
    found = number(y, of, what)
    if is_tensor(y):
        from tacit.torch.labels import one_hot

        if (rows := one_hot(of.arithmetic, found)) is not None:
            if len(rows.shape) == 2 and rows.shape[1] > 1:
                return Labels(Form.INDICES, rows)
            found = rows
    if len(found.shape) == 1:
        return Labels(Form.BITS, found)
    if len(found.shape) == 2 and found.shape[1] > 1:
        return Labels(Form.ONE_HOTS, found)
    raise BadInput(
        f"{what} has the shape {found.shape}: take what session.labels gives, one-hots of shape (rows, classes), two or more, "
        "or 0 and 1 of shape (rows,)"
    )


def decided(a: Arithmetic, scores: Number, threshold: float = 0.0) -> Labels:
    """The classes of the largest scores (rows, classes), or of those above the threshold (rows, 1). Exact."""
    if scores.shape[1] == 1:
        above = selection.compare(a, scores, ">", threshold)
        return Labels(Form.BITS, a.reshape(above, scores.shape[:1]))
    return Labels(Form.ONE_HOTS, selection.winners_along(a, scores, (1,)))


def write(found: Labels, form: Form, of: Kind) -> Any:
    """In the form that `fit` was given; indices of arrays are one-hots."""
    a = of.arithmetic
    if form is Form.BITS:
        return of.wrap(found.bits)
    one_hots = found.one_hots(a)
    if form is Form.ONE_HOTS or of.dtype is None:
        return of.wrap(one_hots)
    import torch

    return Kind(a, torch.int64).wrap(selection.index(a, one_hots))


def pair(a: Arithmetic, column: Number) -> Number:
    """[1 - x, x]"""
    other = a.add_public(a.negate(column), np.asarray(1.0))
    return a.concat([selection.bit(other) if column.bits == 1 and column.scale == 0 else other, column], 1)


def link(a: Arithmetic, z: Number) -> Number:
    """Probabilities: of class 1 for z (rows, 1), else of all classes."""
    return sigmoid(a, z) if z.shape[1] == 1 else softmax(a, z)


def probabilities(a: Arithmetic, z: Number) -> Number:
    """Probabilities of all classes."""
    return pair(a, link(a, z)) if z.shape[1] == 1 else link(a, z)
