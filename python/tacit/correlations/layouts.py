"""Masks r, uniform on [0, p - 1), whose leading bits are shared:  r = R M + Q W + rho.

    p - 1 = 2^21 (2^40 - 1);   up to 21 bits:  M = (p - 1) / 2^T,  R < 2^T,  no Q,  W = M
    more:                      M = 2^40 - 1,  R < 2^21,  Q < 2^m - 1,  W = M / (2^m - 1),  m a divisor of 40
rho is below W. Q is a number of m bits that are not all 1 (so that r is uniform; 61 free bits would be 2^-40 from it). The bits
of R and Q, one behind the other, order r as it is, up to rho.
"""

from dataclasses import dataclass

import numpy as np

from tacit.correlations.requests import LEADING
from tacit.field import Field, P

ODD = (P - 1) >> LEADING
LONGER = tuple(m for m in range(2, 41) if 40 % m == 0)


@dataclass(frozen=True)
class Layout:
    top: int
    """Bits of R."""
    more: int = 0
    """Bits of Q."""

    @property
    def bits(self) -> int:
        return self.top + self.more

    @property
    def unit(self) -> int:
        """W: what rho is below."""
        return ((P - 1) >> self.top) // ((1 << self.more) - 1 if self.more else 1)

    def weights(self) -> list[int]:
        """Weights of the bits in r, lowest first."""
        return [self.unit << j for j in range(self.more)] + [((P - 1) >> self.top) << j for j in range(self.top)]

    def digits(self, c: Field) -> Field:
        """R and Q, one behind the other, as if c were r."""
        whole = np.uint64((P - 1) >> self.top)
        r = np.minimum(c // whole, np.uint64((1 << self.top) - 1))
        if not self.more:
            return np.asarray(r)
        q = np.minimum((c - r * whole) // np.uint64(self.unit), np.uint64((1 << self.more) - 2))
        return np.asarray(r << np.uint64(self.more) | q)


def layout(bits: int) -> Layout:
    """The shortest that resolves (p - 1) / 2^bits; above 41 bits all of them."""
    if bits <= LEADING:
        return Layout(bits)
    return next(
        (found for m in LONGER if (found := Layout(LEADING, m)).unit << bits <= P - 1), Layout(LEADING, LONGER[-1])
    )


def of_length(count: int) -> Layout:
    """The one of so many bits."""
    return Layout(count) if count <= LEADING else Layout(LEADING, count - LEADING)
