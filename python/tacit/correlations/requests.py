"""The list that a source of correlations is asked for, and what it gives.

Requests are numbered through a session; `pack` and `unpack` carry a list of them to a source in another process.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tacit.correlations.masks import Expression, Mask, Masked
from tacit.errors import Mismatch
from tacit.field import CAPACITY, Field, size
from tacit.graph.forms import Elementwise, Form
from tacit.graph.forms import pack as pack_item
from tacit.graph.forms import unpack as unpack_item
from tacit.graph.maps import LinearMap, Shape
from tacit.graph.wires import Share

LENGTH = 61
"""Bits of a field element."""
LEADING = 21
"""Digits of r at most that can be known: p - 1 is divisible by 2^21."""
DIVISORS = 1 << 50
"""The bound of divisors of truncations that are no powers of two."""
LARGEST = 1 << 31
"""Elements of one request at most: a longer one is refused before memory is taken."""


def divides(divisor: int) -> bool:
    """Return whether there are truncations by this divisor (`gadgets.truncation`)."""
    return 1 < divisor < (DIVISORS if divisor & (divisor - 1) else 1 << CAPACITY)


@dataclass(frozen=True, eq=False)
class Request:
    """An entry of the list that a source is asked for. Material: one share for each mask of `masks`, or one share."""

    number: int
    shape: Shape

    count: ClassVar[int] = 1
    """Shares that the material holds."""

    def binary(self, place: int = 0) -> bool:
        """Return whether that share is of bits over GF(2), a word each (`gadgets.bits`)."""
        return False

    def uniform(self, place: int = 0) -> bool:
        """Return whether that share is of elements that are uniform over F_p, each by itself, to whoever cheats."""
        return False

    @property
    def bytes(self) -> int:
        """Bytes of its material, where values have MACs, without what is clear at its owner."""
        return 8 * size(self.shape) * sum(1 if self.binary(place) else 2 for place in range(self.count))


@dataclass(frozen=True, eq=False)
class MaskRequest(Request):
    """[A], uniform over F_p, or over GF(2) if `bits`."""

    bits: bool = False

    def binary(self, place: int = 0) -> bool:
        return self.bits

    def uniform(self, place: int = 0) -> bool:
        return not self.bits


@dataclass(frozen=True, eq=False)
class InputMask(Request):
    """[A], uniform over F_p and known to `owner`."""

    owner: int

    def uniform(self, place: int = 0) -> bool:
        return True


@dataclass(frozen=True, eq=False)
class ProductRequest(Request):
    """[f(A, B)] for masks that exist."""

    form: Form
    x: Expression
    y: Expression

    def binary(self, place: int = 0) -> bool:
        return self.x.binary


@dataclass(frozen=True, eq=False)
class BitsRequest(Request):
    """[b], b in {0, 1} uniform."""


@dataclass(frozen=True, eq=False)
class TruncationRequest(Request):
    """[r], [b], [h] for a truncation by d = `divisor`: r = b (p - 1) / 2 + ..., h its high part (`gadgets.truncation`).

    r has so many `digits` that are shared bits, b the highest; a dealer, who knows rho, needs no other.
    """

    divisor: int
    digits: int
    count: ClassVar[int] = 3

    def uniform(self, place: int = 0) -> bool:
        return place == 0


@dataclass(frozen=True, eq=False)
class ComparisonRequest(Request):
    """[r], [R_0] ... [R_{T-1}], T = `bits`: r = R M + rho, M = (p - 1) / 2^T (`gadgets.comparison`).

    rho is uniform in [0, M), or the sum of a number of each party, each uniform there (`Source.summands`). The bits R_j are
    field elements; if `words`, over GF(2). With `drop`, followed by [R_{T-1}] over F_p and r's high part (`gadgets.truncation`).
    """

    bits: int
    words: bool = False
    drop: int = 0

    @property
    def count(self) -> int:  # type: ignore[override]
        return 1 + self.bits + 2 * (self.drop > 0)

    def binary(self, place: int = 0) -> bool:
        return self.words and 1 <= place <= self.bits

    def uniform(self, place: int = 0) -> bool:
        return place == 0


@dataclass(frozen=True, eq=False)
class EdaBitsRequest(Request):
    """[r], r uniform over F_p, and its top `bits` bits (Escudero et al. 2020), lowest first, as field elements or `words`."""

    bits: int = LENGTH
    words: bool = False

    @property
    def count(self) -> int:  # type: ignore[override]
        return 1 + self.bits

    def binary(self, place: int = 0) -> bool:
        return self.words and place > 0

    def uniform(self, place: int = 0) -> bool:
        return place == 0


@dataclass(frozen=True, eq=False)
class DaBitsRequest(Request):
    """[beta] over GF(2), and the same bits over F_p (Rotaru and Wood 2019)."""

    count: ClassVar[int] = 2

    def binary(self, place: int = 0) -> bool:
        return place == 0


def multiplied(requests: Sequence[Request]) -> Iterator[Mask]:
    """The masks that products are asked of, as often as they are named."""
    for r in requests:
        if isinstance(r, ProductRequest):
            yield from (*r.x.leaves(), *r.y.leaves())


@dataclass
class Material:
    """A source's answer to one request. `clear` is the mask itself, at the owner of an input mask."""

    shares: tuple[Share, ...]
    clear: Field | None = None


def pack(requests: Sequence[Request]) -> list[Any]:
    """Plain lists for msgpack: [kind, shape, ...], numbers left out."""
    return [_pack(r) for r in requests]


def _pack(r: Request) -> list[Any]:
    shape = list(r.shape)
    match r:
        case MaskRequest():
            return ["mask", shape, r.bits]
        case InputMask():
            return ["input", shape, r.owner]
        case BitsRequest():
            return ["bits", shape]
        case TruncationRequest():
            return ["truncation", shape, r.divisor, r.digits]
        case EdaBitsRequest():
            return ["edabits", shape, r.bits, r.words]
        case DaBitsRequest():
            return ["dabits", shape]
        case ComparisonRequest():
            return ["comparison", shape, r.bits, r.words, r.drop]
        case ProductRequest():
            return ["product", shape, pack_item(r.form), _pack_expression(r.x), _pack_expression(r.y)]
    raise AssertionError(f"no packing of {type(r).__name__}")


def _pack_expression(e: Expression) -> list[Any]:
    if isinstance(e, Mask):  # self-contained, so that a source needs no memory of old requests
        return ["leaf", e.request.number, e.place, _pack(e.request)]
    return ["map", pack_item(e.map), [_pack_expression(i) for i in e.inputs]]


def unpack(packed: Any, first: int) -> list[Request]:
    """The inverse of `pack`, for requests numbered from `first`; refuses what is malformed."""
    if not isinstance(packed, list):
        raise Mismatch("a list of requests is malformed; do all parties run one version of tacit?")
    return [_unpack(p, first + i) for i, p in enumerate(packed)]


def _unpack(packed: Any, number: int) -> Request:
    match packed:
        case ["mask", shape, bool(bits)]:
            return MaskRequest(number, _shape(shape), bits)
        case ["input", shape, int(owner)]:
            return InputMask(number, _shape(shape), owner)
        case ["bits", shape]:
            return BitsRequest(number, _shape(shape))
        case ["truncation", shape, int(divisor), int(digits)] if divides(divisor) and 0 < digits <= LEADING:
            return TruncationRequest(number, _shape(shape), divisor, digits)
        case ["edabits", shape, int(bits), bool(words)] if 1 <= bits <= LENGTH:
            return EdaBitsRequest(number, _shape(shape), bits, words)
        case ["dabits", shape]:
            return DaBitsRequest(number, _shape(shape))
        case ["comparison", shape, int(bits), bool(words), int(drop)] if 2 <= bits <= 21 and 0 <= drop < 58:
            return ComparisonRequest(number, _shape(shape), bits, words, drop)
        case ["product", shape, form, x, y]:
            f, left, right = unpack_item(form), _unpack_expression(x, number), _unpack_expression(y, number)
            alike = left.binary == right.binary and (isinstance(f, Elementwise) or not left.binary)
            if isinstance(f, Form) and alike and f.shape(left.shape, right.shape) == _shape(shape):
                return ProductRequest(number, _shape(shape), f, left, right)
    raise Mismatch(f"request {number} is malformed; do all parties run one version of tacit?")


def _unpack_expression(packed: Any, number: int) -> Expression:
    match packed:
        case ["leaf", int(of), int(place), request] if 0 <= of < number:
            made = _unpack(request, of)
            if not isinstance(made, ProductRequest | BitsRequest) and 0 <= place < made.count:
                return Mask(made, place)
        case ["map", item, list(inputs)] if inputs:
            map = unpack_item(item)
            if isinstance(map, LinearMap):
                masked = Masked(map, tuple(_unpack_expression(i, number) for i in inputs))
                _shape(list(masked.shape))
                return masked
    raise Mismatch(f"request {number} has a malformed expression; do all parties run one version of tacit?")


def _shape(shape: Any) -> Shape:
    if not isinstance(shape, list) or not all(isinstance(n, int) and n >= 0 for n in shape) or size(shape) > LARGEST:
        raise Mismatch(f"a request has the shape {str(shape)[:60]}: no list of sizes, or more than {LARGEST} elements")
    return tuple(shape)
