"""The formula of `sharing.comparison`, over sharing: right outside its resolution, for all T, at the extremes."""

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.sharing.comparison import resolution
from tacit.sharing.forms import Elementwise
from tacit.sharing.operations import NonNegative
from tacit.testing.protocol import product, secret


def signs(values, magnitude, bits, parties=2, **options):
    def work(s):
        x = secret(s.engine, field.from_signed(values))
        sign = s.engine.record(NonNegative(magnitude, bits), (x,), x.shape, "sign")
        doubled = product(s.engine, Elementwise(), x, sign)
        return s.engine.reveal([sign, doubled])

    return tacit.run(work, parties=parties, timeout=20, **options)[0]


@pytest.mark.parametrize("bits", range(2, 22))
def test_every_width_of_the_tree(bits):
    magnitude = 30
    rng = np.random.default_rng(bits)
    edge = resolution(magnitude, bits)
    top = (1 << magnitude) - 1
    values = rng.integers(-top, top, 400)
    values[:8] = [top, -top, edge, -edge, edge + 1, -edge - 1, top // 2, -top // 2]
    values = values[np.abs(values) >= edge]
    sign, relu = signs(values, magnitude, bits)
    np.testing.assert_array_equal(sign, values >= 0)
    np.testing.assert_array_equal(field.to_signed(relu), np.maximum(values, 0))


@pytest.mark.parametrize("magnitude", [1, 8, 19])
def test_small_numbers_are_compared_exactly(magnitude):
    top = (1 << magnitude) - 1
    values = np.unique(np.concatenate([np.arange(-min(top, 300), min(top, 300) + 1), [top, -top]]))
    sign, _ = signs(values, magnitude, 21)
    np.testing.assert_array_equal(sign, values >= 0)


def test_inside_the_resolution_it_is_a_bit_all_the_same():
    sign, relu = signs(np.arange(-2000, 2000), 30, 16)
    assert set(sign.tolist()) == {0, 1}
    assert np.abs(field.to_signed(relu)).max() <= 2000


@pytest.mark.parametrize(("parties", "topology"), [(3, "mesh"), (5, "hub")])
def test_more_parties(parties, topology):
    values = np.array([1 << 20, -(1 << 20), 5 << 10, -(5 << 10)])
    sign, _ = signs(values, 24, 16, parties, topology=topology)
    np.testing.assert_array_equal(sign, values >= 0)
