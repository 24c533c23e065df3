"""How each request is made of batches. A job is a generator: it is sent a batch, says what it needs of it, and yields; when it is
sent the next one, the former has run and was checked.

    bit:        a uniform, s = a^2 public;  b = (a / sqrt(s) + 1) / 2            (s = 0 is refused: a chance of 1/p)
    r:          sum_j b_j 2^j M + sum_i rho_i, rho_i of party i: its quotient and remainder by the divisor, each proved to be
                below its bound (`parts`), so that rho_i is below the next multiple of the divisor, or 2^-19 more
    edabits:    r = sum of 61 bits, none of the values from p to 2^61: u (r >> 21 - (2^40 - 1)) is opened and not 0
    products:   the encrypted operand must be uniform and unopened; if neither is, x = A + (x - A) for a fresh A, and x - A is
                opened once A y is checked
Products of neighbouring bits of an r are made of the a's, before their squares are known: a bit itself is not uniform.
"""

from collections.abc import Generator, Sequence

import numpy as np

from tacit import _core, field
from tacit.correlations.lattice.batch import Batch
from tacit.correlations.lattice.forms import Way
from tacit.correlations.lattice.link import Link
from tacit.correlations.lattice.shared import Shared
from tacit.errors import CheatingDetected
from tacit.field import Field, P, size
from tacit.sharing.maps import Shape
from tacit.sharing.requests import LENGTH, Material
from tacit.sharing.truncation import Rounding

Job = Generator[None, Batch, None]
HALF = (P + 1) // 2
LOW = 21
"""Of p = 2^61 - 2^21 + 1: what is p or more has ones in all bits above these."""


class Target:
    """What a request is to get: `count` shares of a shape, filled piece by piece."""

    def __init__(self, shape: Shape, count: int) -> None:
        self.shape = shape
        self.shares = [Shared(np.empty(size(shape), np.uint64), np.empty(size(shape), np.uint64)) for _ in range(count)]
        self.clear: Field | None = None

    def put(self, place: int, here: slice, given: Shared) -> None:
        to = self.shares[place]
        to.value[here], to.mac[here] = given.value, given.mac

    def material(self) -> Material:
        shares = tuple((s.value.reshape(self.shape), s.mac.reshape(self.shape)) for s in self.shares)
        return Material(shares, None if self.clear is None else self.clear.reshape(self.shape))


def mask(target: Target, here: slice) -> Job:
    batch = yield
    made = batch.joint(here.stop - here.start)
    yield
    target.put(0, here, made)


def input_mask(target: Target, link: Link, owner: int, here: slice) -> Job:
    batch = yield
    count = here.stop - here.start
    value = link.random.field(count) if owner == link.me else None
    made = batch.owned(owner, count, value)
    yield
    target.put(0, here, made)
    if value is not None:
        if target.clear is None:
            target.clear = np.empty(size(target.shape), np.uint64)
        target.clear[here] = value


class Bits:
    """`digits` random bits for each of `count` places, and the products of those in `pairs` (of the higher and the lower)."""

    def __init__(self, batch: Batch, count: int, digits: int, pairs: Sequence[tuple[int, int]] = ()) -> None:
        self._link = batch.link
        below: dict[int, list[int]] = {}
        for high, low in pairs:
            below.setdefault(high, []).append(low)
        alone = {j: batch.squared(count) for j in range(digits) if j not in below}
        self._a = [alone[j][0] if j in alone else batch.joint(count) for j in range(digits)]
        self._made = []
        self._products: dict[tuple[int, int], Shared] = {}
        for j, a in enumerate(self._a):
            if j in alone:
                self._made.append(alone[j][1])
                continue
            square, *others = batch.elementwise(a, [a, *(self._a[k] for k in below[j])], public=True)
            self._made.append(square)
            self._products |= {(j, k): product for k, product in zip(below[j], others, strict=True)}

    def finish(self) -> None:
        """Once the batch has run: `bits`, and `products` by pair."""
        try:
            signs = [_core.rsqrt(square.value) for square in self._made]
        except ValueError:
            raise CheatingDetected("a square that was opened for a random bit is none") from None
        halves = [field.scale(k, HALF) for k in signs]
        self.bits = [_shifted(self._link, _times(k, a), HALF) for k, a in zip(halves, self._a, strict=True)]
        # b_1 b_0 = k_1 k_0 a_1 a_0 + (b_1 + b_0) / 2 - 1/4, with k a = b - 1/2
        quarter = HALF * HALF % P
        self.products = {
            (j, k): _shifted(
                self._link,
                combined([(1, _times(field.mul(halves[j], halves[k]), c)), (HALF, self.bits[j]), (HALF, self.bits[k])]),
                P - quarter,
            )
            for (j, k), c in self._products.items()
        }


def bits(target: Target, here: slice) -> Job:
    batch = yield
    made = Bits(batch, here.stop - here.start, 1)
    yield
    made.finish()
    target.put(0, here, made.bits[0])


class Rounded:
    """r of `digits` known bits and a rho of each party, and its quotient by `divisor` if that is not 1."""

    def __init__(
        self, batch: Batch, count: int, digits: int, divisor: int, pairs: Sequence[tuple[int, int]] = ()
    ) -> None:
        link, unit = batch.link, (P - 1) >> digits
        self._digits, self._divisor = digits, divisor
        self.made = Bits(batch, count, digits, pairs)
        self._parts: list[tuple[int, Shared]] = []
        for owner in range(link.parties):
            rho = link.random.below(count, unit) if owner == link.me else np.zeros(count, np.uint64)
            high = _core.divide(rho, divisor)
            low = rho - high * np.uint64(divisor)
            split = [
                *(parts(low, min(unit, divisor)) if divisor > 1 else ()),
                *((weight * divisor, width, x) for weight, width, x in parts(high, -(-unit // divisor))),
            ]
            self._parts += [(weight, batch.below(owner, count, width, x)) for weight, width, x in split]

    def finish(self) -> None:
        """Once the batch has run: `r` and `high`."""
        self.made.finish()
        unit = (P - 1) >> self._digits
        known = list(enumerate(self.made.bits))
        self.r = combined([(unit << j, b) for j, b in known] + self._parts)
        if self._divisor > 1:
            weights = Rounding(self._divisor, self._digits, 2).weights
            above = [(weight // self._divisor, x) for weight, x in self._parts if weight >= self._divisor]
            self.high = combined([(weights[j], b) for j, b in known] + above)
        self._parts = []


def parts(values: Field, bound: int) -> list[tuple[int, int, Field]]:
    """(weight, width, part): `values`, below `bound`, are the sum of weighted parts of so many bits each.

    Whatever the parts are, the sum is below the bound, or 2^-19 of it more.
    """
    width = (bound - 1).bit_length()
    if width == 0:
        return []
    if (1 << width) - bound <= bound >> 19:
        return [(1, width, values)]
    last = bound - (1 << (width - 1))
    top = (values >= np.uint64(1 << (width - 1))).astype(np.uint64)
    return [(1, width - 1, values - top * np.uint64(last)), (last, 1, top)]


def truncation(target: Target, digits: int, divisor: int, here: slice) -> Job:
    batch = yield
    made = Rounded(batch, here.stop - here.start, digits, divisor)
    yield
    made.finish()
    for place, share in enumerate((made.r, made.made.bits[-1], made.high)):
        target.put(place, here, share)


Pairs = dict[tuple[int, int], list[Target]]
"""Products of bits of a request that are wanted with it, by the bits' numbers."""


def comparison(target: Target, digits: int, divisor: int, pairs: Pairs, here: slice) -> Job:
    batch = yield
    made = Rounded(batch, here.stop - here.start, digits, divisor, list(pairs))
    yield
    made.finish()
    shares = [made.r, *made.made.bits, *([made.made.bits[-1], made.high] if divisor > 1 else [])]
    for place, share in enumerate(shares):
        target.put(place, here, share)
    _give(made.made, pairs, here)


def edabits(target: Target, link: Link, wanted: int, pairs: Pairs, here: slice) -> Job:
    batch = yield
    count = here.stop - here.start
    made = Bits(batch, count, LENGTH, list(pairs))
    batch = yield
    made.finish()
    top = combined([(1 << (j - LOW), made.bits[j]) for j in range(LOW, LENGTH)])
    (tested,) = batch.elementwise(batch.joint(count), [_shifted(link, top, P + 1 - (1 << (LENGTH - LOW)))], public=True)
    yield
    if not tested.value.all():
        raise CheatingDetected("a random number was not below p: a chance of 2^-40 for each; start again")
    target.put(0, here, combined([(1 << j, b) for j, b in enumerate(made.bits)]))
    for place, bit in enumerate(made.bits[LENGTH - wanted :], 1):
        target.put(place, here, bit)
    _give(made, pairs, here)


def products(targets: Sequence[Target], e: Shared, fs: Sequence[Shared], here: slice) -> Job:
    """e f for each f, elementwise; e is uniform and unopened."""
    batch = yield
    made = batch.elementwise(part(e, here), [part(f, here) for f in fs])
    yield
    for target, product in zip(targets, made, strict=True):
        target.put(0, here, product)


def reopened(target: Target, x: Shared, y: Shared, here: slice) -> Job:
    """x y, elementwise: x = A + (x - A)."""
    batch = yield
    a, x, y = batch.joint(here.stop - here.start), part(x, here), part(y, here)
    (made,) = batch.elementwise(a, [y])
    batch = yield
    d = batch.open(combined([(1, x), (P - 1, a)]))
    yield
    target.put(0, here, combined([(1, made), (1, _times(d.value, y))]))


def forms(way: Way, places: Sequence[Shared], es: Sequence[Shared], f: Shared) -> Job:
    """f(E, F) for each E, which are uniform and unopened: one form of all of them side by side along E's free axis.

    `way` is that of one; `places`: where each product goes, of its shape.
    """
    batch = yield
    made = batch.form(way.joined(len(es)), way.side_by_side([e.value for e in es], [e.mac for e in es]), f)
    yield
    for place, product in zip(places, way.apart(made, len(es)), strict=True):
        for to, component in ((place.value, product.value), (place.mac, product.mac)):
            to[...] = component.reshape(to.shape)


def reopened_form(target: Target, here: slice, way: Way, e: Shared, f: Shared) -> Job:
    batch = yield
    a = batch.joint(e.value.size)
    made = batch.form(way, a, f)
    batch = yield
    d = batch.open(combined([(1, e), (P - 1, a)]))
    yield
    known = d.value.reshape(way.x if way.left else way.y)
    more = [way.apply(known, component.reshape(way.plain)).reshape(-1) for component in (f.value, f.mac)]
    target.put(0, here, combined([(1, made), (1, Shared(more[0], more[1]))]))


# Shares.


def part(s: Shared, here: slice) -> Shared:
    return Shared(s.value[here], s.mac[here])


def combined(terms: Sequence[tuple[int, Shared]]) -> Shared:
    """sum of k x"""
    total: Shared | None = None
    for k, s in terms:
        value, mac = field.scale(s.value, k), field.scale(s.mac, k)
        total = (
            Shared(value, mac) if total is None else Shared(field.add(total.value, value), field.add(total.mac, mac))
        )
    assert total is not None
    return total


def _times(public: Field, s: Shared) -> Shared:
    return Shared(field.mul(public, s.value), field.mul(public, s.mac))


def _shifted(link: Link, s: Shared, constant: int) -> Shared:
    """s + constant"""
    value = _core.add_scalar(s.value, constant % P) if link.me == 0 else s.value
    return Shared(value, _core.add_scalar(s.mac, link.alpha * constant % P))


def _give(made: Bits, pairs: Pairs, here: slice) -> None:
    for pair, targets in pairs.items():
        for target in targets:
            target.put(0, here, made.products[pair])
