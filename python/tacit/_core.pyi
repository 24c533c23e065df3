"""The kernels of tacit, in Rust: the field p = 2^61 - 2^21 + 1 over arrays of uint64, and the generator.

Elements are canonical, in [0, p); `is_canonical` checks what comes from outside. Arrays are C-contiguous (a ValueError
says so otherwise) and of the dtype that is named (else TypeError). Results are new arrays. `backend=None` is the best
that the machine has; all backends give equal results. The GIL is released while a kernel runs.
"""

import builtins
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Octets = NDArray[np.uint8]

class PeerError(Exception):
    """A peer sent something malformed, or a proof that does not hold. A caller's own mistake is a ValueError."""

@final
class LatticeLayout:
    """Where the elements of one product stand in polynomials, and which of its operands is encrypted."""

@final
class Ciphertexts:
    """Ciphertexts that another party made and proved."""

@final
class Multiplier:
    """An encrypted number, the same in all slots, ready to multiply."""

@final
class LatticeParty:
    """One party's keys of a preparation by lattices, and those of the parties that it has met (Rust: `lattice::party`).

    PeerError for whatever came that is malformed, unproven, replayed or of another session.
    """

    slots: int
    """Elements of one polynomial."""

    def __init__(self, session: bytes, me: int, parties: int, seed: bytes) -> None:
        """Keys from a seed of 32 bytes, with their proof."""

    def hello(self) -> bytes:
        """The public key: to every other party, once. All parties' have the same length."""

    def meet(self, peer: int, hello: Octets) -> None:
        """Check another party's hello."""

    @staticmethod
    def elementwise(count: int) -> LatticeLayout:
        """x * y of so many elements; x is encrypted."""

    def matrix(self, m: int, k: int, n: int, left: bool) -> LatticeLayout:
        """An m x k matrix times a k x n matrix; the left one is encrypted, or the right one."""

    def convolution(
        self,
        kind: str,
        image: Sequence[int],
        filter: Sequence[int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        left: bool,
    ) -> LatticeLayout:
        """A convolution of x [N, C, H, W] and w [O, C, kh, kw] to y. "output": x, w; "input": grad y, w; "weight": x, grad y."""

    def encrypted_bytes(self, layouts: Sequence[LatticeLayout]) -> int:
        """Bytes of `encrypt`."""

    def response_bytes(self, layout: LatticeLayout) -> int:
        """Bytes of `respond`."""

    def products(self, layout: LatticeLayout) -> int:
        """Products of ciphertexts by polynomials."""

    def encrypt(self, layouts: Sequence[LatticeLayout], values: Sequence[Words]) -> bytes:
        """Encrypted operands, with proofs: the same bytes to every other party."""

    def accept(self, peer: int, layouts: Sequence[LatticeLayout], data: Octets) -> list[Ciphertexts]:
        """The ciphertexts of `peer`, checked; batches are taken in the order in which they were made."""

    def respond(self, peer: int, layout: LatticeLayout, encrypted: Ciphertexts, operand: Words, masks: Words) -> bytes:
        """The product of what `peer` encrypted and `operand`, plus `masks`, for `peer` to open."""

    def open(self, layout: LatticeLayout, count: int, data: Octets) -> Words:
        """The product plus the other party's masks, `count` elements."""

    def scaled_bytes(self, count: int) -> int:
        """Bytes of `scale`."""

    def multiplier(self, alpha: Ciphertexts) -> Multiplier:
        """Another party's encryption of one number; once for each."""

    def scale(self, peer: int, alpha: Multiplier, values: Words, masks: Words, narrow: bool = False) -> bytes:
        """alpha x + masks, for `peer` to open, whose alpha it is. `narrow`: all x have 16 bits, or ValueError; cheaper."""

    def open_scaled(self, count: int, data: Octets) -> Words:
        """alpha x + the other party's masks, `count` elements."""

P: int
"""2^61 - 2^21 + 1."""

def backends() -> list[str]:
    """The backends of this machine, best first."""

def backend() -> str:
    """The backend in use: the best one, or what TACIT_BACKEND names."""

def threads() -> int:
    """How many threads a kernel may use: TACIT_THREADS, or what the machine has."""

def add(a: Words, b: Words, backend: str | None = None) -> Words:
    """a + b, of equal shapes."""

def accumulate(a: Words, b: Words, backend: str | None = None) -> None:
    """a += b in place, of one size; a is contiguous."""

def sub(a: Words, b: Words, backend: str | None = None) -> Words:
    """a - b, of equal shapes."""

def neg(a: Words, backend: str | None = None) -> Words:
    """-a."""

def mul(a: Words, b: Words, backend: str | None = None) -> Words:
    """a * b elementwise, of equal shapes."""

def scale(a: Words, k: int, backend: str | None = None) -> Words:
    """k * a for an element k."""

def add_scalar(a: Words, k: int, backend: str | None = None) -> Words:
    """a + k for an element k."""

def weighted(weights: Sequence[int], arrays: Sequence[Words], backend: str | None = None) -> Words:
    """sum_k weights_k arrays_k for elements weights_k, in one pass; one array at least, all of one shape."""

def wrong_places(points: Sequence[int], values: Sequence[int], degree: int, most: int) -> list[int] | None:
    """Where `values` are not those of the one polynomial of this degree that differs from them at most at `most` places, nor
    more than (n - degree - 1) / 2; None if there is none."""

def mix(
    n: int, rows: Sequence[Sequence[int]], arrays: Sequence[Words], prgs: Sequence[Prg], backend: str | None = None
) -> list[Words]:
    """For each row of weights their sum of columns: of the arrays, n long, then of n uniform elements of each generator."""

def multiply_open(
    d: Words, y: Words, x: Words, e: Words, k: int, c: Words | None = None, backend: str | None = None
) -> Words:
    """d * (y - k e) + x * e + c elementwise: the local part of a masked product, in one pass."""

def matmul(
    a: Words,
    b: Words,
    transpose_a: bool = False,
    transpose_b: bool = False,
    add: Words | None = None,
    backend: str | None = None,
) -> Words:
    """a @ b + add, for matrices; a flag means that the transpose of what is passed takes part."""

def conv2d(
    x: Words,
    w: Words,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    add: Words | None = None,
    backend: str | None = None,
) -> Words:
    """x [N, C, H, W] correlated with w [O, C, kh, kw], plus add: [N, O, Ho, Wo], as torch's conv2d."""

def conv2d_input(
    g: Words,
    w: Words,
    input_shape: tuple[int, int, int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    add: Words | None = None,
    backend: str | None = None,
) -> Words:
    """The gradient by x of conv2d(x, w), for the gradient g [N, O, Ho, Wo] of its output: `input_shape`."""

def conv2d_weight(
    g: Words,
    x: Words,
    kernel: tuple[int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    add: Words | None = None,
    backend: str | None = None,
) -> Words:
    """The gradient by w of conv2d(x, w), for the gradient g of its output: [O, C, kh, kw]."""

def and_open(d: Words, y: Words, x: Words, e: Words, k: int, c: Words) -> Words:
    """d & y ^ x & e ^ d & e & k ^ c, for masks d, e of zeros and all ones: the local part of an AND of masked bits."""

def compare_leaves(q: Words, digits: list[Words], both: list[Words], k: int) -> Words:
    """(g, e) = ([R > q], [R = q]) of pairs of neighbouring bits: rows of g, then of e but for the lowest, each of q's shape.

    `digits` are the shared bits of R, `both` the products of neighbours, k the share of 1.
    """

def pack_bits(words: Words) -> bytes:
    """The lowest bits of the words, eight to a byte."""

def unpack_bits(packed: bytes, count: int) -> Words:
    """The inverse of `pack_bits`: 0 or all ones for each bit."""

def gf64_dot(a: Words, b: Words, backend: str | None = None) -> int:
    """sum a_j b_j in GF(2)[X] / (X^64 + X^4 + X^3 + X + 1)."""

def dot(a: Words, b: Words, backend: str | None = None) -> int:
    """The sum of all a * b, of equal shapes."""

def sum(a: Words, outer: int, length: int, inner: int) -> Words:
    """Sums over the middle axis of a seen as [outer, length, inner]: outer * inner elements, flat."""

def inverse(a: Words) -> Words:
    """1 / a elementwise, 0 for 0."""

def rsqrt(a: Words) -> Words:
    """r with r^2 a = 1, for public numbers: time depends on them. ValueError for 0 and for what is no square."""

def is_canonical(a: Words) -> bool:
    """Return whether every element is below p."""

def encode(x: NDArray[np.float64], scale: int, bits: int) -> Words:
    """round(x 2^scale) mod p, halves to even. ValueError names the first element that is not finite or needs more bits."""

def decode(a: Words, scale: int) -> NDArray[np.float64]:
    """a / 2^scale, where an element above p/2 stands for a - p."""

def to_signed(a: Words) -> NDArray[np.int64]:
    """The representatives in (-p/2, p/2)."""

def from_signed(a: NDArray[np.int64]) -> Words:
    """a mod p, for any int64."""

def truncation_local(
    c: Words, top: Words, high: Words, k: int, divisor: int, constant: int, backend: str | None = None
) -> Words:
    """k (c // d - constant) + [c < (p-1)/2] ((c + p) // d - c // d) top - high, in one pass; k = 1, 0, or a share of alpha."""

def divide(a: Words, divisor: int) -> Words:
    """a // divisor for numbers below 2^62, in a time that does not depend on them; divisor at most 2^60."""

def wipe(a: Words) -> None:
    """Overwrite the array with zeros, in a way that no optimiser removes."""

@final
class Prg:
    """AES in counter mode: the output depends on key, stream and the sequence of calls only."""

    def __new__(cls, key: builtins.bytes, stream: int = 0) -> Prg:
        """A key of 16 bytes (AES-128) or 32 (AES-256); streams of one key are independent. Keys are wiped on drop."""

    def field(self, n: int) -> Words:
        """n uniform elements."""

    def below(self, n: int, bound: int) -> Words:
        """n uniform elements of [0, bound), bound at most p."""

    def bits(self, n: int) -> Words:
        """n uniform bits, one 0 or 1 to an element."""

    def bytes(self, n: int) -> builtins.bytes:
        """n uniform bytes."""

    def combine_bits(self, masks: Words, words: Words, backend: str | None = None) -> tuple[int, int]:
        """(sum chi_j d_j, sum chi_j w_j) in GF(2^64) for masks d, chi the words of `bytes`."""

    def combine(self, arrays: Sequence[Words], backend: str | None = None) -> list[int]:
        """sum_j chi_j a_j mod p for each array, flat and of one length, with chi = what `field` would have returned."""

    def weigh(self, a: Words, b: Words, backend: str | None = None) -> tuple[Words, int]:
        """chi_j a_j, and sum_j chi_j b_j mod p, for arrays of one length, with chi = what `field` would have returned."""

class Joint:
    """Several generators, stream 0 of each key, as one: what they draw is only added up, with a weight for each."""

    def __new__(cls, keys: Sequence[builtins.bytes], weights: Sequence[int]) -> Joint:
        """Keys as `Prg` takes them; weights below p. Keys are wiped on drop."""

    def below(self, n: int, bound: int, backend: str | None = None) -> Words:
        """sum_k w_k d_k mod p, for n uniform d_k of [0, bound), bound at most p."""

    def below_and_high(self, n: int, bound: int, divisor: int, backend: str | None = None) -> list[Words]:
        """The same, and sum_k w_k (d_k // divisor): two arrays. The time does not depend on what is drawn."""
