"""Products of matrices in all the bits that they need, where what is made of them is in the contract whatever they are.

    softmax(c q k^T + A) v is a mean of rows of v;    q k^T may be as large as (columns) 2^(2 integer)
A pending value remembers what it is made of, so that the product is made again here; its own value, in the bits of the contract,
never is if nobody else asks for it.
"""

import math
from dataclasses import replace

import numpy as np

from tacit.field import CAPACITY
from tacit.graph.forms import Elementwise, MatMul, With
from tacit.graph.maps import Combine
from tacit.graph.operations import Bilinear, Linear, Shift, Truncate
from tacit.graph.wires import Wire
from tacit.numbers.arithmetic import Arithmetic, Number, Product
from tacit.numbers.format import decode
from tacit.numbers.known import Fact

SPARE = 2
"""Bits that a product leaves for differences and masks."""
FACTOR = 12
"""Bits of a public factor: a softmax whose argument is wrong by one part in 2^FACTOR is right to 2^(-FACTOR - 1)."""
WIDENED: Fact[Number] = Fact("without the contract")


def widened(a: Arithmetic, x: Number) -> Number:
    """x without the contract (`Number.beyond`), if it is a pending product of matrices, or that times or plus public numbers,
    truncated, or a view of it. Any other x as it is, and one whose operands are so narrow that the contract holds."""
    if x.beyond:
        return x
    found = WIDENED.of(x) or _made(a, x.wire, x.scale, 1.0)
    return x if found is None else WIDENED.note(x, found)


def _made(a: Arithmetic, wire: Wire, scale: int, factor: float) -> Number | None:
    """`factor` times the integers of `wire` at `scale`."""
    if not wire.pending:
        return None
    at, made = wire.origin or (scale, None)
    if isinstance(made, Product) and isinstance(made.form, MatMul):
        product = _product(a, made, factor)
        return product and replace(product, scale=product.scale - at + scale)
    operation = wire.operation
    if wire.base is not None:
        product = _made(a, wire.base[1], scale, factor)
        return product and a.view(product, wire.base[0])
    if isinstance(operation, Truncate) and operation.divisor == 1 << operation.bits:
        return _made(a, wire.inputs[0], scale + operation.bits, factor)
    if isinstance(operation, Shift):
        product = _made(a, wire.inputs[0], scale, factor)
        return product and a.add_public(product, factor * decode(operation.constant, scale).reshape(wire.shape))
    if not isinstance(operation, Linear):
        return None
    match operation.map:
        case Combine((one,)):
            more, power = math.frexp(one)
            return _made(a, wire.inputs[0], scale - power, factor * more)
        case With(form=Elementwise(), constant=kept) if kept.max(initial=0) <= 1:
            product = _made(a, wire.inputs[0], scale, factor)
            return product and a.times_public(product, kept.astype(np.float64))
    return None


def _product(a: Arithmetic, made: Product, factor: float) -> Number | None:
    """factor form(x, y), or None if the contract states what its operands do.

        form(x, y) = 2^t form(x, y1) + form(x, y0),   y = 2^t y1 + y0,   y1 a truncation of y
    with both operands in the format, and t the bits by which the product would be too wide: right to units of 2^t in its last
    place, which are below those of the format.
    """
    x, y, form = made.x, made.y, made.form
    assert isinstance(form, MatMul)
    shape, more = form.shape(x.shape, y.shape), (x.shape[-2 if form.transpose_x else -1] - 1).bit_length()
    if x.beyond or y.beyond or x.bits + y.bits + more <= x.scale + y.scale + a.format.integer:
        return None
    x, y = a.rescale(x), a.rescale(y)

    def product(part: Number, bits: int) -> Number:
        wire = a.engine.record(Bilinear(form), (x.wire, part.wire), shape, "matmul")
        wire.bound = bits
        return Number(wire, x.scale + part.scale, bits)

    bits = x.bits + y.bits + more
    drop = max(0, bits + SPARE - CAPACITY)
    high = a.truncate(y, drop)
    out = product(high, bits - drop)
    if drop:
        off = drop + a.engine.protocol.ulps.bit_length()
        rest = a.combine([(1.0, y), (-1.0, high)], 0.0, y.scale, off, "matmul")
        low = a.truncate(product(rest, x.bits + off + more), drop)
        out = a.combine([(1.0, out), (1.0, low)], 0.0, out.scale, out.bits, "matmul")
    part, power = math.frexp(factor)
    if abs(part) != 0.5:
        out = a.truncate(out, FACTOR)
        out = a.combine([(part, out)], 0.0, out.scale + FACTOR, out.bits + FACTOR, "mul")
        out = replace(out, scale=out.scale - power)
    else:
        out = replace(a.negate(out) if part < 0 else out, scale=out.scale - power + 1)
    return replace(out, coarsest=out.scale)
