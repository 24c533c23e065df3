"""Matrix products. A transpose is part of the product: nothing is moved, and the opening is that of the matrix itself."""

import torch

from tacit.field import size
from tacit.graph.forms import MatMul
from tacit.graph.maps import Permute
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.matrices import matmul as vectors
from tacit.numbers.matrices import matmul_public as vectors_public
from tacit.torch.operands import Operand, array, shape_of
from tacit.torch.ops.arithmetic import add, times
from tacit.torch.rules import implements

aten = torch.ops.aten


@implements(aten.mm.default, aten.bmm.default)
def matmul(a: Arithmetic, x: Operand, y: Operand, again: bool = False) -> Number:
    if isinstance(x, Number):
        left, transposed = _untransposed(x)
        if isinstance(y, Number):
            right, also = _untransposed(y)
            _fitting(x.shape, y.shape)
            return a.bilinear(MatMul(transposed, also), left, right, x.shape[-1], "matmul", again)
        values = array(y)
        _fitting(x.shape, values.shape)
        return a.with_public(MatMul(transposed, False), left, values, False, x.shape[-1], "matmul")
    assert isinstance(y, Number)
    right, also = _untransposed(y)
    values = array(x)
    _fitting(values.shape, y.shape)
    return a.with_public(MatMul(False, also), right, values, True, y.shape[-2], "matmul")


def _fitting(x: tuple[int, ...], y: tuple[int, ...]) -> None:
    if x[-1] != y[-2] or x[:-2] != y[:-2]:
        raise RuntimeError(f"shapes {x} and {y} cannot be multiplied as matrices")


def _untransposed(x: Number) -> tuple[Number, bool]:
    """(y, True) if x is the transpose of a matrix y."""
    if x.base is not None and len(x.shape) >= 2 and isinstance(x.base[0], Permute):
        last = len(x.shape) - 1
        if x.base[0].axes == (*range(last - 1), last, last - 1):
            return x.base[1], True
    return x, False


@implements(aten.mv.default, aten.dot.default, aten.vdot.default)
def vector_product(a: Arithmetic, x: Operand, y: Operand) -> Number:
    if isinstance(x, Number):
        return vectors(a, x, y) if isinstance(y, Number) else vectors_public(a, x, array(y), False)
    assert isinstance(y, Number)
    return vectors_public(a, y, array(x), True)


@implements(aten.addmm.default, aten.baddbmm.default)
def addmm(a: Arithmetic, bias: Operand, x: Operand, y: Operand, beta: float = 1, alpha: float = 1) -> Operand:
    if isinstance(x, Number) or isinstance(y, Number):
        # A layer with a bias: its operands come back in the backward pass.
        r = 1.0
        if isinstance(x, Number):
            r, x = a.apart(x, alpha)
        elif isinstance(y, Number):
            r, y = a.apart(y, alpha)
        secret = matmul(a, x, y, again=True)
        product: Operand = secret if r == 1 else times(a, secret, r)
    else:
        assert isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)
        product = alpha * (x @ y)
    if beta == 0:
        return product
    if beta != 1:
        bias = times(a, bias, beta) if isinstance(bias, Number) else beta * bias
    return add(a, product, bias, name="bias")


@implements(aten.linear.default)
def linear(a: Arithmetic, x: Operand, weight: Operand, bias: Operand | None = None) -> Operand:
    """x weight^T + bias. Autograd takes this apart before it comes here; inference mode does not."""
    columns = a.permute(weight, (1, 0)) if isinstance(weight, Number) else weight.t()  # type: ignore[union-attr]
    lead = shape_of(x)[:-1]
    rows = (size(lead), shape_of(x)[-1])
    flat = a.reshape(x, rows) if isinstance(x, Number) else x.reshape(rows)  # type: ignore[union-attr]
    if isinstance(flat, Number) or isinstance(columns, Number):
        product: Operand = matmul(a, flat, columns)
    else:
        product = flat @ columns
    product = product if bias is None else add(a, product, bias, name="bias")
    shape = (*lead, shape_of(weight)[0])
    return a.reshape(product, shape) if isinstance(product, Number) else product
