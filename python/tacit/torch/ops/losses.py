"""Losses. Their gradients need no product but with the incoming gradient; a loss that nobody reveals is never computed.

nll:  -sum_i w_(y_i) x_(i, y_i) / W,    gradient -e_(y_i) w_(y_i) / W,    W = N or sum_i w_(y_i), e the one-hots of the labels
"""

import math

import torch

from tacit.errors import Unsupported
from tacit.field import CAPACITY, size
from tacit.numbers import comparison, masks, selection
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.format import rounded
from tacit.numbers.functions import normal, splines
from tacit.numbers.standard import sum_of_squares
from tacit.torch import labels
from tacit.torch.operands import Operand, array, scalar, shape_of
from tacit.torch.ops.arithmetic import add, mul, sub, times
from tacit.torch.ops.functions import TOTALS
from tacit.torch.ops.reductions import mean, total
from tacit.torch.rules import first, implements

aten = torch.ops.aten

NONE, MEAN, SUM = 0, 1, 2
FINER = 8
"""Bits more than the format's fraction that a factor of a loss keeps."""


@implements(aten.mse_loss.default)
def mse_loss(a: Arithmetic, x: Operand, y: Operand, reduction: int = MEAN) -> Number:
    """Never computed unless someone reveals it: the gradient needs the difference only."""
    difference = sub(a, x, y)
    if reduction == NONE:
        return a.multiply(difference, difference, "mse_loss")
    count = size(difference.shape)
    most = a.format.integer + (
        (count - 1).bit_length() if reduction == MEAN else 0
    )  # the squares may leave the contract
    squares = sum_of_squares(a, difference, range(len(difference.shape)), most)
    return times(a, a.reshape(squares, ()), 1 / count if reduction == MEAN else 1.0)


@implements(aten.mse_loss_backward.default)
def mse_loss_backward(a: Arithmetic, grad: Operand, x: Operand, y: Operand, reduction: int = MEAN) -> Operand:
    factor = 2 / size(shape_of(x)) if reduction == MEAN else 2.0
    if isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor):
        return mul(a, grad, (x - y) * factor)
    return _scaled(a, sub(a, x, y), grad, factor, "mse_loss gradient")


def _reduced(a: Arithmetic, x: Number, reduction: int) -> Number:
    return mean(a, x) if reduction == MEAN else total(a, x) if reduction == SUM else x


def _scaled(a: Arithmetic, x: Number, grad: Operand, factor: float, name: str) -> Number:
    """factor x grad; of public numbers one constant, one scale."""
    known = None if isinstance(grad, Number) else scalar(grad)
    if known is not None:
        return times(a, x, known * factor, name)
    return mul(a, times(a, x, factor, name), grad)


# Negative log-likelihood. Classes are axis 1, or 0 where there is no batch.


@implements(aten.nll_loss_forward.default, aten.nll_loss2d_forward.default, integers=first)
def nll_loss(
    a: Arithmetic, x: Operand, target: Operand, weight: torch.Tensor | None, reduction: int, ignore_index: int
) -> tuple[Operand, Operand]:
    """(loss, total weight) for log-probabilities x, labels (secret or public) and public weights of classes.

    The loss of a class that a mask hides is about the format's largest number.
    """
    x = masks.saturated(x) if isinstance(x, Number) else x
    chosen, weights = _one_hot(a, x, target, ignore_index), _weights(x, weight, reduction)
    weighed = x if weights is None else mul(a, x, weights) if isinstance(x, Number) else x * weights
    if isinstance(weighed, Number) and isinstance(chosen, Number):
        picked = selection.picked(a, weighed, chosen, (_axis(x),))
    else:
        picked = selection.only(a, mul(a, weighed, chosen, "nll_loss"), (_axis(x),))
    losses, whole = a.negate(picked), _total_weight(a, chosen, weights)
    if reduction != MEAN:
        return _reduced(a, losses, reduction), whole
    count = size(losses.shape)
    if isinstance(whole, Number):
        return normal.divide(a, mean(a, losses), a.times(whole, 1 / count)), whole
    return times(a, mean(a, losses), count / float(whole)), whole


@implements(aten.nll_loss_backward.default, aten.nll_loss2d_backward.default, integers=first)
def nll_loss_backward(
    a: Arithmetic,
    grad: Operand,
    x: Operand,
    target: Operand,
    weight: torch.Tensor | None,
    reduction: int,
    ignore_index: int,
    whole: Operand,
) -> Operand:
    """Linear in the one-hot. Where it is public, what each row sums to goes along: the gradient of log_softmax needs it."""
    chosen, weights = _one_hot(a, x, target, ignore_index), _weights(x, weight, reduction)
    rows, factor = _rows(a, grad, _axis(x)) if reduction == NONE else grad, -1.0
    if reduction == MEAN and isinstance(whole, Number):
        count = size(shape_of(target))
        rows, factor = mul(a, normal.reciprocal(a, a.times(whole, 1 / count)), rows), -1 / count
    elif reduction == MEAN:
        factor = -1 / float(whole)  # type: ignore[arg-type]
    if isinstance(chosen, torch.Tensor):
        factors = factor * (chosen if weights is None else chosen * weights)
        return rows * factors if isinstance(rows, torch.Tensor) else mul(a, rows, factors)
    kept = chosen if weights is None else a.times_public(chosen, array(weights))
    out = _scaled(a, kept, rows, factor, "nll_loss gradient")
    if weights is None and not isinstance(rows, Number):
        TOTALS.note(out, rounded(array(rows) * factor), _axis(x))
    return out


def _axis(x: Operand) -> int:
    return min(1, len(shape_of(x)) - 1)


def _one_hot(a: Arithmetic, x: Operand, target: Operand, ignore_index: int) -> Number | torch.Tensor:
    """The one-hots of the labels, with classes where x has them; of ignored labels, which are public, zeros."""
    shape, axis = shape_of(x), _axis(x)
    if isinstance(target, Number):
        rows = labels.needed(a, target, aten.nll_loss)
        if 0 <= ignore_index < rows.shape[-1]:
            raise Unsupported(
                f"nll_loss of secret labels with ignore_index={ignore_index}: which are ignored is secret"
            )
        order = list(range(len(rows.shape) - 1))
        order.insert(axis, len(order))
        chosen: Number | torch.Tensor = a.permute(rows, order)
    else:
        assert isinstance(target, torch.Tensor)
        kept = target != ignore_index
        wrong = kept & ((target < 0) | (target >= shape[axis]))
        if wrong.any():
            raise IndexError(f"the label {int(target[wrong][0])} is none of {shape[axis]} classes")
        public = torch.nn.functional.one_hot(target * kept, shape[axis]) * kept.unsqueeze(-1)
        chosen = public.movedim(-1, axis).float()
    if tuple(chosen.shape) != shape:
        raise RuntimeError(f"labels for values of shape {tuple(chosen.shape)} do not fit inputs of shape {shape}")
    return chosen


def _weights(x: Operand, weight: torch.Tensor | None, reduction: int) -> torch.Tensor | None:
    """The weights of classes, to be broadcast against x. Any multiple serves a mean: the largest is between 1/2 and 1."""
    if weight is None:
        return None
    if isinstance(weight, Number):
        raise Unsupported("nll_loss with secret weights of classes: they have to be public")
    if reduction == MEAN:
        weight = weight * math.ldexp(1.0, -math.frexp(float(weight.abs().max()))[1])
    return weight.reshape(-1, *(1,) * (len(shape_of(x)) - 1 - _axis(x)))


def _total_weight(a: Arithmetic, chosen: Number | torch.Tensor, weights: torch.Tensor | None) -> Operand:
    if isinstance(chosen, Number):
        if weights is None:
            return torch.tensor(float(size(chosen.shape) / chosen.shape[min(1, len(chosen.shape) - 1)]))
        return selection.count(a, a.times_public(chosen, array(weights)), range(len(chosen.shape)))
    return (chosen if weights is None else chosen * weights).sum().float()


def _rows(a: Arithmetic, grad: Operand, axis: int) -> Operand:
    """The gradient of each loss, beside the classes."""
    shape = shape_of(grad)
    wide = (*shape[:axis], 1, *shape[axis:])
    return a.reshape(grad, wide) if isinstance(grad, Number) else grad.reshape(wide)  # type: ignore[union-attr]


# Huber's loss: squares near zero, absolute values far from it. Its clamp compares at the resolution of a ReLU.


@implements(aten.huber_loss.default)
def huber_loss(a: Arithmetic, x: Operand, y: Operand, reduction: int = MEAN, delta: float = 1.0) -> Number:
    return _huber(a, x, y, reduction, delta, 1.0)


def _huber(a: Arithmetic, x: Operand, y: Operand, reduction: int, delta: float, factor: float) -> Number:
    """factor n (d - n / 2), for n the nearest to d = x - y in [-delta, delta].

    It is not negative, so that single losses have the bits of their sum, which is in the contract or a mean's.
    """
    apart, _ = _apart(a, x, y)
    near = selection.clamp(a, apart, -delta, delta, exact=False)
    far, near = a.add(apart, a.times(near, 0.5), -1), a.times(near, factor)
    if reduction == NONE:
        return a.multiply(near, far, "huber_loss")
    count = size(apart.shape)
    most = a.format.integer + ((count - 1).bit_length() if reduction == MEAN else 0)
    near = a.truncate(near, min(near.scale + far.scale + most - CAPACITY, near.scale - a.format.fraction - FINER))
    far = a.truncate(far, near.scale + far.scale + most - CAPACITY)
    bits = min(near.bits + far.bits, near.scale + far.scale + most)
    losses = a.multiply(near, far, "huber_loss", bits=bits)
    total = a.sum(losses, range(len(losses.shape)), False, losses.scale + most)
    return times(a, total, 1 / count if reduction == MEAN else 1.0)


@implements(aten.huber_loss_backward.default)
def huber_loss_backward(a: Arithmetic, grad: Operand, x: Operand, y: Operand, reduction: int, delta: float) -> Operand:
    apart, sign = _apart(a, x, y)
    near = selection.clamp(a, apart, -delta, delta, exact=False)
    return _scaled(a, near, grad, sign / (size(apart.shape) if reduction == MEAN else 1), "huber_loss gradient")


@implements(aten.smooth_l1_loss.default)
def smooth_l1_loss(a: Arithmetic, x: Operand, y: Operand, reduction: int = MEAN, beta: float = 1.0) -> Number:
    """Huber's by beta."""
    if beta == 0:
        return _reduced(a, comparison.absolute(a, _apart(a, x, y)[0]), reduction)
    return _huber(a, x, y, reduction, beta, 1 / beta)


@implements(aten.smooth_l1_loss_backward.default)
def smooth_l1_loss_backward(
    a: Arithmetic, grad: Operand, x: Operand, y: Operand, reduction: int, beta: float
) -> Operand:
    if beta:
        return times(a, huber_loss_backward(a, grad, x, y, reduction, beta), 1 / beta)
    apart, sign = _apart(a, x, y)
    signs = a.add_public(a.times(comparison.non_negative(a, apart), 2.0), comparison.MINUS_ONE)
    return _scaled(a, signs, grad, sign / (size(apart.shape) if reduction == MEAN else 1), "l1_loss gradient")


def _apart(a: Arithmetic, x: Operand, y: Operand) -> tuple[Number, int]:
    """(d, 1) with d = x - y, or (d, -1) with d = y - x if that was found before or only y is secret."""
    if isinstance(x, Number) and not (isinstance(y, Number) and selection.differed(y, x)):
        return selection.difference(a, x, y if isinstance(y, Number) else array(y)), 1
    assert isinstance(y, Number)
    return selection.difference(a, y, x if isinstance(x, Number) else array(x)), -1


# Cross-entropy of two classes.


@implements(aten.binary_cross_entropy_with_logits.default)
def binary_cross_entropy_with_logits(
    a: Arithmetic,
    x: Operand,
    y: Operand,
    weight: Operand | None = None,
    pos_weight: Operand | None = None,
    reduction: int = MEAN,
) -> Number:
    """w (softplus(x) - x y), or with weights p of positives w ((1 + (p - 1) y) (softplus(x) - x) + (1 - y) x)."""
    if not isinstance(x, Number):
        raise Unsupported(
            "binary_cross_entropy_with_logits of public logits and secret targets: take softplus(x) - x y"
        )
    soft = splines.softplus(a, x)
    if pos_weight is None:
        losses = sub(a, soft, mul(a, x, y))
    else:
        beyond = sub(a, pos_weight, 1.0) if isinstance(pos_weight, Number) else pos_weight - 1
        more = mul(a, beyond, y) if _secret(beyond, y) else beyond * y  # type: ignore[operator]
        positive = mul(a, add(a, more, 1.0) if isinstance(more, Number) else more + 1, a.add(soft, x, -1))
        losses = add(a, positive, sub(a, x, mul(a, x, y)))
    return _reduced(a, losses if weight is None else mul(a, losses, weight), reduction)


@implements(aten.binary_cross_entropy.default)
def binary_cross_entropy(
    a: Arithmetic, x: Operand, y: Operand, weight: Operand | None = None, reduction: int = MEAN
) -> Number:
    """-w (y log x + (1 - y) log(1 - x)); a logarithm is never below that of the last place, as torch's is not below -100."""
    if not isinstance(x, Number):
        raise Unsupported(
            "binary_cross_entropy of public probabilities and secret targets: take logarithms and a product"
        )
    of_one, of_zero = normal.log(a, x), normal.log(a, comparison.complement(a, x))
    losses = a.negate(add(a, mul(a, a.add(of_one, of_zero, -1), y), of_zero))
    return _reduced(a, losses if weight is None else mul(a, losses, weight), reduction)


@implements(aten.binary_cross_entropy_backward.default)
def binary_cross_entropy_backward(
    a: Arithmetic, grad: Operand, x: Operand, y: Operand, weight: Operand | None = None, reduction: int = MEAN
) -> Operand:
    """w (x - y) / (x (1 - x))"""
    assert isinstance(x, Number)
    apart = sub(a, x, y)
    slope = normal.divide(a, apart, a.multiply(x, comparison.complement(a, x)))
    slope = slope if weight is None else mul(a, slope, weight)
    return _scaled(a, slope, grad, 1 / size(slope.shape) if reduction == MEAN else 1.0, "bce gradient")


@implements(aten.soft_margin_loss.default)
def soft_margin_loss(a: Arithmetic, x: Operand, y: Operand, reduction: int = MEAN) -> Number:
    """log(1 + exp(-x y))"""
    return _reduced(a, a.negate(splines.log_sigmoid(a, mul(a, x, y))), reduction)


@implements(aten.soft_margin_loss_backward.default)
def soft_margin_loss_backward(a: Arithmetic, grad: Operand, x: Operand, y: Operand, reduction: int = MEAN) -> Operand:
    """-y sigmoid(-x y)"""
    slope = mul(a, splines.log_sigmoid_slope(a, mul(a, x, y)), y)
    return _scaled(a, slope, grad, -1 / size(slope.shape) if reduction == MEAN else -1.0, "soft_margin_loss gradient")


@implements(aten.xlogy.Tensor)
def xlogy(a: Arithmetic, x: Operand, y: Operand) -> Number:
    """x log y, 0 where x is 0: part of kl_div."""
    return mul(a, x, normal.log(a, y) if isinstance(y, Number) else torch.as_tensor(y).log())


def _secret(*operands: Operand) -> bool:
    return any(isinstance(x, Number) for x in operands)
