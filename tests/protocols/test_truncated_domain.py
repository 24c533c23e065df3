"""What a truncation's r may be, for every count of summands: the sum wraps when the wrap bit says so, and at no other time."""

import pytest

from tacit.correlations.layouts import of_length
from tacit.correlations.requests import divides
from tacit.field import P
from tacit.protocols.gadgets.truncation import M, Rounding
from tacit.protocols.shamir.randomness import Digits


@pytest.mark.parametrize("summands", [1, 2, 3, 4, 5, 6, 8, 10, 35, 84])
@pytest.mark.parametrize("magnitude", [20, 57, 58])
def test_the_extremes(summands, magnitude):
    """x, rho and the lower digits at both ends, for every number of dropped bits, and other divisors."""
    for divisor in (*(1 << bits for bits in range(1, 58)), 3, 1000, (1 << 20) + 1, 10_737_418_240_000, (1 << 50) - 1):
        assert divides(divisor)
        rounding = Rounding.alone(divisor, summands, magnitude)
        # Of the domain of 58 bits, the centre is lost.
        largest = (1 << magnitude) - 1 if magnitude < 58 else min(rounding.offset, (1 << 58) - 1)
        unit = (P - 1) >> rounding.digits
        rho = max(unit - 1, sum(Digits(unit, divisor).weights))  # a cheater's may be more than an honest one's
        rho += rho >> 19  # and as much as `lattice.jobs.parts` leaves open
        rest = sum(of_length(rounding.digits).weights()[:-1]) + summands * rho
        assert rounding.base % divisor == 0
        low, high = rounding.offset - largest, rounding.offset + largest + rest
        assert low >= 0 and high < P, "without its top bit nothing wraps"
        assert high + M - P < M <= low + M, "with it, what wraps is below M, what does not is not"


def test_a_bit_less_where_there_is_room():
    assert [Rounding.alone(1 << 17, n, 57).digits for n in (1, 2, 3, 5)] == [1, 2, 3, 4]
    assert [Rounding.alone(1 << 17, n, 58).digits for n in (1, 2, 3, 5)] == [1, 3, 4, 5]


def test_what_does_not_divide():
    assert not any(map(divides, (-2, 0, 1, 1 << 58, (1 << 50) + 1, (1 << 57) - 1)))
