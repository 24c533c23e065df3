"""Standardisation against NumPy: 1 / sqrt(variance + eps) above what the format holds, and numbers that are known to be small."""

import numpy as np
import pytest

import tacit
from tacit.numbers.array import SecretArray
from tacit.numbers.standard import standardise


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("count", [2, 5, 64])
@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("eps", [1e-8, 1e-5, 0.1])
@pytest.mark.parametrize("format", [tacit.Format(16, 6), tacit.Format(16, 12)])
def test_standardise(format, eps, factor, count, protocol):
    x = np.random.default_rng(count).normal(size=(4, count)) * np.array([[0.01], [0.1], [1], [6]])
    x = np.rint(x * 2.0**16) * 2.0**-16

    def script(s):
        found = standardise(s.arithmetic, (s.secret(x, owner=0) * factor).number, (1,), eps)
        return s.reveal([SecretArray(s.arithmetic, n) for n in (found.z, found.inverse, found.variance(s.arithmetic))])

    z, inverse, variance = tacit.run(script, 2, protocol=protocol, format=format, debug=True, backend="numpy")[0]
    x = x * factor
    right = 1 / np.sqrt(x.var(1, keepdims=True) + eps)
    # The smallest rows deviate by 210 units of the last place, and spdz rounds up or down at random: one unit is 0.0047.
    # Beside it z = (x - mean) * inverse has the relative error of the inverse, which deviates with what spdz rounds.
    units, relative = (0.004, 0.0) if protocol == "clear" else (0.0047, 0.004)
    np.testing.assert_allclose(z, (x - x.mean(1, keepdims=True)) * right, rtol=relative, atol=units)
    np.testing.assert_allclose(inverse, right, rtol=0.004)
    np.testing.assert_allclose(variance, x.var(1, keepdims=True), rtol=2e-3, atol=2.0**-19)
