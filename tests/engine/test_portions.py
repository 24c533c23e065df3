"""A graph that needs more material than is held at once takes it portion by portion, and gives the same."""

import weakref

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.correlations.masks import MaskReused
from tacit.correlations.requests import ComparisonRequest
from tacit.engine.passes import pieces
from tacit.engine.passes.pieces import LARGE
from tacit.errors import Mismatch
from tacit.graph.forms import Elementwise, MatMul
from tacit.graph.maps import Reshape, Sum
from tacit.graph.operations import AtLeast, Public, Winners
from tacit.graph.wires import Wire
from tacit.protocols.base import HELD
from tacit.protocols.plan import Plan
from tacit.sessions.options import Options
from tacit.testing.protocol import draw, linear, product, secret, truncated

PORTION = 1 << 15
KINDS = {
    "spdz": {"parties": 2},
    "spdz-hub": {"parties": 3, "topology": "hub"},
    "shamir": {"parties": 3, "protocol": "shamir"},
    "shamir-corrected": {"parties": 4, "protocol": "shamir-corrected"},
}


def run(work, portion=PORTION, kind="spdz"):
    def body(session):
        session.engine.portion = portion
        return work(session.engine)

    return tacit.run(body, timeout=20, backend="numpy", **KINDS[kind])


class Counted:
    """Bytes of what a source gave that are still there, and the most there were."""

    def __init__(self, source):
        self.now = self.most = 0
        self._take, source.take = source.take, self.take

    def take(self, ticket):
        given = self._take(ticket)
        for material in given:
            material.shares = tuple(tuple(self._noted(part) for part in share) for share in material.shares)
        self.most = max(self.most, self.now)
        return given

    def _noted(self, part):
        part = part.copy()
        self.now += part.nbytes
        weakref.finalize(part, self._gone, part.nbytes)
        return part

    def _gone(self, count):
        self.now -= count


def data(rows):
    """Clear of zero by the comparisons' resolution, and of each other by what truncations round."""
    rng = np.random.default_rng(0)
    values = np.broadcast_to(np.array([4, 3, -1, -2]) << 28, (rows, 4))
    return rng.permuted(values, axis=1) + rng.integers(0, 1 << 26, (rows, 4))


def layered(e, rows=150):
    """Products, truncations, comparisons and winners that all depend on each other."""
    x = secret(e, field.from_signed(data(rows)))
    w = secret(e, field.from_signed(np.eye(4, dtype=np.int64) << 16), 1)
    y = truncated(e, product(e, MatMul(), x, w), 16, 50)
    sign = e.record(AtLeast((0, 1000), 40, 16), (y,), (2, *y.shape), "sign")
    x = product(e, Elementwise(), y, linear(e, Sum((0,)), sign))
    best = e.record(Winners(41), (x,), x.shape, "winners")
    exact = e.record(AtLeast((5,), 40, 0), (x,), (1, *x.shape), "exact")
    return x, best, exact


def expected(rows=150):
    x = data(rows)
    x = x * ((x >= 0).astype(int) + (x >= 1000))
    return x, np.eye(4, dtype=int)[x.argmax(-1)], (x >= 5).astype(int)[None]


def close(found, right):
    """But for what truncations round."""
    x, best, exact = (field.to_signed(v) for v in found)
    np.testing.assert_allclose(x, right[0], atol=100)
    np.testing.assert_array_equal(best, right[1])
    np.testing.assert_array_equal(exact, right[2])


@pytest.mark.quick(2)
@pytest.mark.parametrize("kind", KINDS)
def test_no_more_is_held_than_a_portion(kind):
    def work(e):
        counted, e.unchecked = Counted(e.source), 0  # operands of products that are to be checked are held too
        x, best, exact = layered(e, rows)
        prepared = e.prepare(x, best, exact)
        total = sum(r.bytes for portion in prepared.portions for r in portion.requests) + counted.most
        count = len(prepared.portions)
        e.run(prepared)
        return e.reveal([x, best, exact]), counted.most, total, count

    rows = 150 if kind.startswith("spdz") else 40
    for found, most, total, count in run(work, kind=kind):
        close(found, expected(rows))
        assert count > 5 and total > 5 * PORTION
        # What a product takes of the portion's masks comes on top.
        assert most < PORTION * 5 // 4


def test_one_portion_is_as_before():
    def work(e):
        prepared = e.prepare(*layered(e))
        return len(prepared.portions), prepared.plan.rounds

    (small, more), (whole, rounds) = run(work)[0], run(work, 0)[0]
    assert whole == 1 < small and rounds < more
    assert run(work, 1 << 40)[0] == (1, rounds)


@pytest.mark.parametrize("kind", KINDS)
def test_no_comparison_is_larger_than_was_thought(kind):
    def work(e):
        one, many = Wire(Public(np.zeros(1, np.uint64)), (), (1,), "x"), Wire(Public(np.zeros(9)), (), (1, 9), "x")
        found = []
        for bits in (0, 21):
            for thresholds in ((0,), (0, 1, 2)):
                sign = Wire(AtLeast(thresholds, 57, bits), (one,), (len(thresholds), 1), "sign")
                found.append(pieces._material(e.protocol, sign, (), Plan(0)) / len(thresholds))
        best = Wire(Winners(57), (many,), (1, 9), "winners")
        return [*found, pieces._material(e.protocol, best, (9,), Plan(0)) / 81]

    assert LARGE / 10 < max(run(work, kind=kind)[0]) <= LARGE


def test_parties_cut_alike():
    assert Options(memory=200).hello(2) != Options().hello(2)

    def work(e):
        e.portion = PORTION << e.protocol.me
        e.force(*layered(e))

    with pytest.raises(Mismatch, match="in portions that begin with requests"):
        run(work)


def test_what_pieces_open():
    """A comparison opens its value, and its result too: products with them open nothing more."""

    def work(e):
        a = secret(e, field.from_signed(np.arange(-60, 60) << 30))
        x = product(e, Elementwise(), a, secret(e, np.ones(120, np.uint64)))
        y = truncated(e, x, 20)
        sign = e.record(AtLeast((0,), 17, 0), (y,), (1, 120), "sign")
        z = product(e, Elementwise(), y, linear(e, Reshape((120,)), sign))
        e.force(z, product(e, Elementwise(), x, x), product(e, Elementwise(), y, y))
        kinds = [(r.kind, r.shape) for r in e.protocol.ledger if r.kind != "input"]
        return kinds, e.reveal([z])[0]

    kinds, z = run(work, 10_000)[0]
    assert len([k for k in kinds if k[0] == "comparison"]) > 3
    assert not [k for k in kinds if k[0] == "plain"]
    values = np.arange(-60, 60) << 10
    np.testing.assert_allclose(field.to_signed(z), values * (values >= 0), atol=1)


def test_a_value_that_is_truncated_and_compared_in_pieces():
    def work(e):
        a = secret(e, field.from_signed(np.arange(-150, 150).reshape(3, 100) << 30))
        x = product(e, Elementwise(), a, secret(e, np.ones((3, 100), np.uint64)))
        y, sign = truncated(e, x, 14, 38), e.record(AtLeast((0,), 38, 14), (x,), (1, 3, 100), "sign")
        e.force(y, sign, *(product(e, Elementwise(), v, v) for v in (x, y) if e.protocol.name == "spdz"))
        kinds = [r.kind for r in e.protocol.ledger if r.kind != "input"]
        return e.reveal([y, sign]), kinds

    for kind in KINDS:
        (y, sign), kinds = run(work, 10_000, kind)[0]
        values = np.arange(-150, 150).reshape(3, 100) << 16
        assert np.abs(field.to_signed(y) - values).max() <= 3
        assert (sign[0] == (values >= 0))[values != 0].all()
        assert set(kinds) == {"comparison"} and len(kinds) > 3, "opened once for both"


def test_masks_are_leased_when_it_is_their_products_turn():
    plan = Plan(0, 100)
    (a, _), (b, _) = plan.mask((4,)), plan.mask((4,))
    first = plan.task(lambda: None, (), "first", 1)
    (c, _) = plan.mask((4,))
    plan.product(Elementwise(), a, c)
    second = plan.task(lambda: None, (), "second", 1)
    one, two = plan.portions()
    assert (len(one.requests), len(two.requests)) == (2, 2) and (one.tasks, two.tasks) == ([first], [second])
    assert a.state == b.state == "fresh", "what is opened before a product's other mask is there is no use encrypted"
    assert second.depth == 2 == plan.rounds, "one after the other"
    a.seal()
    two.lease()
    assert c.state == "leased"
    with pytest.raises(MaskReused):
        c.seal()
    two.release()
    c.seal()


def test_products_stay_with_their_masks():
    """A mask that opened a value is encrypted no more: a product of two such would take a further one."""
    plan = Plan(0, 200)
    (a, _), (b, _) = plan.mask((4,)), plan.mask((4,))
    plan.task(lambda: None, (), "opens")
    for _ in range(3):
        plan.product(Elementwise(), a, b)
        plan.task(lambda: None, (), "multiplies")
    plan.mask((4,))
    plan.task(lambda: None, (), "opens")
    assert [[type(r).__name__ for r in p.requests] for p in plan.portions()] == [
        ["MaskRequest"] * 2 + ["ProductRequest"] * 3,
        ["MaskRequest"],
    ]


def test_comparisons_take_about_a_portion():
    """However they are cut, a few large pieces are made, since making much at once is cheaper."""

    def work(e):
        x = secret(e, draw(500) >> np.uint64(21))
        asked = []
        request = e.source.request
        e.source.request = lambda requests: asked.append(list(requests)) or request(requests)
        e.force(e.record(AtLeast((0,), 40, 16), (x,), (1, 500), "sign"))
        rows = [r.shape[0] for requests in asked for r in requests if isinstance(r, ComparisonRequest)]
        return [sum(r.bytes for r in requests) for requests in asked], rows

    (_, *sizes), rows = run(work)[0]
    assert min(sizes) > PORTION * 0.8 and max(sizes) <= PORTION
    assert sum(rows) == 500 and max(rows) - min(rows) < 10


def test_checks_between_portions():
    """Values that were opened are not held until the graph's end.

    What waits is at most `unchecked` and what one portion opens: its elements, and HELD more for each array.
    """
    limit = 5000

    def work(e, unchecked):
        e.unchecked, held, opened, settle = unchecked, [], [0], e._settle

        def counted(steps):
            value = yield from steps
            opened[-1] += value.size + HELD
            return value

        def watched(prepared):
            held.append(e.protocol.unchecked())
            opened.append(0)
            settle(prepared)

        for name in ("open", "open_bits"):
            made = getattr(e.protocol, name)
            setattr(e.protocol, name, lambda *given, made=made: counted(made(*given)))
        e._settle = watched
        e.force(*layered(e))
        return held, opened[:-1], e.protocol.checks

    for (held, opened, _), (all, each, none) in zip(
        run(lambda e: work(e, limit)), run(lambda e: work(e, 1 << 22)), strict=True
    ):
        assert held == waiting(opened, limit) and max(held) <= limit + max(opened)
        assert all == waiting(each, 1 << 22) and none == 0
        assert max(all) > 2 * (limit + max(opened)), "or the first would not show that there were checks"


def waiting(opened, limit):
    """What waits for a check after each portion, if there is one whenever that is above the limit."""
    held = 0
    return [(held := (0 if held > limit else held) + more) for more in opened]
