"""Fixed-point formats: a real x is the integer round(x 2^scale), of magnitude below 2^bits; both numbers are public.

A `Format` is the contract that a script declares: every value stays below 2^integer, and is kept to `fraction` bits where it
has to be rounded. Inputs and what is revealed are held to it; nothing between can be without comparisons, so that a script
which leaves its contract on the way may get wrong numbers: the guard notices (`engine.guard`), the debugging mode finds where.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tacit import _core
from tacit.errors import OutOfRange
from tacit.field import CAPACITY, Field, contiguous

SIGNIFICANT = 16
"""Significant bits that a public constant keeps."""


@dataclass(frozen=True)
class Format:
    """|x| < 2^integer, to 2^-fraction. Two operands in this format can always be multiplied."""

    fraction: int = 16
    integer: int = 12

    def __post_init__(self) -> None:
        if not (self.fraction >= 0 and self.integer >= 0 and 2 * (self.fraction + self.integer) <= CAPACITY):
            raise ValueError(
                f"a format of {self.fraction} fraction and {self.integer} integer bits: both must be at least 0, and "
                f"their sum at most {CAPACITY // 2}, so that a product fits the field"
            )

    @property
    def bits(self) -> int:
        return self.fraction + self.integer


def encode(values: NDArray[np.float64], scale: int, bits: int, what: str) -> Field:
    """round(x 2^scale) mod p; `OutOfRange` names the first element that is not finite or not below 2^bits."""
    values = contiguous(np.asarray(values, np.float64))
    try:
        return _core.encode(values, scale, bits)
    except ValueError:
        flat = values.reshape(-1)
        bad = np.flatnonzero(~(np.abs(np.rint(np.ldexp(flat, scale))) < float(1 << bits)))
        place = tuple(int(i) for i in np.unravel_index(bad[0], values.shape)) if values.ndim else ()
        holds = (
            f"its format holds finite numbers below {2.0 ** (bits - scale):g} in magnitude: scale the data, or declare a "
            "format with more integer bits"
        )
        error = OutOfRange(
            f"{what} has {float(flat[bad[0]])!r} at {place} ({len(bad)} of {flat.size} elements like it), but {holds}"
        )
        error.for_peers = f"{what} has a number that does not fit, but {holds}"  # its value is its owner's alone
        raise error from None


def decode(values: Field, scale: int) -> NDArray[np.float64]:
    return _core.decode(contiguous(values), scale)


def constant(value: float) -> tuple[int, int]:
    """(m, s) with value = m 2^-s to 16 significant bits, m odd or 0: powers of two cost nothing."""
    if not math.isfinite(value):
        raise OutOfRange(f"the public constant {value!r} is not finite")
    if value == 0:
        return 0, 0
    mantissa, exponent = math.frexp(value)
    m, s = round(mantissa * (1 << SIGNIFICANT)), SIGNIFICANT - exponent
    while m % 2 == 0:
        m, s = m // 2, s - 1
    return m, s


def constants(values: NDArray[np.float64]) -> tuple[NDArray[np.int64], int, int]:
    """(m, s, bits): integers m with values = m 2^-s, the largest to 16 significant bits, |m| < 2^bits."""
    if not np.isfinite(values).all():
        raise OutOfRange("a public array holds a number that is not finite")
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0:
        return np.zeros(values.shape, np.int64), 0, 1
    s = SIGNIFICANT - math.frexp(largest)[1]
    m = np.rint(np.ldexp(values, s)).astype(np.int64)
    common = int(np.bitwise_or.reduce(np.abs(m), axis=None))
    zeros = (common & -common).bit_length() - 1
    return m >> zeros, s - zeros, max(1, (common >> zeros).bit_length())
