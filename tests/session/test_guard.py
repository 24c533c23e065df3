"""The guard: one bit for a step, whether any value left its contract."""

from contextlib import nullcontext

import numpy as np
import pytest

import tacit
from tacit.engine import guard as guards
from tacit.numbers.array import SecretArray

X = np.linspace(-1, 1, 40).reshape(20, 2)


def descent(rate, steps, **options):
    """Gradient descent on a quadratic, which diverges for a large rate."""

    def work(s):
        x = s.secret(X, owner=0)
        w = s.secret(np.ones((2, 1)), owner=1)
        done = 0
        for _ in s.steps(steps):
            w = w - rate * (x.T @ (x @ w)) / 20
            s.engine.keep(0, w.number.wire)
            done += 1
        return s.reveal(w), done, [r for r in s.engine.reveals.elements() if r.label.endswith(" guard")]

    return tacit.run(work, 2, backend="numpy", timeout=20, **options)


@pytest.mark.parametrize("parties", [2, 3])
def test_a_training_that_diverges_is_noticed_in_its_step(parties):
    def work(s):
        x, w = s.secret(X, owner=0), s.secret(np.ones((2, 1)), owner=1)
        done = 0
        with pytest.raises(tacit.OutOfRange, match=r"step (\d+): some value left its contract") as caught:
            for _ in s.steps(100):
                w = w - 9.0 * (x.T @ (x @ w)) / 20
                s.engine.keep(0, w.number.wire)
                done += 1
        return done, str(caught.value)

    exact, w = 0, np.ones((2, 1))
    while np.abs(w).max() < 2**12:
        w = w - 9.0 * (X.T @ (X @ w)) / 20
        exact += 1
    for done, message in tacit.run(work, parties, guard=True, backend="numpy", timeout=20):
        assert f"step {done}:" in message
        assert abs(done - exact) <= 1


def test_it_says_nothing_of_a_training_that_converges_and_reveals_one_bit_for_a_step():
    for w, done, bits in descent(0.5, 9, guard=3):
        assert done == 9
        assert len(bits) == 3  # what is revealed after them was looked at then: nothing waits
        assert all(b.shape == (1, 1) for b in bits)
        assert np.abs(w).max() <= 1


def test_off_it_reveals_nothing():
    for _, _, bits in descent(0.5, 4):
        assert bits == []


def test_values_at_the_edge_of_the_contract_are_inside():
    def work(s):
        x = s.secret(np.array([4095.9, -4095.9, 0.0]), owner=0)
        for _ in s.steps(1):
            y = (x * 0.75).relu()
            s.engine.keep(0, y.number.wire)
        return s.reveal(y)

    for y in tacit.run(work, 2, guard=True, backend="numpy"):
        np.testing.assert_allclose(y, [3071.925, 0, 0], atol=0.1)


def test_what_is_far_beyond_is_found_too():
    """x^2 = 2^24, where the contract holds 2^12."""

    def work(s):
        x = s.secret(np.array([4095.9, 1.0, 0.0]), owner=0)
        with pytest.raises(tacit.OutOfRange, match="step 1"):
            for _ in s.steps(1):
                s.engine.keep(0, (x * x).relu().number.wire)
        return True

    assert tacit.run(work, 2, guard=True, backend="numpy") == [True, True]


def test_every_step_is_looked_at_though_one_was_caught():
    def work(s):
        x = s.secret(np.array([4000.0]), owner=0)
        for _ in range(3):
            with pytest.raises(tacit.OutOfRange):
                for _ in s.steps(1):
                    s.engine.keep(0, (x * x).relu().number.wire)
        return True

    assert tacit.run(work, 2, guard=True, backend="numpy") == [True, True]


def test_a_multiple_that_is_compared_has_the_bits_of_the_contract():
    """64 x is the value of x at another scale; what the wire holds is inside its bound, what is compared is not."""

    def work(s):
        x = s.secret(np.array([3000.0, -700.0]), owner=0)
        with pytest.raises(tacit.OutOfRange):
            for _ in s.steps(1):
                s.reveal(64 * x >= 0)
        return True

    assert tacit.run(work, 2, guard=True, backend="numpy") == [True, True]


@pytest.mark.parametrize("options", [{"guard": 1}, {"debug": True}])
@pytest.mark.parametrize(("integer", "drop"), [(6, 8), (6, 9), (6, 10), (12, 12)])
def test_a_bound_that_is_reached_by_rounding_is_not_left(options, integer, drop):
    """2^b - 1 is rounded up to 2^b in most of so many values."""

    def work(s):
        a = s.arithmetic
        format = tacit.Format(4, integer)
        x = s.secret(np.full(400, 2.0**integer - 1 / 16), owner=0, format=format)
        for _ in s.steps(1):
            y = a.truncate(x.number, drop)
            s.engine.keep(0, y.wire)
        return s.reveal(SecretArray(a, y))

    for y in tacit.run(work, 2, backend="numpy", **options):
        assert (y == 2.0**integer).any()


def test_what_is_only_written_is_looked_at():
    def work(s):
        x = s.secret(np.array([4095.9, 1.0, 0.0]), owner=0)
        with pytest.raises(tacit.OutOfRange, match="step 1"):
            for _ in s.steps(1):
                s.engine.keep(0, (x * x).number.wire)
        return True

    assert tacit.run(work, 2, guard=True, backend="numpy") == [True, True]


@pytest.mark.parametrize("protocol", ["spdz", "clear"])
@pytest.mark.parametrize("guard", [True, 7])
def test_a_value_that_wrapped_on_the_way_to_a_reveal_is_not_revealed(protocol, guard):
    """4000^3 = 6.4e10 is 1.1e8 mod p; a mean of squares that the loop did not force is 1.07e5, and -2.4e4 mod p."""

    def work(s):
        x = s.secret(np.array([4000.0]), owner=0)
        with pytest.raises(tacit.OutOfRange, match=r"before a reveal.*contract"):
            s.reveal(x * x * x * 2.0**-20)
        for _ in s.steps(1):
            y = s.secret(np.array([250.0, 300.0, 410.0]), owner=0)
            loss = (y * y).mean() * 2.0**-8
        with pytest.raises(tacit.OutOfRange, match="before a reveal"):
            s.reveal(loss, to=1)
        return s.reveal(x * 0.5)[0]

    assert tacit.run(work, 2, guard=guard, protocol=protocol, backend="numpy", timeout=20) == [2000.0] * 2


def test_a_value_that_is_only_computed_is_looked_at_when_the_session_ends():
    def work(s):
        x = s.secret(np.array([4000.0]), owner=0)
        s.materialize((x * x).relu())

    with pytest.raises(tacit.OutOfRange, match="before the session's end"):
        tacit.run(work, 2, guard=True, backend="numpy", timeout=20)


def test_fits_are_looked_at_step_by_step():
    """One bit for each step of a fit; without a guard, none."""
    from tacit.learn import LogisticRegression

    def work(s):
        x, y = s.secret(X, owner=0), s.labels((X[:, 0] > 0).astype(int), 2, owner=1)
        LogisticRegression(max_iter=3).fit(x, y)
        return [r.shape for r in s.engine.reveals.elements()]

    assert tacit.run(work, 2, guard=True, backend="numpy", timeout=30) == [[(1, 1)] * 3] * 2
    assert tacit.run(work, 2, backend="numpy", timeout=30) == [[]] * 2


def test_what_waits_is_bounded(monkeypatch):
    """A script without steps: values that wait for the guard are kept, so that it looks when they are many."""
    monkeypatch.setattr(guards, "CROWDED", 100)

    def work(s):
        x = s.secret(np.full(40, 0.5), owner=0)
        for _ in range(9):
            x = s.materialize((x * x + 0.25).relu())
        return s.engine.reveals.total(), s.engine.guard._elements

    for looks, waiting in tacit.run(work, 2, guard=True, backend="numpy", timeout=20):
        assert looks >= 3 and waiting <= 100


@pytest.mark.parametrize("protocol", ["spdz", "shamir", "clear"])
def test_a_revealed_value_beyond_its_contract_is_an_error_of_those_that_see_it(protocol):
    """Whoever sees it cannot take it for right; the others see nothing, not even that, and all go on alike."""

    def work(s):
        x = s.secret(np.array([4000.0, -1.0]), owner=0)
        large = x + x
        for to in (None, [0, 2], 1):
            sees = to is None or s.me in np.atleast_1d(to)
            with pytest.raises(tacit.OutOfRange, match=r"revealed .*4096") if sees else nullcontext():
                assert s.reveal([x, large], to=to) == [None, None]
        return s.reveal(x * 2.0**-2).tolist(), s.reveal((large * large * 2.0**-14).sum()) > 3000

    for quarter, right in tacit.run(work, 3, protocol=protocol, backend="numpy", timeout=20):
        assert quarter == [1000, -0.25] and right


@pytest.mark.parametrize("protocol", ["spdz", "shamir"])
def test_a_receiver_whose_script_ends_tells_the_others_nothing_of_the_value(protocol):
    """They stop, or go on without it, as whenever a script ends; its error's text stays with it."""
    told = []

    def work(s):
        x = s.secret(np.array([4000.0]), owner=0)
        s.reveal(x + x, to=1)
        try:
            s.reveal(x)
        except tacit.TacitError as error:
            told.append(str(error))
            raise

    with pytest.raises(tacit.OutOfRange, match="revealed"):
        tacit.run(work, 3, protocol=protocol, backend="numpy", timeout=5)
    assert len(told) == 2
    assert not any(word in text for text in told for word in ("4096", "contract", "OutOfRange", "revealed"))


@pytest.mark.parametrize(
    ("format", "values"), [((16, 12), [4095.99999, -4095.99999]), ((4, 6), [63.9375]), ((0, 28), [2.0**28 - 1])]
)
def test_what_is_inside_its_contract_is_revealed(format, values):
    """Rounding on the way may reach the bound; functions saturate there; whole numbers and labels have bounds of their own."""

    def work(s):
        x = s.secret(np.array(values), owner=0, format=tacit.Format(*format))
        return s.reveal(x)

    np.testing.assert_allclose(tacit.run(work, 2, format=tacit.Format(*format), backend="numpy")[0], values, atol=1e-5)


def test_functions_saturate_inside_the_contract():
    def work(s):
        x = s.secret(np.array([100.0, 2.0**-16, 8.3]), owner=0)
        return s.reveal([x.exp(), 1 / x])

    for exp, inverse in tacit.run(work, 2, backend="numpy"):
        np.testing.assert_allclose([exp[0], inverse[1]], 4096, atol=1e-3)


def test_large_classes_and_wider_inputs_have_bounds_of_their_own():
    torch = pytest.importorskip("torch")

    def work(s):
        labels = s.labels(np.array([19999, 5]), num_classes=20000, owner=0)
        wide = s.secret(np.array([100.0]), owner=1, format=tacit.Format(8, 20))
        return s.reveal(labels), s.reveal(wide)

    for labels, wide in tacit.run(work, 2, format=tacit.Format(16, 6), backend="torch"):
        assert labels.dtype == torch.int64 and labels.tolist() == [19999, 5]
        assert wide.item() == 100


def test_parties_agree_on_the_guard():
    assert tacit.sessions.options.Options(guard=2).hello(2) != tacit.sessions.options.Options().hello(2)


def test_a_torch_model_that_diverges():
    torch = pytest.importorskip("torch")

    def work(s):
        model = s.share(torch.nn.Linear(2, 1), owner=0)
        optimiser = torch.optim.SGD(model.parameters(), lr=50.0)
        with pytest.raises(tacit.OutOfRange, match="step"):
            for x in s.batches(s.secret(X, owner=0), batch_size=20, epochs=50):
                loss = (model(x) ** 2).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return True

    assert tacit.run(work, 2, guard=True, backend="torch", timeout=20) == [True, True]
