"""Products of shares, verified in one batch before anything is revealed (Goyal and Song 2020, sections 4 and 5).

For every product z = f(x, y) that was made, and weights r drawn after it:  <r, z> = <u, v>,  u and v local (`Form.freivalds`).
All of them together are one inner product w = <u, v> of shared vectors; it is made shorter k times at once:
    u = (u_1 ... u_k), v likewise;   F(i) = u_i, G(i) = v_i, of degree k - 1;   h = <F, G>, of degree 2 k - 2, sum_{i<=k} h(i) = w
h(i) for 2 k - 1 points are reduced (all but one, which the sum gives); at a random point s: u = F(s), v = G(s), w = h(s).
The last time F and G also pass through a random number each at 0, so that F(s), G(s) and h(s) = F(s) G(s) may be opened.

First the *consistency* of all that was dealt: a random combination, under a random mask, is opened, and honest shares lie on a
polynomial of degree t. Only then what a cheater did is an addition of something it knew, and the test shows no more than that.
(Of what products dealt, w = <r, z> is that combination.)
Errors (Schwartz and Zippel): weights 3 / p in either test, each shortening (2 k) / (p - 2 k); with those of its openings below
2^-51 in all.
"""

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import _core, field
from tacit.errors import CheatingDetected
from tacit.field import Field, P
from tacit.graph.forms import Form
from tacit.interaction.exchange import Exchange, Rounds
from tacit.protocols.base import HELD
from tacit.protocols.shamir.polynomials import Interpolation, combined

if TYPE_CHECKING:
    from tacit.protocols.shamir.shares import Shares

FEW, MANY = 4, 64
"""Pieces that a vector is cut in: more of them make fewer rounds, and more arithmetic for each element."""
WORK = 1 << 21
"""As many pieces as make so many products, about."""
LONG = 1 << 13
"""Elements up to which vectors are put together."""

FAILED = (
    "the check of {} failed: some party altered its part of one. Nothing was revealed after it; the session's keys are "
    "destroyed. Start again, without that party if you know it"
)

Product = tuple[Form, Field, Field, Field]
Pair = tuple[Field, Field]
Mark = tuple[list[Product], int, list[Field], int, list[Field], int, int]


class Verifier:
    """All that one phase has dealt and multiplied since the last check, and its check."""

    def __init__(self, shares: "Shares") -> None:
        self.shares = shares
        self.pending = 0
        """Elements held for the next check (dealt, due to be zero, or operands of products), and `HELD` for each array."""
        self._products: list[Product] = []
        self._dealt: list[Field] = []
        self._zeros: list[Field] = []
        self._known: dict[tuple[int, int], Through] = {}

    def dealt(self, share: Field) -> None:
        self._dealt.append(field.contiguous(share).reshape(-1))
        self.pending += share.size + HELD

    def zero(self, share: Field) -> None:
        """It has to be a sharing of zeros, and is consistent if what was dealt is."""
        self._zeros.append(field.contiguous(share).reshape(-1))
        self.pending += share.size + HELD

    def equals(self, form: Form, x: Field, y: Field, z: Field) -> None:
        """z has to be f(x, y), and consistent, as what `Shares.reduce` deals."""
        self._products.append((form, x, y, z))
        self.pending += x.size + y.size + z.size + HELD

    def mark(self) -> Mark:
        """The state of what is pending, for `back`. The lists only grow, and a check that ends begins new ones."""
        lists = (self._products, len(self._products), self._dealt, len(self._dealt), self._zeros, len(self._zeros))
        return *lists, self.pending

    def back(self, mark: Mark) -> None:
        """As it was at `mark`, which another verifier may have made."""
        products, first, dealt, second, zeros, third, self.pending = mark
        self._products, self._dealt, self._zeros = products[:first], dealt[:second], zeros[:third]

    def forget(self) -> None:
        self._products, self._dealt, self._zeros, self.pending = [], [], [], 0

    def check(self) -> Rounds:
        """`CheatingDetected` unless all that was dealt is consistent, products and zeros are right. 2 l + 2 rounds (`rounds`)."""
        if not (self._dealt or self._products or self._zeros):
            return
        coin = yield from self.shares.coin()
        prg = _core.Prg(coin, 0)
        (dealt,) = yield from self.shares.random((1,))
        pairs, w = self._tested(_core.Prg(coin, 1))
        dealt = (int(dealt) + w + sum(prg.combine([share])[0] for share in self._dealt)) % P
        zeros = sum(prg.combine([share])[0] for share in self._zeros) % P
        # Opening them finds by itself what does not lie on polynomials of degree t.
        opened = yield from self.shares.open(np.array([dealt, zeros], np.uint64))
        if opened[1]:
            raise CheatingDetected(FAILED.format("opened values"))
        if self._products:
            yield from self._multiplication(pairs, w)
        self.forget()

    def _tested(self, prg: _core.Prg) -> tuple[list[Pair], int]:
        """All u and v, and w."""
        pairs, w = [], 0
        for form, x, y, z in self._products:
            u, v, part = form.freivalds(x, y, z, prg)
            pairs.append((u, v))
            w += part
        return _gathered(pairs), w % P

    def _multiplication(self, pairs: Sequence[Pair], w: int) -> Rounds:
        while (length := sum(len(u) for u, _ in pairs)) > MANY:
            pairs, w = yield from self._shorter(pairs, w, pieces(length))
        if length:
            yield from self._last(*pairs[0], w)

    def _shorter(self, pairs: Sequence[Pair], w: int, k: int) -> Generator[Exchange, Any, tuple[list[Pair], int]]:
        """The vectors are those of all pairs behind each other, each of them cut in k pieces."""
        rows = [(_rows(u, k), _rows(v, k)) for u, v in pairs]
        at, h = yield from self._folded(rows, w, self._through(1, k))
        return _gathered([(combined(at, list(f)), combined(at, list(g))) for f, g in rows]), h

    def _last(self, u: Field, v: Field, w: int) -> Rounds:
        u, v = (_filled(x, MANY) for x in (u, v))
        blind = yield from self.shares.random((2,))
        rows, columns = np.concatenate([blind[:1], u]).reshape(-1, 1), np.concatenate([blind[1:], v]).reshape(-1, 1)
        at, h = yield from self._folded([(rows, columns)], w, self._through(0, MANY))
        f, g = (_core.matmul(np.array([at], np.uint64), x).reshape(-1) for x in (rows, columns))
        opened = yield from self.shares.open(np.concatenate([f, g, np.array([h], np.uint64)]))
        if int(opened[0]) * int(opened[1]) % P != int(opened[2]):
            raise CheatingDetected(FAILED.format("products"))

    def _folded(
        self, pairs: Sequence[Pair], w: int, through: "Through"
    ) -> Generator[Exchange, Any, tuple[list[int], int]]:
        """The weights of the rows in F and G at a random point s, and h(s), for F and G through the rows of all pairs."""
        first, k = through.first, through.last
        gram = np.zeros((k + 1 - first,) * 2, np.uint64)
        for rows, columns in pairs:
            gram = field.add(gram, _core.matmul(rows, columns, False, True))
        local = field.total(field.mul(_core.matmul(through.lines, gram), through.lines), (1,))
        kept = [i for i in range(len(local)) if i + first != k]
        values = [int(x) for x in (yield from self.shares.reduce(local[kept]))]
        summed = sum(value for i, value in zip(kept, values, strict=True) if 1 <= i + first < k)
        values.insert(k - first, (w - summed) % P)  # h(k) makes the sum of h(1) ... h(k) be w
        s = yield from self._point(2 * k + 1)
        return through.operands.at(s), sum(a * b for a, b in zip(through.products.at(s), values, strict=True)) % P

    def _through(self, first: int, last: int) -> "Through":
        if (first, last) not in self._known:
            self._known[first, last] = Through(first, last)
        return self._known[first, last]

    def _point(self, above: int) -> Generator[Exchange, Any, int]:
        """A random point that is none of those at which shares are known."""
        prg = _core.Prg((yield from self.shares.coin()), 0)
        while (s := int(prg.field(1)[0])) <= above:
            pass
        return s


class Through:
    """Interpolation of F and G through first ... last, and of h through as many points as its degree takes."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        self.operands = Interpolation(range(first, last + 1))
        points = range(first, 2 * last - first + 1)
        self.products = Interpolation(points)
        self.lines = np.array([self.operands.at(a) for a in points], np.uint64)


def pieces(length: int) -> int:
    """A power of two: few kinds of polynomials."""
    return max(FEW, min(MANY, 1 << (WORK // length).bit_length() >> 1))


def rounds(length: int) -> int:
    """Rounds of a check of products that make vectors of this length in all."""
    count = 2 + 3
    while length > MANY:
        length = -(-length // pieces(length))
        count += 2
    return count


def _gathered(pairs: Sequence[Pair]) -> list[Pair]:
    """The same, with all short ones put together: long ones are not copied."""
    long = [pair for pair in pairs if len(pair[0]) > LONG]
    short = [pair for pair in pairs if len(pair[0]) <= LONG]
    if short:
        long.append((np.concatenate([u for u, _ in short]), np.concatenate([v for _, v in short])))
    return long


def _rows(u: Field, k: int) -> Field:
    width = -(-len(u) // k)
    return _filled(u, k * width).reshape(k, width)


def _filled(u: Field, length: int) -> Field:
    """u with zeros behind it."""
    return u if len(u) == length else np.concatenate([u, np.zeros(length - len(u), np.uint64)])
