"""A mask opens one value, once, and not while products of it are being made."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.correlations.masks import MAX_TERMS, Late, Mask, Masked, MaskReused, Opening, carry
from tacit.correlations.requests import MaskRequest, Material, pack, unpack
from tacit.errors import Mismatch
from tacit.graph.forms import Elementwise, MatMul
from tacit.graph.maps import Combine, Permute, Reshape, Sum
from tacit.protocols.plan import Plan


def leaf(number=0, shape=(2, 3)):
    return Mask(MaskRequest(number, shape))


def opening(mask, value, late=()):
    return Opening(mask, late, lambda: np.asarray(value, np.uint64))


def test_states():
    plan = Plan(0)
    (a, _), (b, _) = plan.mask((2,)), plan.mask((2,))
    assert a.state == "fresh"
    plan.product(Elementwise(), a, b)
    assert a.state == b.state == "leased"
    with pytest.raises(MaskReused, match="leased"):
        a.seal()
    (portion,) = plan.portions()
    assert a.state == "leased"
    portion.fill([Material(()) for _ in portion.requests])
    assert a.state == "fresh"
    a.seal()
    assert a.state == "sealed"
    with pytest.raises(MaskReused, match="sealed"):
        a.seal()


def test_openings_follow_maps():
    a, b = leaf(0), leaf(1)
    x = opening(a, [[1, 2, 3], [4, 5, 6]])
    y = opening(b, [[6, 5, 4], [3, 2, 1]])
    moved = carry(Permute((1, 0)), (x,))
    np.testing.assert_array_equal(moved.public(), [[1, 4], [2, 5], [3, 6]])
    assert moved.mask == Masked(Permute((1, 0)), (a,))
    both = carry(Combine((1, 2)), (x, y))
    np.testing.assert_array_equal(both.public(), [[13, 12, 11], [10, 9, 8]])
    assert both.mask.leaves() == (a, b)
    assert carry(Sum((0,)), (x,)).mask.shape == (3,)


def test_late_terms_follow_views_and_combinations_only():
    late = Late(lambda: np.full((2, 3), 7, np.uint64), leaf(2))
    x = opening(leaf(0), np.ones((2, 3)), (late,))
    moved = carry(Reshape((6,)), (x,))
    assert moved.late[0].coefficient().tolist() == [7] * 6
    assert carry(Combine((3,)), (x,)).late[0].coefficient().tolist() == [[21] * 3] * 2
    assert carry(Sum((0,)), (x,)) is None
    many = carry(Combine((1,) * (MAX_TERMS + 1)), (x,) * (MAX_TERMS + 1))
    assert many is None, "more terms than a product should have"


def test_requests_survive_packing():
    plan = Plan(5)
    (a, _), (b, _) = plan.mask((4, 3)), plan.input_mask((3, 2), 1)
    plan.bits((7,))
    (r, _, high), _ = plan.truncation((3, 2), 1 << 16, 3)
    plan.product(MatMul(), a, Masked(Combine((1, -3)), (b, r)))
    plan.product(MatMul(), a, Masked(Combine((-1,)), (high,)))
    (_, digit, *_), _ = plan.comparison((3, 2), 16, False)
    (_, one, two, *_), _ = plan.comparison((3, 2), 16, True)
    plan.product(Elementwise(), one, two)
    plan.edabits((3, 2), 30, True)
    plan.dabits((3, 2))
    plan.mask((2,), True)
    plan.product(MatMul(), a, digit)
    again = unpack(pack(plan.requests), 5)
    assert pack(again) == pack(plan.requests)
    assert [r.number for r in again] == list(range(5, 5 + len(again)))


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.text(max_size=8)
    | st.sampled_from(["mask", "leaf", "map"]),
    lambda children: st.lists(children, max_size=5),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(PLAIN, st.tuples(st.sampled_from(["mask", "input", "product", "truncation"]), PLAIN, PLAIN).map(list))
    )
)
def test_garbage_requests_are_refused_or_understood(packed):
    """A decoder of what comes from the network ends in requests or in `Mismatch`, in nothing else."""
    try:
        requests = unpack(packed, 3)
    except Mismatch:
        return
    assert pack(requests) == packed
