"""Shamir's shares: the conformance suite for several n and t, what a share shows, what material is, and what it costs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.settings import full

import tacit
from tacit import field
from tacit.correlations.layouts import layout, of_length
from tacit.correlations.masks import Mask
from tacit.correlations.requests import (
    BitsRequest,
    ComparisonRequest,
    InputMask,
    MaskRequest,
    ProductRequest,
    TruncationRequest,
)
from tacit.errors import ConfigurationError
from tacit.field import P
from tacit.graph.forms import Elementwise
from tacit.protocols.gadgets.truncation import Rounding
from tacit.protocols.shamir import preprocessing as shamir_material
from tacit.protocols.shamir import randomness, verification
from tacit.protocols.shamir.polynomials import liars, on_polynomial, point, weights
from tacit.protocols.shamir.preprocessing import expected_bytes
from tacit.protocols.shamir.randomness import SETS, chosen
from tacit.testing import protocol

SETTINGS = [(3, 1), (5, 2), (7, 2)]


def shamir(work, parties, threshold, **options):
    return tacit.run(work, parties=parties, timeout=20, protocol="shamir", threshold=threshold, **options)


@pytest.mark.quick()
@pytest.mark.parametrize(("parties", "threshold"), full(SETTINGS))
@pytest.mark.parametrize("check", protocol.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, parties, threshold):
    check(lambda n, work: shamir(lambda s: work(s.engine), n, threshold), parties)


@pytest.mark.parametrize(
    ("name", "parties", "threshold"),
    [
        *(("shamir", *setting) for setting in [(4, 1), (6, 1), (7, 3), (9, 4)]),
        *(("shamir-corrected", *setting) for setting in [(6, 1), (8, 2), (10, 3)]),
    ],
)
def test_other_settings(name, parties, threshold):
    x, y = protocol.draw(3, 4), protocol.draw(4, 2, seed=1)

    def work(session):
        e = session.engine
        a, b = protocol.secret(e, x, parties - 1), protocol.secret(e, y, 1)
        xy = protocol.product(e, protocol.MatMul(), a, b)
        return e.reveal([xy, protocol.product(e, protocol.Elementwise(), xy, xy)])

    right = protocol.MatMul()(x, y)
    results = tacit.run(work, parties=parties, timeout=20, protocol=name, threshold=threshold)
    protocol.everywhere(results, right, field.mul(right, right))


@pytest.mark.parametrize(("parties", "threshold"), [(2, 1), (3, 2), (5, 3), (5, 0), (30, 15)])
def test_too_many_colluders_are_refused(parties, threshold):
    with pytest.raises(ConfigurationError, match="parties"):
        shamir(lambda s: None, parties, threshold)


def test_a_threshold_is_for_a_majority_only():
    with pytest.raises(ConfigurationError, match="shamir"):
        tacit.run(lambda s: None, parties=3, protocol="clear", threshold=1)


def opened(shares):
    """What the shares of all parties stand for, each place of it on a polynomial of degree t."""
    n = len(shares)
    first = shares[0].reshape(-1)[0], *(s.reshape(-1)[0] for s in shares[1:])
    assert on_polynomial({point(i): int(v) for i, v in enumerate(first)}, (n - 1) // 2)
    total = np.zeros_like(shares[0])
    for w, s in zip(weights([point(i) for i in range(n)], 0), shares, strict=True):
        total = field.add(total, field.scale(s, w))
    return total


@pytest.mark.parametrize(("parties", "sets", "spread"), [(3, None, 3), (5, None, 10), (5, 0, 3)])
def test_material(parties, sets, spread):
    """Each request's equation, over all shares put together."""
    t = Rounding.alone(1 << 16, spread).digits
    asked = [
        BitsRequest(0, (500,)),
        TruncationRequest(1, (400,), 1 << 16, t),
        ComparisonRequest(2, (300,), 18),
        ComparisonRequest(3, (300,), 12, False, 30),
        ComparisonRequest(4, (200,), 25),
    ]

    def work(session):
        source = session.engine.source
        return [m.shares for m in source.take(source.request(asked))]

    results = shamir(work, parties, (parties - 1) // 2, sets=sets)
    values = [
        [opened([r[k][place][0] for r in results]) for place in range(len(results[0][k]))] for k in range(len(asked))
    ]
    ((bits,), (r, top, high), (c, *digits), (_, *others), (e, *leading)) = values
    for b in (bits, top, *digits, *others[:-2], *leading):
        assert set(b.tolist()) == {0, 1}
    assert 190 < int(bits.sum()) < 310
    m = (P - 1) >> t
    rest = field.sub(r, field.scale(top, m << (t - 1)))
    assert int(rest.max()) < (2 ** (t - 1) - 1 + spread) * m
    carry = field.to_signed(field.sub(r >> np.uint64(16), high))  # r may have wrapped, where it is (p - 1) / 2 or more
    whole = rest == field.sub(r, field.scale(top, m << (t - 1)))
    assert whole.all()
    assert (np.abs(carry[top == 0]) <= spread + 1).all()
    for j, b in enumerate(digits):
        c = field.sub(c, field.scale(b, ((P - 1) >> 18) << j))
    assert int(c.max()) < spread * ((P - 1) >> 18)
    np.testing.assert_array_equal(others[-2], others[-3])
    longer = of_length(25)
    for weight, b in zip(longer.weights(), leading, strict=True):
        e = field.sub(e, field.scale(b, weight))
    assert int(e.max()) < spread * longer.unit
    assert not np.logical_and.reduce(leading[:4]).any()


@pytest.mark.parametrize("sets", [SETS, 0])
def test_one_check_for_a_list_unless_it_is_long(sets, monkeypatch):
    """What waits for a check is bounded: then bits and integers are verified as they are made."""
    asked = [ComparisonRequest(0, (50,), 12, False, 30), MaskRequest(1, (20,))]
    product = ProductRequest(2, (20,), Elementwise(), Mask(asked[1]), Mask(asked[1]))

    def work(session):
        source = session.engine.source
        before = source.checks
        source.take(source.request([*asked, product]))
        return source.checks - before

    pool = 0 if sets else 1
    assert shamir(work, 4, 1, sets=sets) == [pool + 1] * 4
    for module in (shamir_material, randomness):
        monkeypatch.setattr(module, "UNCHECKED", 0)
    assert shamir(work, 4, 1, sets=sets) == [pool + (2 if sets else 3)] * 4


@pytest.mark.parametrize(
    ("parties", "threshold", "sets"),
    [(3, 1, SETS), (4, 1, SETS), (5, 2, SETS), (7, 2, SETS), (4, 1, 0), (5, 2, 0)],
)
def test_what_material_costs(parties, threshold, sets):
    """As declared (for `tacit plan`), up to checks and headers, when all parties' bytes are taken together."""
    t = Rounding.alone(1 << 16, chosen(parties, threshold, sets).summands(parties, threshold)).digits
    asked = [
        BitsRequest(0, (9000,)),
        TruncationRequest(1, (4000,), 1 << 16, t),
        ComparisonRequest(2, (2000,), 18),
        ComparisonRequest(3, (1000,), 41),
        MaskRequest(4, (20000,)),
        InputMask(5, (3000,), 1),
    ]

    def work(session):
        source = session.engine.source
        before = session.meter.snapshot()
        for r in asked:
            source.take(source.request([r]))
        return session.meter.since(before).total.sent

    sent = sum(shamir(work, parties, threshold, sets=sets))
    expected = sum(expected_bytes(r, parties, threshold, sets) for r in asked) * parties * (parties - 1)
    assert expected <= sent <= 1.15 * expected


def test_layouts():
    """The weights of the bits and W add up to p - 1, and the digits of r are its bits."""
    for bits in (*range(2, 22), 23, 25, 26, 29, 31, 41, 61):
        found = of_length(bits)
        free = (1 << found.top) * ((1 << found.more) - 1 if found.more else 1)
        assert free * found.unit == P - 1
        rng = np.random.default_rng(bits)
        r = np.array([0, P - 2, P - 1, *rng.integers(0, P - 1, 50).tolist()], np.uint64)
        q = found.digits(r)
        low = r.astype(object) - sum(
            ((int(w) * ((q >> np.uint64(j)) & np.uint64(1)).astype(object)) for j, w in enumerate(found.weights()))
        )
        assert all(0 <= v < found.unit for v in low[np.arange(len(r)) != 2])
    assert [layout(b).bits for b in (16, 21, 22, 23, 25, 26, 30, 32, 41, 45)] == [
        16,
        21,
        23,
        25,
        26,
        29,
        31,
        41,
        61,
        61,
    ]


@pytest.mark.parametrize("value", [0, 1, P - 1])
def test_shares_are_uniform_whatever_the_secret(value):
    """Any t shares of what was dealt, of a product, and of a public number that was multiplied."""

    def work(session):
        e = session.engine
        a = protocol.secret(e, np.full(2000, value, np.uint64))
        z = protocol.product(e, protocol.Elementwise(), a, a)
        e.force(a, z)
        return a.value()[0], z.value()[0]

    for me, shares in enumerate(shamir(work, 5, 2)):
        for share in shares if me else shares[1:]:
            assert 850 < int((share < P // 2).sum()) < 1150
            assert len(np.unique(share)) == 2000


def test_keys_of_sets_are_what_their_members_alone_have():
    def work(session):
        seeds = session.engine.protocol.group.seeds
        return seeds.pairs, seeds.sets

    results = shamir(work, 5, 2)
    for i, (pairs, sets) in enumerate(results):
        assert all(i in a and len(a) == 3 for a in sets) and len(sets) == 6
        for j, (other_pairs, other_sets) in enumerate(results):
            if j != i:
                assert pairs[j] == other_pairs[i]
            assert all(other_sets[a] == key for a, key in sets.items() if j in a)
    assert len({key for _, sets in results for key in sets.values()}) == 10


def test_costs_of_a_check():
    """Rounds as they are declared, for short and long vectors, and one in which all say that they are through."""

    def work(session, count):
        e = session.engine
        a = protocol.secret(e, protocol.draw(count))
        e.force(protocol.product(e, protocol.Elementwise(), a, a))
        before = e.channel.meter.snapshot()
        e.check()
        return e.channel.meter.since(before).total.rounds

    for count in (1, 64, 65, 5000, 20000):
        assert shamir(lambda s, count=count: work(s, count), 3, 1) == [verification.rounds(count) + 1] * 3


def test_one_opening_for_each_output():
    """A matrix product sends as many elements as it has outputs, whatever its inner length."""

    def work(session):
        e = session.engine
        a, b = protocol.secret(e, protocol.draw(4, 500)), protocol.secret(e, protocol.draw(500, 3, seed=1))
        e.force(a, b)
        prepared = e.prepare(protocol.product(e, protocol.MatMul(), a, b))
        return prepared.plan.sends

    assert shamir(work, 3, 1) == [8 * 12] * 3


def test_liars_are_found_where_that_is_certain():
    values = {x: (5 + 3 * x + 7 * x * x) % P for x in range(1, 8)}
    assert on_polynomial(values, 2)
    assert liars(values | {3: 9, 6: 1}, 2, 2) == (3, 6)
    assert liars(values | {3: 9, 6: 1, 7: 2}, 2, 2) is None


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_all_liars_are_found_whoever_they_are(data):
    """Up to t of any n >= 3 t + 1 parties, at any points, whatever they say: those, and no others."""
    n = data.draw(st.integers(4, 40))
    t = data.draw(st.integers(1, (n - 1) // 3))
    points = data.draw(st.lists(st.integers(1, 255), min_size=n, max_size=n, unique=True))
    f = [data.draw(st.integers(0, P - 1)) for _ in range(t + 1)]
    values = {x: sum(c * pow(x, k, P) for k, c in enumerate(f)) % P for x in points}
    wrong = data.draw(st.lists(st.sampled_from(points), max_size=t, unique=True))
    lies = {x: (values[x] + data.draw(st.integers(1, P - 1))) % P for x in wrong}
    assert liars(values | lies, t, t) == tuple(x for x in points if x in wrong)


@pytest.mark.parametrize(("n", "t"), [(16, 5), (19, 6), (22, 7), (40, 13)])
def test_as_many_liars_as_there_may_be_whose_lies_fit_each_other(n, t):
    """They agree on another polynomial, as near to the right one as can be: zero at t honest points besides."""
    values = {x: (5 + 3 * x) % P for x in range(1, n + 1)}
    lies = {x: (v + math.prod(x - k for k in range(1, t + 1))) % P for x, v in values.items() if x > n - t}
    assert liars(values | lies, t, t) == tuple(lies)
    assert liars(values | lies, t, t - 1) is None
