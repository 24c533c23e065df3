"""Every map is linear mod p and says its own shape; every form is bilinear and equals arithmetic on Python integers."""

import numpy as np
import pytest

from tacit import field
from tacit.errors import Mismatch
from tacit.field import P
from tacit.graph.forms import Conv2d, Conv2dInput, Conv2dWeight, Elementwise, MatMul, With, pack, unpack
from tacit.graph.maps import (
    BoxSpread,
    BoxSum,
    Combine,
    Concat,
    Expand,
    Gather,
    Permute,
    Place,
    Reshape,
    Slice,
    Sum,
)


def draw(*shape, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, P, shape, np.uint64)
    flat = values.reshape(-1)
    flat[: min(3, flat.size)] = [0, 1, P - 1][: min(3, flat.size)]
    return values


MAPS = [
    (Reshape((6, 4)), [(2, 3, 4)]),
    (Permute((2, 0, 1)), [(2, 3, 4)]),
    (Slice(1, 1, 8, 3), [(2, 9)]),
    (Place(1, 1, 8, 3, 9), [(2, 3)]),
    (Gather(0, (4, 0, 4)), [(5, 2)]),
    (Expand((3, 5, 2)), [(5, 1)]),
    (Concat(1), [(2, 3), (2, 1), (2, 2)]),
    (Sum((0, 2)), [(3, 4, 5)]),
    (Sum((1,), True), [(3, 4, 5)]),
    (Combine((1, -1)), [(3, 4), (3, 4)]),
    (Combine((5, -(1 << 40), 7)), [(3,), (3,), (3,)]),
    (BoxSum((2, 2), (2, 2)), [(2, 1, 6, 4)]),
    (BoxSum((3, 2), (1, 2)), [(2, 6, 5)]),
    (BoxSpread((2, 2), (2, 2), (7, 4)), [(2, 3, 2)]),
    (BoxSpread((3, 2), (1, 2), (6, 5)), [(2, 4, 2)]),
    (With(MatMul(), draw(4, 2)), [(3, 4)]),
    (With(Conv2d((1, 1), (1, 1)), draw(2, 1, 5, 5), left=True), [(3, 1, 3, 3)]),
]


@pytest.mark.parametrize(("map", "shapes"), MAPS, ids=lambda x: type(x).__name__ if not isinstance(x, list) else "")
def test_maps_are_linear(map, shapes):
    x = [draw(*s, seed=i) for i, s in enumerate(shapes)]
    y = [draw(*s, seed=9 + i) for i, s in enumerate(shapes)]
    combined = map(*(field.add(field.scale(a, 3), b) for a, b in zip(x, y, strict=True)))
    assert combined.shape == map.shape(*shapes)
    np.testing.assert_array_equal(combined, field.add(field.scale(map(*x), 3), map(*y)))


@pytest.mark.parametrize(("map", "shapes"), MAPS[:-2])
def test_maps_survive_packing(map, shapes):
    again = unpack(pack(map))
    assert again == map
    assert again.shape(*shapes) == map.shape(*shapes)


def test_box_sum_equals_integers():
    x = draw(1, 5, 6)
    y = BoxSum((2, 3), (1, 2))(x)
    for i in range(4):
        for j in range(2):
            assert int(y[0, i, j]) == sum(int(v) for v in x[0, i : i + 2, 2 * j : 2 * j + 3].reshape(-1)) % P


@pytest.mark.parametrize(
    ("one", "other", "shape"),
    [
        (BoxSum((2, 2), (2, 2)), BoxSpread((2, 2), (2, 2), (6, 5)), (1, 6, 5)),
        (BoxSum((3, 2), (2, 1)), BoxSpread((3, 2), (2, 1), (7, 5)), (1, 7, 5)),
        (Slice(1, 1, 8, 3), Place(1, 1, 8, 3, 9), (2, 9)),
    ],
)
def test_adjoints(one, other, shape):
    """<L x, y> = <x, L* y>"""
    x = draw(*shape)
    y = draw(*one.shape(shape), seed=3)

    def inner(a, b):
        return sum(int(u) * int(v) for u, v in zip(a.reshape(-1), b.reshape(-1), strict=True)) % P

    assert inner(one(x), y) == inner(x, other(y))


def slow_conv(x, w, stride, padding):
    shape, o = Conv2d(stride, padding).shape(x.shape, w.shape), w.shape[0]
    padded = np.zeros((*x.shape[:2], x.shape[2] + 2 * padding[0], x.shape[3] + 2 * padding[1]), object)
    padded[:, :, padding[0] : padding[0] + x.shape[2], padding[1] : padding[1] + x.shape[3]] = x
    x = padded
    out = np.zeros(shape, object)
    for i, j in np.ndindex(shape[2:]):
        window = x[:, :, i * stride[0] : i * stride[0] + w.shape[2], j * stride[1] : j * stride[1] + w.shape[3]]
        for k in range(o):
            out[:, k, i, j] = [sum((one * w[k].astype(object)).reshape(-1)) % P for one in window]
    return out


@pytest.mark.parametrize(("stride", "padding"), [((1, 1), (1, 1)), ((2, 2), (0, 0)), ((2, 1), (1, 2))])
def test_convolutions(stride, padding):
    """<g, conv(x, w)> = <conv_input(g, w), x> = <conv_weight(g, x), w>"""
    x, w = draw(2, 3, 7, 6), draw(4, 3, 3, 2, seed=1)
    y = Conv2d(stride, padding)(x, w)
    np.testing.assert_array_equal(y.astype(object), slow_conv(x, w, stride, padding))
    g = draw(*y.shape, seed=2)
    by_output = (g.astype(object) * y.astype(object)).sum() % P
    by_input = (Conv2dInput(stride, padding, (7, 6))(g, w).astype(object) * x.astype(object)).sum() % P
    by_weight = (Conv2dWeight(stride, padding, (3, 2))(g, x).astype(object) * w.astype(object)).sum() % P
    assert by_output == by_input == by_weight


@pytest.mark.parametrize(
    ("form", "x", "y"),
    [
        (Elementwise(), (3, 4), (3, 4)),
        (MatMul(), (3, 4), (4, 2)),
        (MatMul(True, False), (4, 3), (4, 2)),
        (MatMul(False, True), (3, 4), (2, 4)),
        (MatMul(), (2, 3, 4), (2, 4, 2)),
        (Conv2d((1, 1), (1, 1)), (2, 1, 4, 4), (3, 1, 3, 3)),
    ],
)
@pytest.mark.parametrize("k", [0, 1, P - 5])
def test_masked_products(form, x, y, k):
    """masked(d, y, x, e, k, c) = f(d, y) + f(x, e) - k f(d, e) + c"""
    d, e = draw(*x, seed=1), draw(*y, seed=2)
    xs, ys = draw(*x, seed=3), draw(*y, seed=4)
    c = draw(*form.shape(x, y), seed=5)
    plain = field.sub(field.add(form(d, ys), form(xs, e)), field.scale(form(d, e), k))
    np.testing.assert_array_equal(form.masked(d, ys, xs, e, k, c), field.add(plain, c))


@pytest.mark.parametrize(
    "bad", [None, [], ["Nothing"], ["MatMul"], ["Sum", "x", False], [["Sum"]], ["Gather", 0, [1 << 70]]]
)
def test_unknown_items_are_refused(bad):
    with pytest.raises(Mismatch):
        unpack(bad)
