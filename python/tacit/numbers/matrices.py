"""NumPy's matrix product on secret numbers: vectors on either side, leading axes broadcast."""

import numpy as np
from numpy.typing import NDArray

from tacit.graph.forms import MatMul
from tacit.graph.maps import Shape
from tacit.numbers.arithmetic import Arithmetic, Number


def matmul(arithmetic: Arithmetic, x: Number, y: Number) -> Number:
    left, right, result = aligned(x.shape, y.shape)
    product = arithmetic.bilinear(
        MatMul(), _to(arithmetic, x, left), _to(arithmetic, y, right), max(1, left[-1]), "matmul"
    )
    return arithmetic.reshape(product, result)


def matmul_public(arithmetic: Arithmetic, x: Number, values: NDArray[np.float64], left: bool) -> Number:
    """x @ values, or values @ x if `left`."""
    first, second, result = aligned(values.shape, x.shape) if left else aligned(x.shape, values.shape)
    mine, theirs = (second, first) if left else (first, second)
    matrix = np.ascontiguousarray(np.broadcast_to(_as_matrix(values, left), theirs))
    product = arithmetic.with_public(MatMul(), _to(arithmetic, x, mine), matrix, left, max(1, first[-1]), "matmul")
    return arithmetic.reshape(product, result)


def aligned(x: Shape, y: Shape) -> tuple[Shape, Shape, Shape]:
    """Shapes of both operands as matrices with the same leading axes, and of the result."""
    if not x or not y or x[-1] != y[max(0, len(y) - 2)]:
        raise ValueError(f"matrix product of shapes {x} and {y}")
    matrix_x = (1, *x) if len(x) == 1 else x
    matrix_y = (*y, 1) if len(y) == 1 else y
    lead = np.broadcast_shapes(matrix_x[:-2], matrix_y[:-2])
    result = lead + (() if len(x) == 1 else matrix_x[-2:-1]) + (() if len(y) == 1 else matrix_y[-1:])
    return (*lead, *matrix_x[-2:]), (*lead, *matrix_y[-2:]), result


def _to(arithmetic: Arithmetic, x: Number, shape: Shape) -> Number:
    if len(x.shape) == 1:
        x = arithmetic.reshape(x, shape[-2:])
    return arithmetic.expand(x, shape)


def _as_matrix(values: NDArray[np.float64], left: bool) -> NDArray[np.float64]:
    if values.ndim != 1:
        return values
    return values[None, :] if left else values[:, None]
