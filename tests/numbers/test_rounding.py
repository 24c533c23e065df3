"""What has to be exact, or bounded, is so whatever the error of a truncation: a dealer's, or a sum of many parties' parts."""

import numpy as np
import pytest

import tacit
from tacit import SecretArray
from tacit.numbers import selection
from tacit.numbers.functions.softmax import log_softmax, softmax
from tacit.protocols.gadgets.truncation import Rounding, ulps

UNIT = 2.0**-16
WHOLE = np.repeat(np.arange(-5, 6) / 2, 3) + np.tile([-UNIT, 0, UNIT], 11)
X = np.concatenate([WHOLE, np.rint(np.random.default_rng(0).uniform(-60, 60, 47) / UNIT) * UNIT, [4095, -4096 + UNIT]])
FAR = np.rint(np.random.default_rng(1).normal(size=(6, 5)) * [[0.01], [0.1], [1], [10], [300], [0]] / UNIT) * UNIT

EXACT = {
    "floor": (selection.floor, np.floor),
    "ceil": (selection.ceil, np.ceil),
    "trunc": (selection.trunc, np.trunc),
    "nearest": (selection.nearest, lambda x: np.floor(x + 0.5)),
    "floor of a product": (
        lambda a, x: selection.floor(a, a.multiply(x, a.times(x, 2.0**-12))),
        lambda x: np.floor(x * x / 4096),
    ),
}

SETTINGS = {
    "clear 2": {"protocol": "clear", "parties": 2},
    "spdz 2": {"parties": 2},
    "spdz 5": {"parties": 5},
    "shamir 3/1": {"protocol": "shamir", "parties": 3, "threshold": 1},
    "shamir 5/2": {"protocol": "shamir", "parties": 5, "threshold": 2},
    "shamir 7/3": {"protocol": "shamir", "parties": 7, "threshold": 3},
    "shamir-corrected 4/1": {"protocol": "shamir-corrected", "parties": 4, "threshold": 1},
}
SLOW = {
    **{f"spdz {n}, no dealer": {"parties": n, "dealer": False} for n in (2, 3, 4, 5)},
    "shamir 9/3": {"protocol": "shamir", "parties": 9, "threshold": 3},
    "shamir 9/4": {"protocol": "shamir", "parties": 9, "threshold": 4},
    "shamir 11/5": {"protocol": "shamir", "parties": 11, "threshold": 5},
    "shamir-corrected 7/2": {"protocol": "shamir-corrected", "parties": 7, "threshold": 2},
    "shamir-corrected 10/3": {"protocol": "shamir-corrected", "parties": 10, "threshold": 3},
}


@pytest.mark.parametrize(
    "setting",
    [*SETTINGS, *(pytest.param(name, marks=[pytest.mark.slow, pytest.mark.timeout(900)]) for name in SLOW)],
)
def test_whole_parts_are_exact_and_softmax_is_bounded(setting):
    def script(s):
        a, x = s.arithmetic, s.secret(X, owner=0).number
        wide = a.multiply(s.secret(FAR, owner=0).number, s.secret(np.ones(FAR.shape), owner=1).number)
        parts = [*(f(a, x) for f, _ in EXACT.values()), softmax(a, wide), log_softmax(a, wide)]
        return s.reveal([SecretArray(a, part) for part in parts])

    *exact, shares, logarithms = tacit.run(script, **{**SETTINGS, **SLOW}[setting], backend="numpy")[0]
    for (name, (_, right)), got in zip(EXACT.items(), exact, strict=True):
        np.testing.assert_array_equal(got, right(X), name)
    apart = FAR - FAR.max(1, keepdims=True)
    right = apart - np.log(np.exp(apart).sum(1, keepdims=True))
    np.testing.assert_allclose(shares, np.exp(right), rtol=2**-10, atol=2**-12)
    np.testing.assert_allclose(logarithms, right, rtol=2**-10, atol=2**-10)


def test_the_bound_is_that_of_the_rounding():
    """(n + 1) / 2 units and a quarter for each digit: of honest parties, whatever the divisor."""
    for n in (2, 3, 4, 5, 6, 10, 35, 84):
        digits = max(Rounding.alone(d, n, m).digits for d in (2, 1 << 30, 1000) for m in (57, 58))
        assert (n + 1) / 2 + digits / 4 < ulps(n) <= (n + 1) / 2 + digits / 4 + 1
    assert ulps(1) == 1
