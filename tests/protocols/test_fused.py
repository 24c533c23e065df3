"""A product that is truncated at once is opened once for both (`protocols.shamir.fused`); what else uses it is as before."""

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.graph.forms import Elementwise, MatMul
from tacit.graph.maps import Combine
from tacit.protocols.shamir import fused
from tacit.testing.protocol import linear, product, secret, truncated

X = np.random.default_rng(0).integers(-1 << 20, 1 << 20, (4, 6))
Y = np.random.default_rng(1).integers(-1 << 20, 1 << 20, (6, 3))
Z = np.random.default_rng(2).integers(-1 << 20, 1 << 20, (4, 3))
XY = X @ Y
F = 16


def alone(e, xy, z):
    return [(xy, XY, 0), (truncated(e, xy, F), XY, F)]


def in_a_sum(e, xy, z):
    total = linear(e, Combine((5, -3)), z, xy)
    return [(truncated(e, total, F), 5 * Z - 3 * XY, F), (total, 5 * Z - 3 * XY, 0), (xy, XY, 0)]


def two_in_a_sum(e, xy, z):
    """One of them is reduced before."""
    zz = product(e, Elementwise(), z, z)
    return [
        (truncated(e, linear(e, Combine((1, 2, 1)), xy, zz, z), F), XY + 2 * Z * Z + Z, F),
        (zz, Z * Z, 0),
        (xy, XY, 0),
    ]


def twice_in_a_sum(e, xy, z):
    return [(truncated(e, linear(e, Combine((1, 2)), xy, xy), F), 3 * XY, F), (xy, XY, 0)]


def left_out_of_a_sum(e, xy, z):
    return [(truncated(e, linear(e, Combine((0, 1)), xy, z), F), Z, F), (xy, XY, 0)]


def used_before(e, xy, z):
    """What else the sum waits for is made of the product."""
    square = product(
        e, Elementwise(), linear(e, Combine((1, -1)), truncated(e, linear(e, Combine((1,)), xy), 40), z), z
    )
    total = linear(e, Combine((1, 1)), square, xy)
    return [(truncated(e, total, F), (XY // 2**40 - Z) * Z + XY, F), (xy, XY, 0)]


def by_different_bits(e, xy, z):
    return [(truncated(e, xy, F), XY, F), (truncated(e, xy, 20), XY, 20), (xy, XY, 0)]


def in_a_row(e, xy, z):
    rounded = truncated(e, xy, 40)
    return [(truncated(e, product(e, Elementwise(), rounded, z), 19), XY // 2**40 * Z, 19), (rounded, XY, 40)]


GRAPHS = {
    alone: 1,
    in_a_sum: 1,
    two_in_a_sum: 1,
    twice_in_a_sum: 0,
    left_out_of_a_sum: 0,
    used_before: 2,
    by_different_bits: 1,
    in_a_row: 2,
}
"""How many products are fused."""


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 2), (4, 1)])
@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.__name__)
def test_values(graph, parties, threshold, monkeypatch):
    """As plain arithmetic has them, but for roundings; four parties have a share to spare, and fuse nothing."""
    counts, found = [0], fused.found

    def noted(pending, apart):
        counts.append(len(result := found(pending, apart)))
        return result

    monkeypatch.setattr(fused, "found", noted)

    def work(session):
        e = session.engine
        x, y, z = (secret(e, field.from_signed(v), i) for i, v in enumerate((X, Y, Z)))
        values = graph(e, product(e, MatMul(), x, y), z)
        e.force(*(w for w, _, _ in values))
        opened = e.reveal([w for w, _, _ in values])
        return [(field.to_signed(v), right, bits) for v, (_, right, bits) in zip(opened, values, strict=True)]

    results = tacit.run(work, parties, protocol="shamir", threshold=threshold, backend="numpy")
    assert max(counts) == (0 if parties == 4 else GRAPHS[graph])
    off = (len(results) + 1) * 2  # (K + 1) / 2 units; as many times |z| / 2^f where a rounded number was multiplied
    for values in results:
        for value, right, bits in values:
            assert np.abs(value - right / 2.0**bits).max() <= (off * 2.0 ** max(0, 21 - bits) if bits else 0)


@pytest.mark.parametrize(("portion", "rounds"), [(0, 2), (500, 4)])
def test_only_where_a_portion_has_room_for_its_material(portion, rounds):
    """Else its truncation is cut, here in two pieces, one after the other (`engine.passes.pieces`)."""

    def work(session):
        e = session.engine
        e.portion = portion
        x, y = (secret(e, field.from_signed(v)) for v in (X, Y))
        prepared = e.prepare(*(w for w, _, _ in alone(e, product(e, MatMul(), x, y), None)))
        found = prepared.plan.rounds
        e.run(prepared)
        return found

    assert tacit.run(work, 3, protocol="shamir", backend="numpy") == [rounds] * 3
