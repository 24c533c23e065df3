"""Shared bits, of two kinds: field elements that are 0 or 1, and words over GF(2). A carry tree runs over either.

A word w_i shares the bit x by xor of all w_i = x alpha, alpha in GF(2)^64 with lowest bit 1: the lowest bit of w_i is the share
of x, the word is its MAC (as in TinyOT, Nielsen et al. 2012). Opening sends the lowest bits, eight to a byte; the check is as for
field elements, with an error below 2^-62:
    sum chi_j w_ij + alpha_i sum chi_j D_j  in GF(2^64), committed, opened: 0 when added up.
Masked values serve both: x = D + A gives x y = D y + x E + D E + A B.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit import _core, field
from tacit.field import Field
from tacit.graph.forms import Elementwise
from tacit.graph.wires import Share
from tacit.interaction.exchange import Rounds

if TYPE_CHECKING:
    from tacit.protocols.gadgets.carry_tree import Products
    from tacit.protocols.masked import MaskedProtocol
    from tacit.protocols.opening import OpeningProtocol
    from tacit.protocols.plan import Plan

PRODUCT = Elementwise()


class BitRing(ABC):
    """The operations that a carry tree needs of a kind of bits. Public operands are arrays of signed integers."""

    binary: bool
    protocol: "OpeningProtocol"

    @abstractmethod
    def add(self, x: Share, y: Share) -> Share: ...

    @abstractmethod
    def subtract(self, x: Share, y: Share) -> Share: ...

    @abstractmethod
    def times(self, public: Any, x: Share) -> Share: ...

    @abstractmethod
    def shifted(self, x: Share, public: Any) -> Share:
        """x + public"""

    @abstractmethod
    def products(self, plan: "Plan") -> "Products":
        """How bits are multiplied."""

    @abstractmethod
    def cost(self, count: int) -> tuple[int, int]:
        """(rounds, bytes sent) of what multiplies so many: an opening of each, or a product."""

    def leaves(self, q: Field, digits: Sequence[Share], both: Sequence[Share]) -> tuple[Share, Share]:
        """([R > q], [R = q]) of pairs of neighbouring bits of R, of the second all but the lowest; shapes (pairs, ...).

        `digits`: the bits of R, lowest first, which may lack leading axes of q; `both`: the products of the pairs' bits.
        """
        g: list[Share] = []
        e: list[Share] = []
        for j in range(0, len(digits) - 1, 2):
            # With n_j = 1 - q_j: e_j = n_j + b_j R_j with b_j = 1 - 2 n_j, and g_j = n_j R_j.
            n0, n1 = 1 - digit(q, j), 1 - digit(q, j + 1)
            b0, b1 = 1 - 2 * n0, 1 - 2 * n1
            low, high, product = digits[j], digits[j + 1], both[j // 2]
            g.append(self.affine(None, (n1, high), (n0 * n1, low), (n0 * b1, product)))
            e.append(self.affine(n0 * n1, (n0 * b1, high), (n1 * b0, low), (b0 * b1, product)))
        if len(digits) % 2:
            n0 = 1 - digit(q, len(digits) - 1)
            g.append(self.affine(None, (n0, digits[-1])))
            e.append(self.affine(n0, (1 - 2 * n0, digits[-1])))
        return _stacked(g), _stacked(e[1:] or e)

    def affine(self, constant: Any, *terms: tuple[Any, Share]) -> Share:
        """constant + sum of public times shared."""
        total: Share | None = None
        for coefficient, share in terms:
            product = self.times(coefficient, share)
            total = product if total is None else self.add(total, product)
        assert total is not None
        return total if constant is None else self.shifted(total, constant)


class MaskedBits(BitRing):
    """Bits that are multiplied by opening them under masks."""

    protocol: "MaskedProtocol"

    def __init__(self, protocol: "MaskedProtocol") -> None:
        self.protocol = protocol

    def products(self, plan: "Plan") -> "Products":
        from tacit.protocols.gadgets.carry_tree import MaskedProducts

        return MaskedProducts(self, plan)

    @abstractmethod
    def open(self, x: Share) -> Rounds:
        """Open x, as `product` takes it for D."""

    @abstractmethod
    def product(self, d: Field, y: Share, x: Share, e: Field, c: Share) -> Share:
        """D y + x E - D E + [A B]"""


class FieldRing(BitRing):
    """Bits as elements of F_p."""

    binary = False

    def add(self, x: Share, y: Share) -> Share:
        return tuple(field.add(a, b) for a, b in zip(x, y, strict=True))

    def subtract(self, x: Share, y: Share) -> Share:
        return tuple(field.sub(a, b) for a, b in zip(x, y, strict=True))

    def times(self, public: Any, x: Share) -> Share:
        k = field.from_signed(public)
        return tuple(field.mul(k, part) for part in x)

    def shifted(self, x: Share, public: Any) -> Share:
        return self.protocol.shifted(x, field.from_signed(public))


class FieldBits(FieldRing, MaskedBits):
    """Bits as elements of F_p: a source needs no other material, an opening takes 8 bytes."""

    def open(self, x: Share) -> Rounds:
        return self.protocol.open(x)

    def cost(self, count: int) -> tuple[int, int]:
        return self.protocol.opening_cost(count)

    def product(self, d: Field, y: Share, x: Share, e: Field, c: Share) -> Share:
        parts = zip(y, x, self.protocol.unit, c, strict=True)
        return tuple(PRODUCT.masked(d, y_k, x_k, e, u, c_k) for y_k, x_k, u, c_k in parts)


class WordBits(MaskedBits):
    """Bits over GF(2), a word each: an opening takes one bit."""

    binary = True

    def add(self, x: Share, y: Share) -> Share:
        return (x[0] ^ y[0],)

    def subtract(self, x: Share, y: Share) -> Share:
        return (x[0] ^ y[0],)

    def times(self, public: Any, x: Share) -> Share:
        return (_mask(public) & x[0],)

    def shifted(self, x: Share, public: Any) -> Share:
        return (x[0] ^ (_mask(public) & np.uint64(self.protocol.binary_unit)),)

    def open(self, x: Share) -> Rounds:
        return self.protocol.open_bits(x[0])

    def cost(self, count: int) -> tuple[int, int]:
        return self.protocol.bit_opening_cost(count)

    def leaves(self, q: Field, digits: Sequence[Share], both: Sequence[Share]) -> tuple[Share, Share]:
        flat_digits, flat_both = ([field.contiguous(s[0]).reshape(-1) for s in shares] for shares in (digits, both))
        rows = _core.compare_leaves(field.contiguous(q), flat_digits, flat_both, self.protocol.binary_unit)
        pairs = (len(digits) + 1) // 2
        return (rows[:pairs],), (rows[pairs:],)

    def product(self, d: Field, y: Share, x: Share, e: Field, c: Share) -> Share:
        d, y0, x0, e, c0 = (np.ascontiguousarray(part) for part in (d, y[0], x[0], e, c[0]))
        return (_core.and_open(d, y0, x0, e, self.protocol.binary_unit, c0),)


def digit(q: Field, j: int) -> Any:
    return ((q >> np.uint64(j)) & np.uint64(1)).astype(np.int64)


def _stacked(shares: list[Share]) -> Share:
    return tuple(np.stack(parts) for parts in zip(*shares, strict=True))


def _mask(public: Any) -> Field:
    """All ones where a public integer is odd."""
    return -(np.asarray(public).astype(np.uint64) & np.uint64(1))
