"""Material that the parties of `shamir.protocol` make by themselves: random bits, masks and their products, verified before use.

    b = (1 + s) / 2,  s = s_0 s_1 ... s_t,  s_i = 1 or -1 dealt by one party;   verified: the products, and s s = 1
    rho = sum of K integers,         of [0, M) each, one of them at least known to no cheater (`shamir.randomness`)
    truncation, comparison:          r = R M + rho with R of random bits (`gadgets.truncation`, `gadgets.comparison`)
    more than 21 bits:               r = R M + Q W + rho (`correlations.layouts`): Q's bits' product is opened, and must be 0
    any mask A, and [f(A, B)]:       A a random number; for an input opened to its owner; products reduced and verified
One of t + 1 parties is honest, so s is its sign times 1 or -1: R and rho are uniform to any t parties. A bit hides
as long as it is a bit: what goes into masks is checked before they are given out, all of a list at once. Bits left over are kept.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from tacit import _core, field
from tacit.correlations.layouts import of_length
from tacit.correlations.masks import Expression, Mask
from tacit.correlations.requests import (
    LEADING,
    BitsRequest,
    ComparisonRequest,
    InputMask,
    MaskRequest,
    Material,
    ProductRequest,
    Request,
    TruncationRequest,
)
from tacit.correlations.source import Source, Ticket
from tacit.field import Field, P, size
from tacit.graph.forms import Elementwise
from tacit.graph.wires import Share
from tacit.interaction.exchange import Exchange, Rounds
from tacit.protocols.gadgets.truncation import Rounding
from tacit.protocols.shamir.polynomials import combined
from tacit.protocols.shamir.randomness import MOST, SETS, UNCHECKED, Sums, chosen
from tacit.protocols.shamir.shares import Shares
from tacit.protocols.shamir.verification import Verifier

BATCH = 1 << 12
"""Bits made at once at least."""
SPARE = 8
"""Numbers drawn beyond those that are needed."""
ELEMENTWISE = Elementwise()
HALF = (P + 1) // 2

Drive = Callable[[Rounds, str], Any]
Held = WeakKeyDictionary[Request, tuple[Share, ...]]
"""This party's shares of masks, as long as somebody has an opening under them."""


class ShamirSource(Source):
    """One party's side. `drive` runs a generator of rounds among all parties."""

    name = "the parties"
    key = 0
    binary = False

    def __init__(self, shares: Shares, drive: Drive, held: Held | None = None) -> None:
        """`held`: masks made before, of which products may be asked for."""
        self._shares, self._drive = shares, drive
        self._held: Held = WeakKeyDictionary() if held is None else held
        self._verifier = Verifier(shares)
        self._bits = np.zeros(0, np.uint64)
        self._numbers: dict[int, list[Field]] = {}
        """Bits of Q by the number of the request."""
        self._turn = 0
        self._checks = 0
        self.summands = shares.group.summands

    @property
    def checks(self) -> int:
        return self._checks + self._shares.randomness.checks

    def request(self, requests: Sequence[Request]) -> Ticket:
        return Ticket(requests)

    def take(self, ticket: Ticket) -> list[Material]:
        self._shares.alive()
        for r in ticket.requests:
            if more := unlike_ones(r):
                self._numbers[r.number] = self._unlike_ones(more, r.shape)
        self._enough(sum(bits_of(r, self.summands) for r in ticket.requests))
        products = [r for r in ticket.requests if isinstance(r, ProductRequest)]
        owned = [r for r in ticket.requests if isinstance(r, InputMask)]
        drawn = self._drive(self._drawn(ticket.requests), "random numbers")
        made: dict[Request, tuple[Share, ...]] = {
            r: self._made(r, drawn.pop(r, None)) for r in ticket.requests if not isinstance(r, ProductRequest)
        }
        self._held.update(made)
        if products:
            made |= self._drive(self._products(products), "products of masks")
        if self._verifier.pending:
            self._drive(self._check(), "check of material")
        known = self._drive(self._shown(owned), "masks of inputs") if owned else {}
        # Digits serve the graph that they are made for.
        self._held.update({r: made[r][:1] for r in made if r.count > 1})
        return [Material(made[r], known.get(r)) for r in ticket.requests]

    def burn(self) -> None:
        super().burn()
        self._shares.burn()
        self._bits = np.zeros(0, np.uint64)
        self._held.clear()
        self._verifier.forget()

    def _check(self) -> Rounds:
        """Verify all that was made since the last check."""
        self._checks += 1
        yield from self._verifier.check()

    # Random bits.

    def _enough(self, needed: int) -> None:
        while len(self._bits) < needed:
            self._drive(self._more(min(MOST, max(BATCH, needed - len(self._bits)))), "random bits")

    def _more(self, count: int) -> Rounds:
        """`count` bits more, to be verified."""
        shares, members = self._shares, self._shares.members
        dealers = [members[(self._turn + i) % len(members)] for i in range(shares.threshold + 1)]
        self._turn += 1
        mine = None
        if shares.me in dealers:
            mine = shares.private.bits(count) * np.uint64(P - 2) + np.uint64(1)  # 1 or -1
        dealt = yield from shares.deal(dealers, mine, (count,))
        signs = [dealt[i] for i in dealers]
        for s in signs:
            self._verifier.dealt(s)
        while len(signs) > 1:
            h = len(signs) // 2
            x, y = np.concatenate(signs[:h]), np.concatenate(signs[h : 2 * h])
            z = yield from shares.reduce(field.mul(x, y))
            self._verifier.equals(ELEMENTWISE, x, y, z)
            signs = [*np.split(z, h), *signs[2 * h :]]
        self._verifier.equals(ELEMENTWISE, signs[0], signs[0], np.ones(count, np.uint64))
        if self._verifier.pending > UNCHECKED:
            yield from self._check()
        bits = field.scale(_core.add_scalar(signs[0], 1), HALF)
        self._bits = np.concatenate([self._bits, bits])

    def _unlike_ones(self, bits: int, shape: tuple[int, ...]) -> list[Field]:
        """Bits of uniform numbers below 2^bits - 1, lowest first: those that are 2^bits - 1 are found out, and left out."""
        left, parts = size(shape), []
        while left > 0:
            count = left + (left >> (bits - 1)) + SPARE
            self._enough(bits * count)
            drawn = np.stack(self._taken(bits, (count,)))
            full = self._drive(self._full(drawn), "numbers that are not all ones")
            kept = np.ascontiguousarray(drawn[:, full == 0][:, :left])
            parts.append(kept)
            left -= kept.shape[1]
        if not parts:
            return [np.zeros(shape, np.uint64)] * bits
        return _rows(np.concatenate(parts, axis=1).reshape(bits, *shape))

    def _full(self, bits: Field) -> Rounds:
        """The product of the bits along the first axis, verified, then opened."""
        while len(bits) > 1:
            h = len(bits) // 2
            z = yield from self._shares.reduce(field.mul(bits[:h], bits[h : 2 * h]))
            self._verifier.equals(ELEMENTWISE, bits[:h], bits[h : 2 * h], z)
            bits = np.concatenate([z, bits[2 * h :]])
        yield from self._check()
        return (yield from self._shares.open(bits[0]))

    def _taken(self, count: int, shape: tuple[int, ...]) -> list[Field]:
        """So many bits for each place of `shape`."""
        number = count * size(shape)
        taken, self._bits = self._bits[:number], self._bits[number:]
        return _rows(taken.reshape(count, *shape))

    # Masks.

    def _drawn(self, requests: Sequence[Request]) -> Generator[Exchange, Any, dict[Request, Sums]]:
        """Draw all that does not consist of bits: uniform numbers, and low parts of masks with their own high parts."""
        found: dict[Request, Sums] = {}
        uniform = [r for r in requests if isinstance(r, MaskRequest | InputMask)]
        flat = yield from self._shares.random((sum(size(r.shape) for r in uniform),))
        for r, part in zip(uniform, _split(flat, uniform), strict=True):
            found[r] = part, None
        alike: dict[tuple[int, int], list[Request]] = {}
        for asks in requests:
            if (rounding := rounding_of(asks, self.summands)) is not None:
                alike.setdefault((of_length(rounding.digits).unit, rounding.divisor), []).append(asks)
        asked = [(sum(size(asks.shape) for asks in rs), *bounds) for bounds, rs in alike.items()]
        sums = yield from self._shares.randomness.integers(asked, self._verifier)
        for rs, (low, high) in zip(alike.values(), sums, strict=True):
            highs: Sequence[Field | None] = [None] * len(rs) if high is None else _split(high, rs)
            found |= dict(zip(rs, zip(_split(low, rs), highs, strict=True), strict=True))
        return found

    def _made(self, r: Request, drawn: Sums | None) -> tuple[tuple[Field, ...], ...]:
        bits = self._taken(bits_of(r, self.summands) // max(1, size(r.shape)), r.shape)
        bits = [*self._numbers.pop(r.number, ()), *bits]
        if isinstance(r, BitsRequest):
            return ((bits[0],),)
        assert drawn is not None, f"shamir does not ask for a {type(r).__name__}"
        low, high = drawn
        if (rounding := rounding_of(r, self.summands)) is None:
            return ((low,),)
        mask = _weighted(low, bits, of_length(len(bits)).weights())
        ends = () if high is None else ((bits[-1],), (_weighted(high, bits, rounding.weights),))
        return ((mask,), *((b,) for b in bits if isinstance(r, ComparisonRequest)), *ends)

    def _shown(self, requests: Sequence[InputMask]) -> Rounds:
        """Each mask opened to its owner: what this party owns."""
        by_owner: dict[int, list[InputMask]] = {}
        for r in requests:
            by_owner.setdefault(r.owner, []).append(r)
        shares = {i: np.concatenate([self._held[r][0][0].reshape(-1) for r in rs]) for i, rs in by_owner.items()}
        opened = yield from self._shares.open_to(shares)
        if opened is None:
            return {}
        mine = by_owner[self._shares.me]
        return dict(zip(mine, _split(opened, mine), strict=True))

    # Products of masks.

    def _products(self, requests: Sequence[ProductRequest]) -> Rounds:
        """One reduction for all of them, to be verified."""
        operands = [(r.form, _value(r.x, self._held), _value(r.y, self._held)) for r in requests]
        local = [form(x, y).reshape(-1) for form, x, y in operands]
        reduced = yield from self._shares.reduce(np.concatenate(local))
        found: dict[Request, tuple[Share, ...]] = {}
        start = 0
        for r, (form, x, y) in zip(requests, operands, strict=True):
            z = reduced[start : start + size(r.shape)].reshape(r.shape)
            start += z.size
            self._verifier.equals(form, x, y, z)
            found[r] = ((z,),)
        return found


def _rows(array: Field) -> list[Field]:
    """Along the first axis; arrays also where no other axis is left."""
    return [array[k, ...] for k in range(len(array))]


def _split(flat: Field, requests: Sequence[Request]) -> list[Field]:
    """The part of each request."""
    ends = np.cumsum([size(r.shape) for r in requests], dtype=np.int64)[:-1]
    return [part.reshape(r.shape) for part, r in zip(np.split(flat, ends) if requests else (), requests, strict=True)]


def _weighted(base: Field, bits: Sequence[Field], factors: Sequence[int]) -> Field:
    """base + sum_k factors_k bits_k"""
    return combined([1, *factors], [base, *bits])


def rounding_of(r: Request, summands: int) -> Rounding | None:
    """How r of a truncation or a comparison is made."""
    match r:
        case TruncationRequest():
            return Rounding(r.divisor, r.digits, summands)
        case ComparisonRequest():
            return Rounding(1 << r.drop, r.bits, summands)
    return None


def bits_of(r: Request, summands: int) -> int:
    """Random bits that the material for a request takes, those of numbers Q aside."""
    match r:
        case BitsRequest():
            return size(r.shape)
        case TruncationRequest():
            return r.digits * size(r.shape)
        case ComparisonRequest():
            return min(r.bits, LEADING) * size(r.shape)
    return 0


def expected_bytes(r: Request, parties: int, threshold: int, sets: int = SETS) -> int:
    """Bytes that a party sends each other one for a request, on average, without checks and leftovers. `sets`: see `Group`."""
    n, t, randomness = parties, threshold, chosen(parties, threshold, sets)
    reduced = 8 * (2 * t + 1) * (n - 1 - t)  # for one product, all parties together
    bit = 8 * (t + 1) * (n - 1 - t) + t * reduced
    opened = 8 * n * (n - 1)
    each = 0
    if more := unlike_ones(r):
        each += more * bit + (more - 1) * reduced + opened
    match r:
        case ProductRequest():
            each += reduced
        case MaskRequest():
            each += randomness.random_bytes(n, t)
        case InputMask():
            each += randomness.random_bytes(n, t) + opened // n
    summands = randomness.summands(n, t)
    if (rounding := rounding_of(r, summands)) is not None:
        each += randomness.integers_bytes(of_length(rounding.digits).unit, rounding.divisor, n, t)
    total = bits_of(r, summands) * bit + each * size(r.shape)
    return total // (n * (n - 1))


def unlike_ones(r: Request) -> int:
    """Bits of the numbers Q that a request takes."""
    return max(0, r.bits - LEADING) if isinstance(r, ComparisonRequest) else 0


def _value(e: Expression, held: Mapping[Request, tuple[Share, ...]]) -> Field:
    if isinstance(e, Mask):
        return held[e.request][e.place][0]
    return e.map(*(_value(i, held) for i in e.inputs))
