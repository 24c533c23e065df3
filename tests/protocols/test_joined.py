"""A value that is truncated and compared is opened once for both (`protocols.gadgets.comparison.lower_both`)."""

import numpy as np
import pytest
from test_comparison import without_gf2

import tacit
from tacit import field
from tacit.graph.forms import Elementwise
from tacit.graph.maps import Reshape, Slice
from tacit.graph.operations import AtLeast
from tacit.numbers.array import SecretArray
from tacit.numbers.comparison import at_least
from tacit.testing.protocol import linear, product, secret, truncated

TOP = (1 << 44) - 1


@pytest.mark.parametrize("gf2", [True, False])
@pytest.mark.parametrize("drop", [1, 8, 16, 22, 30, 43])
def test_both_results_from_one_opening(drop, gf2):
    rng = np.random.default_rng(drop)
    x = rng.integers(-TOP, TOP, 2000)
    x[:6] = [TOP, -TOP, 0, TOP // 2, -TOP // 2, 1 << 40]
    thresholds, fine = (0, 1 << 40, -(1 << 43)), 1 << 33

    def work(s):
        e = s.engine
        a = secret(e, field.from_signed(x))
        y = truncated(e, a, drop)
        bits = e.record(AtLeast(thresholds, 46, 15), (a,), (3, *a.shape), "compare")
        square = product(e, Elementwise(), y, y) if drop >= 16 else y
        first = linear_first(e, bits)
        e.force(y, bits, square)
        kinds = [r.kind for r in e.protocol.ledger if r.kind != "input"]
        return e.reveal([y, bits, square, product(e, Elementwise(), first, y), a]), kinds

    results = tacit.run(work, 2, backend="numpy") if gf2 else without_gf2(work, 2)
    for (y, bits, square, gated, again), kinds in results:
        assert kinds == ["comparison"], "nothing else is opened, the square of y included"
        near = np.abs(field.to_signed(y) - x / 2.0**drop)
        assert near.max() < 1
        assert abs((field.to_signed(y) - x / 2.0**drop).mean()) < 0.1
        for bit, t in zip(bits, thresholds, strict=True):
            sure = np.abs(x - t) >= fine
            np.testing.assert_array_equal(bit[sure], (x >= t)[sure])
        if drop >= 16:
            np.testing.assert_array_equal(field.to_signed(square), field.to_signed(y) ** 2)
        np.testing.assert_array_equal(field.to_signed(gated), field.to_signed(y) * bits[0].astype(np.int64))
        np.testing.assert_array_equal(field.to_signed(again), x)


def linear_first(e, bits):
    return linear(e, Reshape(bits.shape[1:]), linear(e, Slice(0, 0, 1), bits))


def test_a_relu_of_a_rescaled_value_opens_it_once():
    values = np.linspace(-3, 3, 100)

    def work(s):
        a = s.arithmetic
        x = s.secret(values, owner=0)
        rescaled = SecretArray(a, a.rescale((x * x - 4).number))
        gated = rescaled.relu()
        s.engine.force(gated.number.wire)
        kinds = [r.kind for r in s.engine.protocol.ledger]
        return s.reveal(gated), kinds

    # In a format of 12 integer bits the comparison takes all 21 leading bits, and leaves none for this.
    for gated, kinds in tacit.run(work, 2, backend="numpy", format=tacit.Format(16, 6)):
        np.testing.assert_allclose(gated, np.maximum(values**2 - 4, 0), atol=2**-8)
        assert kinds == ["input", "comparison"]


@pytest.mark.parametrize("gf2", [True, False])
@pytest.mark.parametrize("drop", [19, 20, 31, 57])
def test_a_truncation_that_leaves_nothing_is_opened_by_itself(drop, gf2):
    """2^s x would be truncated by 58 bits or more."""
    x = np.array([(1 << 20) - 1, 1 - (1 << 20), 1 << 18, -(1 << 18)])

    def work(s):
        a = secret(s.engine, field.from_signed(x))
        bits = s.engine.record(AtLeast((0,), 20, 15), (a,), (1, 4), "compare")
        return s.engine.reveal([truncated(s.engine, a, drop), bits])

    for y, bits in tacit.run(work, 2, backend="numpy") if gf2 else without_gf2(work, 2):
        assert np.abs(field.to_signed(y) - x / 2.0**drop).max() <= 1
        np.testing.assert_array_equal(bits[0], x >= 0)


def test_a_threshold_beyond_what_is_truncated_is_compared_after_it():
    """What is truncated has 58 bits already, and 2^12 as many."""

    def work(s):
        a = s.arithmetic
        x = s.secret(np.array([4000.0, -4000.0]), owner=0)
        y = a.truncate(a.lift(x.number, 46), 30)
        return s.reveal(SecretArray(a, at_least(a, y, (4096.0, -4096.0, 0.0))))

    for bits in tacit.run(work, 2, backend="numpy"):
        np.testing.assert_array_equal(bits, [[0, 0], [1, 1], [1, 0]])
