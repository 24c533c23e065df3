"""Openings over whole graphs: each value once for each kind of mask, views for free, and what a sealed mask may still do."""

import numpy as np

import tacit
from tacit.graph.forms import Elementwise, MatMul
from tacit.graph.maps import Combine, Expand, Gather, Permute, Reshape, Slice, Sum
from tacit.testing.protocol import draw, linear, product, secret, truncated


def kinds(engine, since=0):
    return [(r.kind, r.shape) for r in engine.protocol.ledger[since:] if r.kind != "output"]


def run(work, parties=2, **options):
    results = tacit.run(lambda s: work(s.engine), parties=parties, timeout=20, **options)
    for other in results[1:]:
        assert other == results[0] or isinstance(other, np.ndarray)
    return results[0]


def hidden(engine, *shape):
    """A secret without an opening: neither an input nor a product of a graph that is forced with it."""
    a, b = secret(engine, draw(*shape)), secret(engine, np.ones(shape, np.uint64))
    x = product(engine, Elementwise(), a, b)
    engine.force(x)
    return x, len(engine.protocol.ledger)


def test_inputs_are_open_already():
    def work(e):
        x, y = secret(e, draw(3, 4)), secret(e, draw(4, 2), 1)
        e.force(product(e, MatMul(), x, y), product(e, MatMul(True), x, x))
        return kinds(e)

    assert run(work) == [("input", (3, 4)), ("input", (4, 2))]


def test_one_opening_serves_every_use_and_view():
    def work(e):
        x, start = hidden(e, 4, 3)
        wires = [product(e, Elementwise(), x, x), product(e, MatMul(True), x, x)]
        flat = linear(e, Reshape((12,)), x)
        wires.append(product(e, Elementwise(), flat, flat))
        rows = linear(e, Gather(0, (2, 0)), x)
        wires.append(product(e, MatMul(), rows, linear(e, Permute((1, 0)), rows)))
        e.force(*wires)
        later = product(e, Elementwise(), linear(e, Slice(1, 0, 2), x), linear(e, Slice(1, 1, 3), x))
        spread = linear(e, Expand((5, 4, 3)), linear(e, Combine((3,)), x))
        e.force(later, product(e, Elementwise(), spread, spread))
        return kinds(e, start)

    assert run(work) == [("plain", (4, 3))]


def test_a_view_opens_what_it_views():
    """Batches of a data set: the first one opens all of it, once in the whole training."""

    def work(e):
        x, start = hidden(e, 6, 3)
        for batch in ((0, 5), (1, 2), (0, 1), (3, 4)):
            rows = linear(e, Gather(0, batch), x)
            e.force(product(e, Elementwise(), rows, rows))
        return kinds(e, start)

    assert run(work) == [("plain", (6, 3))]


def test_a_sum_opens_itself_if_that_is_less():
    def work(e):
        x, start = hidden(e, 6, 3)
        total = linear(e, Sum((0,)), x)
        e.force(product(e, Elementwise(), total, total))
        small = kinds(e, start)
        e.force(product(e, Elementwise(), x, x))
        other = linear(e, Sum((1,)), x)
        e.force(product(e, Elementwise(), other, other))
        return small, kinds(e, start)

    assert run(work) == ([("plain", (3,))], [("plain", (3,)), ("plain", (6, 3))])


def test_a_truncation_opens_for_products_before_and_after_it():
    """x is opened once: as c, which serves x in any form, and y = x / 2^f in elementwise forms."""

    def work(e):
        x, start = hidden(e, 3, 3)
        y = truncated(e, x, 16)
        e.force(product(e, Elementwise(), y, y), product(e, MatMul(), x, x), product(e, Elementwise(), y, x))
        one = kinds(e, start)
        e.force(product(e, MatMul(), y, y))
        return one, kinds(e, start)

    one = [("truncation", (3, 3))]
    assert run(work) == (one, [*one, ("plain", (3, 3))])


def test_sums_of_opened_values_are_open():
    def work(e):
        (x, _), (y, start) = hidden(e, 4), hidden(e, 4)
        e.force(product(e, Elementwise(), x, y))
        mixed = linear(e, Combine((2, -5)), x, y)
        e.force(product(e, Elementwise(), mixed, mixed))
        return kinds(e, start)

    assert run(work) == [("plain", (4,)), ("plain", (4,))]


def test_a_truncation_later_in_the_graph_serves_earlier_products():
    """The order in which a script uses a value makes no difference."""

    def work(e):
        x, start = hidden(e, 3, 3)
        first = product(e, MatMul(), x, x)
        y = truncated(e, x, 16)
        e.force(first, product(e, Elementwise(), y, x), truncated(e, y, 2))
        return kinds(e, start)

    assert run(work) == [("truncation", (3, 3)), ("truncation", (3, 3))]
