"""Truncations with public factors between them are one division (`engine.passes.divisions`); what else uses their parts stays."""

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.graph.maps import Combine, Permute, Reshape, Slice
from tacit.graph.operations import AtLeast
from tacit.testing.protocol import linear, secret, truncated

X = np.random.default_rng(0).integers(-1 << 57, 1 << 57, 300)
M = 53687
BETWEEN = M + 2**30
"""0.8 2^16, about."""


def times(e, x, m):
    return linear(e, Combine((m,)), x)


def chain(e, x, m=M, first=15, last=30):
    """(m (x / 2^first)) / 2^last: the value that is divided first, what lies between, and the result."""
    inner = truncated(e, x, first)
    between = times(e, inner, m)
    return inner, between, truncated(e, between, last)


def whole(e, x):
    return [(chain(e, x)[2], X * (M / 2**45))]


def negative(e, x):
    return [(chain(e, x, -M)[2], X * (-M / 2**45))]


def no_factor(e, x):
    return [(truncated(e, truncated(e, x, 20), 9), X / 2**29)]


def three(e, x):
    first = chain(e, x, 3, 10, 4)[2]
    return [(truncated(e, times(e, times(e, first, -5), -7), 12), X * (105 / 2**26))]


def seen_between(e, x):
    """Views of what is divided once."""
    inner = linear(e, Reshape((30, 10)), truncated(e, x, 15))
    rows = linear(e, Slice(0, 3, 8), times(e, inner, M))
    y = truncated(e, linear(e, Permute((1, 0)), rows), 30)
    return [(y, X.reshape(30, 10)[3:8].T * (M / 2**45))]


def added(e, x):
    """A multiple of the last divisor needs no division."""
    inner = times(e, truncated(e, x, 15), -M)
    y = truncated(e, x, 40)
    return [(truncated(e, linear(e, Combine((3 << 30, 1)), y, inner), 30), X * (3 / 2**40 - M / 2**45))]


def added_and_used_between(e, x):
    total = linear(e, Combine((1 << 30, M)), truncated(e, x, 40), truncated(e, x, 15))
    return [(truncated(e, total, 30), X * (1 / 2**40 + M / 2**45)), (times(e, total, 1), X * (1 / 2**10 + M / 2**15))]


def added_in_parts(e, x):
    """No multiple of it is left where it is."""
    total = linear(e, Combine((1 << 29, M)), truncated(e, x, 41), truncated(e, x, 15))
    return [(truncated(e, total, 30), X * (1 / 2**42 + M / 2**45))]


def several_results(e, x):
    """One value, two chains."""
    return [(chain(e, x)[2], X * (M / 2**45)), (truncated(e, times(e, truncated(e, x, 10), 5), 20), X * (5 / 2**30))]


def forced_between(e, x):
    _, between, last = chain(e, x)
    return [(last, X * (M / 2**45)), (between, X * (M / 2**15))]


def used_between(e, x):
    inner, _, last = chain(e, x)
    return [(last, X * (M / 2**45)), (times(e, inner, 2), X / 2**14)]


def used_between_and_whole_below(e, x):
    """The upper truncations are one, the lower is not."""
    inner, _, last = chain(e, x, 3, 9, 12)
    return [(truncated(e, times(e, last, 5), 12), X * (15 / 2**33)), (times(e, inner, 2), X / 2**8)]


def coarse(e, x):
    """A divisor near 6 would not be 2^5 / 5."""
    return [(chain(e, x, 5, 3, 2)[2], X * (5 / 2**5))]


def too_large(e, x):
    return [(chain(e, x, 3, 30, 22)[2], X * (3 / 2**52))]


def zero(e, x):
    return [(chain(e, x, 0)[2], X * 0)]


GRAPHS = {
    whole: 1,
    negative: 1,
    no_factor: 1,
    three: 1,
    seen_between: 1,
    added: 2,
    added_and_used_between: 3,
    added_in_parts: 3,
    several_results: 2,
    forced_between: 2,
    used_between: 2,
    used_between_and_whole_below: 2,
    coarse: 2,
    too_large: 2,
    zero: 2,
}
"""How many truncations are left."""


@pytest.mark.parametrize("protocol", ["spdz", "shamir", "shamir-corrected"])
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_values(graph, protocol):
    """As plain arithmetic has them, but for roundings."""
    parties = {"spdz": 2, "shamir": 3, "shamir-corrected": 4}[protocol]

    def work(session):
        e = session.engine
        values = graph(e, secret(e, field.from_signed(X)))
        e.force(*(wire for wire, _ in values))
        kinds = [r.kind for r in e.protocol.ledger]
        opened = e.reveal([wire for wire, _ in values])
        return [(field.to_signed(v), right) for v, (_, right) in zip(opened, values, strict=True)], kinds

    options = {"protocol": protocol} if protocol != "spdz" else {"dealer": True}
    for values, kinds in tacit.run(work, parties, backend="numpy", **options):
        assert kinds.count("truncation") == GRAPHS[graph]
        for value, right in values:
            # Units of roundings, that of a factor or divisor, and what a factor made of a rounding before it.
            off = (
                10
                + np.abs(right) * 2.0**-17
                + 10 * (M if graph is forced_between else BETWEEN if graph is added_and_used_between else 4)
            )
            assert (np.abs(value - right) <= off).all()


def test_rounds():
    """One opening for two, fused with the product before it or not."""

    def work(session):
        e = session.engine
        x = secret(e, field.from_signed(X))
        e.force(x)
        return e.prepare(chain(e, x)[2]).plan.rounds

    assert tacit.run(work, 3, protocol="shamir", backend="numpy") == [1] * 3


def test_a_value_that_is_compared_is_truncated_by_the_same_opening():
    def work(session):
        e = session.engine
        x = secret(e, field.from_signed(X))
        inner, _, last = chain(e, x)
        sign = e.record(AtLeast((0,), 58, 20), (x,), (1, *x.shape), "sign")
        e.force(last, sign)
        assert not inner.pending
        return e.reveal([last, sign])

    for last, sign in tacit.run(work, 3, protocol="shamir", backend="numpy"):
        assert np.abs(field.to_signed(last) - X * (M / 2**45)).max() < 10
        np.testing.assert_array_equal(sign[0], X >= 0)


def test_what_was_left_out_can_be_used_later():
    def work(session):
        e = session.engine
        inner, between, last = chain(e, secret(e, field.from_signed(X)))
        e.force(last)
        assert inner.pending and between.pending
        return [field.to_signed(v) for v in e.reveal([last, inner, between, times(e, last, 2)])]

    for last, inner, between, twice in tacit.run(work, 3, protocol="shamir", backend="numpy"):
        assert np.abs(last - X * (M / 2**45)).max() < 10
        assert np.abs(inner - X / 2**15).max() < 4
        np.testing.assert_array_equal(between, inner * M)
        np.testing.assert_array_equal(twice, 2 * last)


def kind(wire):
    return wire.operation.describe(b"").split()[0]


def test_a_step_that_is_undone_is_lowered_as_if_it_had_not_been():
    """Else who comes back later, and has not seen it fail, would count other values."""

    def work(session):
        e = session.engine
        inner, between, last = chain(e, secret(e, field.from_signed(X)))
        again = times(e, last, 2)
        wires = e.prepare(last).wires
        assert [kind(wire) for wire in wires] == ["Input", "Truncate", "Linear(Combine)"]
        for wire in wires:
            wire.unlower()
        kinds = [kind(wire) for wire in e.prepare(inner, again).wires]
        return kinds, between.pending

    for kinds, pending in tacit.run(work, 3, protocol="shamir", backend="numpy"):
        assert kinds == ["Input", "Truncate", "Linear(Combine)", "Truncate", "Linear(Combine)"] and not pending


def test_a_step_of_gradient_descent_truncates_once():
    """Here the product is divided by its width and the rate's factor at once, and lands at the scale of the weights."""

    def work(session):
        x, y = session.secret(np.ones((20, 3)), owner=0), session.secret(np.ones((20, 1)), owner=1)
        w = session.secret(np.zeros((3, 1)), owner=0)
        a = session.arithmetic
        gradient = x.T @ (x @ w - y)
        updated = a.like(a.add(w.number, a.times(gradient.number, -0.1 / 20)), w.number.scale)
        session.engine.force(updated.wire)
        return [r.kind for r in session.engine.protocol.ledger].count("truncation"), a.reveal([updated])[0]

    for truncations, value in tacit.run(work, 3, protocol="shamir", format=tacit.Format(15, 11), backend="numpy"):
        assert truncations == 1
        np.testing.assert_allclose(value, 0.1, atol=1e-3)
