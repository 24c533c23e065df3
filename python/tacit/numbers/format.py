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

FARTHEST = 1000
"""Scales that are decoded at once: 2^-scale is a float."""
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
    near = max(-FARTHEST, min(FARTHEST, scale))
    decoded = _core.decode(contiguous(values), near)
    return decoded if near == scale else np.ldexp(decoded, near - scale)


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


def significant(values: NDArray[np.float64]) -> tuple[int, int, int]:
    """(s, c, e): at the scale s every entry has 16 significant bits, at c <= s the largest; all are below 2^e in magnitude.

    s and c are the least such scales: entries that are exact in fewer bits need no more.
    """
    if not np.isfinite(values).all():
        raise OutOfRange("a public array holds a number that is not finite")
    mantissas, exponents = np.frexp(np.abs(values[values != 0]))
    if not mantissas.size:
        return 0, 0, 0
    whole = np.rint(np.ldexp(mantissas, SIGNIFICANT)).astype(np.int64)
    largest = int(exponents.max())
    finest = int((SIGNIFICANT + 1 - exponents - np.frexp(whole & -whole)[1]).max())  # without trailing zeros
    return finest, min(finest, SIGNIFICANT - largest), largest + int(whole[exponents == largest].max() >> SIGNIFICANT)


def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each entry to 16 significant bits, as one constant for all that are alike would be."""
    mantissas, exponents = np.frexp(values)
    return np.ldexp(np.rint(np.ldexp(mantissas, SIGNIFICANT)), exponents - SIGNIFICANT)


def integers(values: NDArray[np.float64], scale: int) -> tuple[NDArray[np.int64], int]:
    """Integers m with values = m 2^-scale, and their bits."""
    m = np.rint(np.ldexp(values, scale)).astype(np.int64)
    return m, max(1, int(np.abs(m).max(initial=0)).bit_length())


def spread_out(values: NDArray[np.float64], what: str) -> str:
    """Why these numbers are refused together."""
    sizes = np.abs(values[values != 0])
    return (
        f"{what} has numbers from {sizes.min():.3g} to {sizes.max():.3g} in magnitude, which the field does not hold side by "
        "side: scale the data where they enter, or take the large and the small numbers apart, one operation for each"
    )
