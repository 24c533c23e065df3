"""The source by lattices: its conformance, what it makes of lists that repeat, and what it costs."""

import numpy as np
import pytest
from lattices import Crew

from tacit import _core, field
from tacit.correlations.masks import Masked, MaskReused
from tacit.correlations.requests import ProductRequest
from tacit.errors import CheatingDetected, TacitError
from tacit.field import P, size
from tacit.graph.forms import Conv2d, Conv2dInput, Conv2dWeight, Elementwise, MatMul
from tacit.graph.maps import Combine
from tacit.preprocessing.lattice import jobs
from tacit.preprocessing.lattice import link as links
from tacit.preprocessing.lattice.batch import Batch
from tacit.preprocessing.lattice.forms import Layouts, Way
from tacit.preprocessing.lattice.maker import expected_bytes, unopened
from tacit.preprocessing.lattice.shared import Shared
from tacit.protocols.plan import Plan
from tacit.testing import source


@pytest.fixture(scope="module")
def two():
    crew = Crew(2, budget=1 << 19)
    yield crew
    crew.close()


@pytest.mark.quick()
@pytest.mark.parametrize("check", source.CHECKS, ids=lambda check: check.__name__)
def test_conformance(two, check):
    check(two.run, 2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("n", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_conformance_of_more_parties(n):
    crew = Crew(n)
    chosen = (
        source.CHECKS
        if n > 3
        else [c for c in source.CHECKS if "products" in c.__name__ or "truncations" in c.__name__]
    )
    for check in chosen:
        check(crew.run, n)
    crew.close()


@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("left", [True, False])
def test_matrix_products_with_either_operand_encrypted(two, transposed, left, monkeypatch):
    encrypted(left, monkeypatch)
    x = (5, 7) if not transposed[0] else (7, 5)
    y = (7, 3) if not transposed[1] else (3, 7)
    plan = Plan(0)
    (a, _), (b, _) = plan.mask(x), plan.mask(y)
    plan.product(MatMul(*transposed), a, b)
    x, y, z = (opened(parts) for parts in zip(*two.results(lambda s: s.take(s.request(plan.requests))), strict=True))
    np.testing.assert_array_equal(z, MatMul(*transposed)(x, y))


def encrypted(left, monkeypatch):
    """The left operand, or the right one, whatever costs less."""
    cheapest = Layouts.cheapest
    monkeypatch.setattr(Layouts, "cheapest", lambda self, form, x, y, sides: cheapest(self, form, x, y, (left,)))


def opened(parts):
    total = parts[0].shares[0][0]
    for part in parts[1:]:
        total = field.add(total, part.shares[0][0])
    return total


FORMS = [
    (Conv2d((1, 1), (1, 1)), (4, 2, 6, 5), (3, 2, 3, 3)),
    (Conv2d((2, 1), (0, 1)), (4, 2, 6, 5), (3, 2, 3, 3)),
    (Conv2dInput((1, 1), (1, 1), (6, 5)), (4, 3, 6, 5), (3, 2, 3, 3)),
    (Conv2dWeight((1, 1), (1, 1), (3, 3)), (4, 3, 6, 5), (4, 2, 6, 5)),
    (MatMul(), (6, 4, 5), (6, 5, 2)),
]


@pytest.mark.parametrize(("form", "x", "y"), FORMS)
@pytest.mark.parametrize("left", [True, False])
def test_forms_with_either_operand_encrypted(two, form, x, y, left, monkeypatch):
    encrypted(left, monkeypatch)
    plan = Plan(0)
    (a, _), (b, _) = plan.mask(x), plan.mask(y)
    plan.product(form, a, b)
    given = two.results(lambda s: s.take(s.request(plan.requests)))
    p, q, z = (opened([party[i] for party in given]) for i in range(3))
    np.testing.assert_array_equal(z, form(p, q))


@pytest.mark.parametrize(("form", "x", "y"), [*FORMS[:-1], (MatMul(), (2, 9, 8), (2, 8, 9))])
@pytest.mark.parametrize("left", [True, False])
def test_large_forms_are_made_in_parts(two, form, x, y, left, monkeypatch):
    """Along an axis of the operand that is not encrypted, so that a batch stays within its budget."""
    encrypted(left, monkeypatch)
    made = []
    honest = Batch.form
    monkeypatch.setattr(Batch, "form", lambda self, way, e, f: made.append(way) or honest(self, way, e, f))

    def make():
        plan = Plan(0)
        (a, _), (b, _) = plan.mask(x), plan.mask(y)
        plan.product(form, a, b)
        return plan

    def run(n, work):
        def idle(s):
            """What is being made has its old budget at all parties."""
            s._foresight.clear()
            s._worker.submit(lambda: None).result()

        def within(s):
            idle(s)
            budget, s._maker.budget = s._maker.budget, 100
            try:
                return work(s)
            finally:
                idle(s)
                s._maker.budget = budget

        return two.run(n, within)

    p, q, z = (values[0] for values in source._values(run, 2, make))
    np.testing.assert_array_equal(z, form(p, q))
    assert len(made) > 2 * (2 if isinstance(form, MatMul) else 1)
    assert all(size(way.form.shape(way.x, way.y)) + size(way.plain) <= 50 or way.plain[way.axis] == 1 for way in made)


def test_products_of_what_is_not_uniform(two):
    """Bits and high parts are never encrypted: the other operand is, or what they are made of."""
    plan = Plan(0)
    (r, top, high), _ = plan.truncation((40,), 1 << 16, 3)
    (s, *digits), _ = plan.comparison((40,), 6, False)
    (a, _) = plan.mask((40,))
    pairs = [(top, a), (a, high), (digits[0], r), (digits[5], digits[2]), (r, s), (s, top)]
    for x, y in pairs:
        plan.product(Elementwise(), x, y)
    found = source._values(two.run, 2, lambda: plan)
    r, top, high = found[0]
    s, *digits = found[1]
    (a,) = found[2]
    numbers = [(top, a), (a, high), (digits[0], r), (digits[5], digits[2]), (r, s), (s, top)]
    for (x, y), (z,) in zip(numbers, found[3:], strict=True):
        np.testing.assert_array_equal(z, field.mul(x, y))


@pytest.mark.parametrize(("form", "x", "y"), FORMS)
@pytest.mark.parametrize("same", [0, 1])
def test_products_with_one_operand_in_common(two, form, x, y, same):
    """They are made side by side."""
    plan = Plan(0)
    common, shape = (plan.mask(x)[0], y) if same == 0 else (plan.mask(y)[0], x)
    others = [plan.mask(shape)[0] for _ in range(3)]
    for other in others:
        plan.product(form, *((common, other) if same == 0 else (other, common)))
    given = two.results(lambda s: s.take(s.request(plan.requests)))
    first, *rest = (opened([party[i] for party in given]) for i in range(7))
    for other, product in zip(rest[:3], rest[3:], strict=True):
        np.testing.assert_array_equal(product, form(first, other) if same == 0 else form(other, first))


def test_only_what_is_uniform_is_encrypted():
    plan = Plan(0)
    (a, _), (b, _) = plan.mask((4,)), plan.input_mask((4,), 1)
    (r, top, high), _ = plan.truncation((4,), 1 << 16, 3)
    (s, *digits), _ = plan.comparison((4,), 6, False)
    own = {id(request) for request in plan.requests}
    for mask in (a, b, r, s, Masked(Combine((2, 1)), (a, r))):
        assert unopened(mask, own)
        assert not unopened(mask, set()), "masks of an earlier list may be open"
    for mask in (top, high, *digits, Masked(Combine((1, 1)), (a, top))):
        assert not unopened(mask, own)
    a.sealed = True
    assert not unopened(a, own) and not unopened(Masked(Combine((2, 1)), (a, r)), own)


def test_masks_open_nothing_before_their_products_are_taken(two):
    """Whoever asks for a product, and forgets about it, cannot open a value under its masks before it was checked."""

    def work(s):
        plan = Plan(0)
        (a, _), (b, _) = plan.mask((3, 4)), plan.mask((4, 2))
        plan.requests.append(ProductRequest(2, (3, 2), MatMul(), a, b))
        ticket = s.request(plan.requests)
        for mask in (a, b):
            with pytest.raises(MaskReused, match="leased"):
                mask.seal()
        s.take(ticket)
        a.seal()
        b.seal()

    two.run(2, work)


@pytest.mark.parametrize("n", [2, 3])
def test_more_bits_than_a_polynomial_has_places(n):
    """So that of each pair of parties both encrypt, and both answer."""
    crew, plan, count = Crew(n, budget=1 << 18), Plan(0), (1 << 14) + 300
    plan.bits((count,))
    given = crew.run(n, lambda s: (s.key, s.take(s.request(plan.requests))[0].shares[0]))
    crew.close()
    alpha = sum(key for key, _ in given) % P
    total = [np.zeros(count, np.uint64)] * 2
    for _, share in given:
        total = [field.add(a, b) for a, b in zip(total, share, strict=True)]
    np.testing.assert_array_equal(total[1], field.scale(total[0], alpha))
    assert set(np.unique(total[0]).tolist()) == {0, 1} and abs(float(total[0].mean()) - 0.5) < 0.03


@pytest.mark.parametrize("counts", [(3, 40_000, 5), (20_000, 16_384, 17_000), (0, 50_000, 100), (10, 16_383, 40_000)])
def test_macs_of_narrow_numbers(two, counts, monkeypatch):
    """In rounds of other lengths than the arrays have; few narrow numbers are multiplied with the others."""
    monkeypatch.setattr(links, "PIECE", 1 << 15)
    private, narrow, joint = counts

    def work(s):
        link = s._maker.link
        small = link.random.below(narrow, 1 << 16) if link.me == 0 else np.zeros(narrow, np.uint64)
        given = [
            Shared(small, owner=0, narrow=True),
            Shared(link.random.field(private) if link.me == 1 else np.zeros(private, np.uint64), owner=1),
            Shared(link.random.field(joint)),
        ]
        link.authenticate(given)
        return link.alpha, given

    (alpha, mine), (beta, theirs) = two.run(2, work)
    for x, y in zip(mine, theirs, strict=True):
        total = field.scale(field.add(x.value, y.value), (alpha + beta) % P)
        np.testing.assert_array_equal(field.add(x.mac, y.mac), total)
    # The owner's side of each VOLE.
    np.testing.assert_array_equal(theirs[0].mac, field.add(mine[0].keys[1], field.scale(mine[0].value, beta)))


def test_what_a_plan_says_is_about_what_is_sent(two):
    plan = Plan(0)
    n = 12000
    (a, _), (b, _) = plan.mask((n,)), plan.mask((n,))
    plan.product(Elementwise(), a, b)
    plan.truncation((n,), 1 << 16, 2)
    (_, *digits), _ = plan.comparison((n,), 12, False)
    for j in range(0, 10, 2):
        plan.product(Elementwise(), digits[j + 1], digits[j])
    before = [c.meter.snapshot() for c in two.channels]
    two.results(lambda s: s.take(s.request(plan.requests)))
    expected = sum(expected_bytes(r, 2) for r in plan.requests)
    for channel, start in zip(two.channels, before, strict=True):
        assert 0.5 < channel.meter.since(start).total.sent / expected < 2


def test_lists_that_repeat_are_made_ahead(two):
    """Each has masks of its own, and products of older masks too; most lists are there before they are asked for."""
    data = Plan(0)
    (x, _) = data.mask((6, 4))
    base = two.results(lambda s: s.take(s.request(data.requests)))
    x.sealed = True
    fixed = opened([party[0] for party in base])

    def rounds():
        return two.channels[0].meter.snapshot().by_label["ciphertexts"].rounds

    seen, before = [], rounds()
    for turn in range(12):
        plan = Plan(1)
        (w, _), (v, _), (u, _) = plan.mask((4, 2)), plan.mask((4, 2)), plan.mask((6, 4))
        plan.product(MatMul(), u, w)
        plan.product(Elementwise(), w, v)
        plan.product(Elementwise(), u, x if turn != 9 else u)
        given = two.results(lambda s, plan=plan: s.take(s.request(plan.requests)))
        w, v, u, *products = (opened([party[i] for party in given]) for i in range(len(plan.requests)))
        np.testing.assert_array_equal(products[0], MatMul()(u, w))
        np.testing.assert_array_equal(products[1], field.mul(w, v))
        np.testing.assert_array_equal(products[2], field.mul(u, fixed if turn != 9 else u))
        seen.append(w)
    assert len({w.tobytes() for w in seen}) == 12
    # By themselves: the first two lists and the odd one. Ahead: 3 and 15, each in one batch.
    assert rounds() - before <= 5


def test_products_that_were_not_foreseen(two):
    """The older mask is another one than last time: that product alone is made when it is asked for."""
    data = Plan(0)
    xs = [data.mask((6, 4))[0] for _ in range(4)]
    base = two.results(lambda s: s.take(s.request(data.requests)))
    for x in xs:
        x.sealed = True
    for turn in range(8):
        plan = Plan(4)
        (w, _) = plan.mask((6, 4))
        plan.product(Elementwise(), xs[turn % 4], w)
        given = two.results(lambda s, plan=plan: s.take(s.request(plan.requests)))
        w, product = (opened([party[i] for party in given]) for i in range(2))
        np.testing.assert_array_equal(product, field.mul(opened([party[turn % 4] for party in base]), w))


def test_a_mistake_of_ones_own_names_nobody_and_a_malformed_message_names_its_sender(two):
    def work(s):
        link, peer = s._maker.link, 1 - s.me
        layout, three = link.keys.elementwise(3), np.full(3, 5, np.uint64)
        own = link.operands.encrypt([layout], [three])
        sent = link.everyone(own, {peer: len(own)}, "test")[peer]
        (theirs,) = link.checked(peer, link.operands.accept, peer, [layout], sent)
        answer = link.operands.respond(peer, layout, theirs, three, np.zeros(3, np.uint64))
        came = link.exchange({peer: [answer]}, {peer: len(answer)}, "test")[peer]
        opened = link.checked(peer, link.operands.open, layout, 3, came)
        mistakes = [
            lambda: link.checked(peer, link.operands.open, layout, 4, came),
            lambda: link.checked(peer, link.operands.accept, 7, [layout], sent),
            lambda: link.checked(peer, link.operands.meet, link.me, sent),
        ]
        lies = [
            lambda: link.checked(peer, link.operands.open, layout, 3, came[:-1]),
            lambda: link.checked(peer, link.operands.open, layout, 3, np.zeros_like(came)),
            lambda: link.checked(peer, link.operands.open_scaled, 3, came),
            lambda: link.checked(peer, link.operands.accept, peer, [layout], sent),  # a replay
        ]
        return opened, [caught(m) for m in mistakes], [caught(lie) for lie in lies]

    def caught(call):
        with pytest.raises((ValueError, TacitError)) as found:
            call()
        return found.value

    for me, (opened, mistakes, lies) in enumerate(two.run(2, work)):
        assert opened.tolist() == [25] * 3
        assert all(isinstance(m, ValueError) and "party " + str(1 - me) not in str(m) for m in mistakes)
        assert all(isinstance(lie, CheatingDetected) and f"party {1 - me} sent" in str(lie) for lie in lies)
    assert not issubclass(_core.PeerError, ValueError)


def test_the_cheaper_operand_is_encrypted(two):
    """The cost of each side is what is really sent for it."""

    def work(s):
        link, layouts = s._maker.link, s._maker.layouts
        form, x, y = MatMul(), (64, 500), (500, 3)
        costs = {left: layouts.of(Way(form, x, y, left))[1] for left in (True, False)}
        chosen = layouts.cheapest(form, x, y, (True, False))
        assert costs[chosen.left] == min(costs.values())
        spent = {}
        for left in (True, False):
            before = link.channel.meter.snapshot()
            batch = Batch(link, layouts)
            e, f = batch.joint(64 * 500 if left else 1500), batch.joint(1500 if left else 64 * 500)
            batch.form(Way(form, x, y, left), e, f)
            batch.run()
            spent[left] = (link.channel.meter.snapshot() - before).by_label
        return costs, {k: v["ciphertexts"].sent + v["products"].sent - 16 for k, v in spent.items()}

    for costs, spent in two.run(2, work):
        assert costs == spent


@pytest.mark.parametrize("bound", [1, 2, 3, 4, 1000, (1 << 40) + 1, (1 << 58) - (1 << 18), 10_737_418_240_000])
def test_parts_of_a_range(bound):
    """What is proved of each part bounds their sum."""
    rng = np.random.default_rng(0)
    values = np.array([0, bound - 1, bound // 2, *rng.integers(0, bound, 300).tolist()], np.uint64)
    parts = jobs.parts(values, bound)
    assert all((part < np.uint64(1 << width)).all() for _, width, part in parts)
    total = np.zeros_like(values)
    for weight, _, part in parts:
        total += part * np.uint64(weight)
    np.testing.assert_array_equal(total, values)
    most = sum(weight * ((1 << width) - 1) for weight, width, _ in parts)
    assert bound - 1 <= most <= bound - 1 + (bound >> 19)
