"""The debugging mode names the operation and line where a magnitude left its contract; without it the number is wrong."""

import numpy as np
import pytest

import tacit


def overflow(session):
    x = session.secret(np.full(3, 30.0), owner=0)
    y = x * x  # 900, in a format that promises less than 64
    z = y * y  # another operation after it
    return session.reveal(z)


@pytest.mark.parametrize("protocol", ["spdz", "clear"])
def test_the_first_offender_is_named(protocol):
    with pytest.raises(tacit.OutOfRange, match=r"test_debug.py:11 mul .*contract"):
        tacit.run(overflow, parties=2, protocol=protocol, format=tacit.Format(16, 6), debug=True)


def test_values_inside_their_contract_pass():
    def inside(session):
        x = session.secret(np.array([-7.9, 7.9]), owner=0)
        return session.reveal(x * x - x)

    for value in tacit.run(inside, parties=2, format=tacit.Format(16, 7), debug=True):
        np.testing.assert_allclose(value, [7.9 * 7.9 + 7.9, 7.9 * 7.9 - 7.9], atol=1e-3)
