"""The formula of `protocols.gadgets.comparison`, over sharing: right outside its resolution, for all T, at the extremes."""

import threading

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.graph.forms import Elementwise
from tacit.graph.maps import Reshape
from tacit.graph.operations import AtLeast, Winners
from tacit.numbers.array import SecretArray
from tacit.numbers.comparison import at_least, winners
from tacit.preprocessing.dealer import Dealer, DealerSource
from tacit.protocols.gadgets.comparison import resolution
from tacit.testing.protocol import linear, product, secret
from tacit.transport import memory


class FieldBitsOnly(DealerSource):
    """A source whose bits are field elements, like those that know no GF(2)."""

    binary = False


def without_gf2(work, parties):
    channels = memory.network(parties + 1, timeout=20)
    dealer = threading.Thread(target=Dealer(channels[parties], parties).serve)
    dealer.start()
    results = tacit.run(
        work, parties=parties, source=lambda me, n: FieldBitsOnly(me, n, channels[me]), timeout=20, backend="numpy"
    )
    dealer.join(20)
    return results


def compared(engine, x, magnitude, bits):
    return linear(engine, Reshape(x.shape), engine.record(AtLeast((0,), magnitude, bits), (x,), (1, *x.shape), "sign"))


def signs(values, magnitude, bits, parties=2, gf2=True, **options):
    def work(s):
        x = secret(s.engine, field.from_signed(values))
        sign = compared(s.engine, x, magnitude, bits)
        doubled = product(s.engine, Elementwise(), x, sign)
        return s.engine.reveal([sign, doubled])

    if not gf2:
        return without_gf2(work, parties)[0]
    return tacit.run(work, parties=parties, timeout=20, backend="numpy", **options)[0]


@pytest.mark.parametrize("gf2", [True, False])
@pytest.mark.parametrize("bits", range(2, 22))
def test_every_width_of_the_tree(bits, gf2):
    magnitude = 30
    rng = np.random.default_rng(bits)
    edge = resolution(magnitude, bits)
    top = (1 << magnitude) - 1
    values = rng.integers(-top, top, 400)
    values[:8] = [top, -top, edge, -edge, edge + 1, -edge - 1, top // 2, -top // 2]
    values = values[np.abs(values) >= edge]
    sign, relu = signs(values, magnitude, bits, gf2=gf2)
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


@pytest.mark.parametrize(("gf2", "opened"), [(True, ["comparison"]), (False, ["comparison", "plain"])])
def test_a_product_with_a_sign_opens_nothing_over_gf2(gf2, opened):
    """Over field elements the sign is opened once more."""
    values = field.from_signed(np.arange(-5, 5) << 20)

    def work(s):
        x = secret(s.engine, values)
        sign = compared(s.engine, x, 24, 16)
        s.engine.force(product(s.engine, Elementwise(), x, sign), product(s.engine, Elementwise(), sign, sign))
        return [r.kind for r in s.engine.protocol.ledger if r.kind != "input"]

    results = tacit.run(work, parties=2) if gf2 else without_gf2(work, 2)
    assert results == [opened, opened]


@pytest.mark.parametrize("gf2", [True, False])
@pytest.mark.parametrize("magnitude", [1, 20, 40, 58])
def test_exact_comparison(magnitude, gf2):
    """Right everywhere: at zero, next to it, at the ends."""
    rng = np.random.default_rng(magnitude)
    top = (1 << magnitude) - 1
    values = rng.integers(-top, top, 300, endpoint=True)
    values[:7] = [0, 1, -1, top, -top, top - 1, 1 - top]
    sign, relu = signs(values, magnitude, 0, gf2=gf2)
    np.testing.assert_array_equal(sign, values >= 0)
    np.testing.assert_array_equal(field.to_signed(relu), np.maximum(values, 0))


@pytest.mark.parametrize("count", [1, 7, 12, 64])
def test_bits_beside_other_openings_in_a_frame(count):
    """Packed bits may have any length; what follows them in the frame is read all the same."""
    values = np.linspace(-2, 2, count)

    def work(s):
        x, y = s.secret(values, owner=0), s.secret(values + 3, owner=1)
        return s.reveal([x.relu(), (((x * y) * y) * x) * y])

    for relu, long in tacit.run(work, parties=2, backend="numpy"):
        np.testing.assert_allclose(relu, np.maximum(values, 0), atol=2**-8)
        np.testing.assert_allclose(long, values**2 * (values + 3) ** 3, atol=0.05)


def test_numbers_and_nothing_at_all():
    def work(s):
        x, none = s.secret(-3.5, owner=0), s.secret(np.zeros((0, 3)), owner=1)
        return s.reveal([x.relu(), abs(x), x > 0, x == -3.5, none.relu(), none >= 1])

    for *numbers, relu, greater in tacit.run(work, parties=2, backend="numpy"):
        np.testing.assert_allclose(numbers, [0, 3.5, 0, 1], atol=1e-3)
        assert relu.shape == greater.shape == (0, 3)


def test_a_sign_serves_again_only_if_it_is_fine_enough():
    """x and x / 256 are one value at two scales: the second comparison must not take over the resolution of the first."""
    values = np.concatenate([np.linspace(-1, -0.01, 50), np.linspace(0.01, 1, 50)])

    def work(s):
        x = s.secret(values, owner=0)
        coarse = (x / 256).relu()
        fine = x.relu()
        exact = x >= 0
        again = x.relu()
        s.reveal([coarse, fine, exact, again])
        kinds = [r.kind for r in s.engine.protocol.ledger]
        return s.reveal(fine), s.reveal(again), kinds.count("comparison")

    for fine, again, comparisons in tacit.run(work, parties=2, backend="numpy"):
        np.testing.assert_allclose(fine, np.maximum(values, 0), atol=2**-8)
        np.testing.assert_allclose(again, np.maximum(values, 0), atol=1e-4)
        assert comparisons == 3


def test_thresholds_between_two_numbers_of_the_format():
    thresholds = (0.3, -0.3)
    values = np.array([np.floor(t * 2**16) / 2**16 + d * 2**-16 for t in thresholds for d in (-1, 0, 1)])

    def work(s):
        a = s.arithmetic
        return s.reveal(SecretArray(a, at_least(a, s.secret(values, owner=0).number, thresholds, exact=True)))

    for bits in tacit.run(work, 2, backend="numpy"):
        np.testing.assert_array_equal(bits, [values >= t for t in thresholds])


def test_what_was_found_of_fewer_bits_does_not_serve_a_number_of_more():
    """x and 64 x are one value; by the contract 64 x has fewer bits, and nobody uses it where it has not."""
    values = np.array([3000.0, -3000.0, 1.0, -700.0])

    def work(s):
        x = s.secret(values, owner=0)
        (64 * x).relu()
        winners(s.arithmetic, (64 * x).number)
        return s.reveal([x.relu(), SecretArray(s.arithmetic, winners(s.arithmetic, x.number))])

    for relu, best in tacit.run(work, 2, backend="numpy"):
        np.testing.assert_allclose(relu, np.maximum(values, 0))
        np.testing.assert_array_equal(best, [1, 0, 0, 0])


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
def test_one_element_alone_is_the_largest(protocol):
    def work(s):
        x = s.secret(np.array([[-1.5], [2.0]]), owner=0)
        return s.reveal(SecretArray(s.arithmetic, winners(s.arithmetic, x.number)))

    for best in tacit.run(work, 2, protocol=protocol, backend="numpy"):
        np.testing.assert_array_equal(best, [[1], [1]])


def both_kinds(work, gf2, parties=2):
    return tacit.run(work, parties=parties, backend="numpy", timeout=20) if gf2 else without_gf2(work, parties)


@pytest.mark.parametrize("gf2", [True, False])
@pytest.mark.parametrize(("magnitude", "bits"), [(12, 14), (30, 0), (58, 0), (40, 21)])
def test_many_thresholds_from_one_opening(magnitude, bits, gf2):
    rng = np.random.default_rng(magnitude)
    top = 1 << (magnitude - 1)  # so that x - t stays below 2^magnitude
    thresholds = tuple(int(t) for t in (0, 1, -1, 1 - top, top - 1, *rng.integers(-top + 1, top, 4)))
    edge = resolution(magnitude, bits) if bits and bits < magnitude + 2 else 0
    near = [t + d for t in thresholds for d in (-1, 0, 1)]
    values = np.array([v for v in (*near, *rng.integers(-top + 1, top, 100).tolist()) if abs(v) < top])

    def work(s):
        x = secret(s.engine, field.from_signed(values))
        found = s.engine.record(AtLeast(thresholds, magnitude, bits), (x,), (len(thresholds), *x.shape), "compare")
        bit, again = s.engine.reveal([found, product(s.engine, Elementwise(), x, x)])
        return bit, again, [r.kind for r in s.engine.protocol.ledger]

    for bit, again, kinds in both_kinds(work, gf2):
        assert kinds.count("comparison") == 1
        assert "plain" not in kinds, "x is known from the comparison"
        np.testing.assert_array_equal(again, field.mul(field.from_signed(values), field.from_signed(values)))
        for row, t in zip(bit, thresholds, strict=True):
            sure = np.abs(values - t) >= edge
            np.testing.assert_array_equal(row[sure], (values >= t)[sure])


@pytest.mark.parametrize("gf2", [True, False])
@pytest.mark.parametrize(("n", "magnitude"), [(2, 10), (3, 45), (10, 18), (13, 30)])
def test_winners_of_all_pairs(n, magnitude, gf2):
    rng = np.random.default_rng(n)
    top = (1 << (magnitude - 1)) - 1
    values = rng.integers(-top, top, (4, 3, n), endpoint=True)
    values[0] = rng.integers(-1, 2, (3, n))  # ties
    values[1, 0], values[1, 1, :2], values[1, 2, -1] = top, (top, -top), top

    def work(s):
        x = secret(s.engine, field.from_signed(values))
        best = s.engine.record(Winners(magnitude), (x,), x.shape, "winners")
        return s.engine.reveal([best, product(s.engine, Elementwise(), x, best)])

    for best, picked in both_kinds(work, gf2):
        np.testing.assert_array_equal(best, values.argmax(-1)[..., None] == np.arange(n))
        np.testing.assert_array_equal(field.to_signed(picked).sum(-1), values.max(-1))


@pytest.mark.parametrize(("parties", "topology"), [(3, "mesh"), (5, "hub")])
def test_winners_among_more_parties(parties, topology):
    values = np.random.default_rng(0).integers(-50, 50, (6, 4))

    def work(s):
        x = secret(s.engine, field.from_signed(values))
        return s.engine.reveal([s.engine.record(Winners(8), (x,), x.shape, "winners")])

    for (best,) in tacit.run(work, parties=parties, topology=topology, backend="numpy"):
        np.testing.assert_array_equal(best, values.argmax(-1)[..., None] == np.arange(4))
