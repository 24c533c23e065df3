"""The guard: one bit for a step, whether any value left its contract."""

import numpy as np
import pytest

import tacit
from tacit.fixed.array import SecretArray

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
        return s.reveal(w), done, [r for r in s.engine.reveals if r.label.endswith(" guard")]

    return tacit.run(work, 2, tensors=False, timeout=20, **options)


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
    for done, message in tacit.run(work, parties, guard=True, tensors=False, timeout=20):
        assert f"step {done}:" in message
        assert abs(done - exact) <= 1


def test_it_says_nothing_of_a_training_that_converges_and_reveals_one_bit_for_a_step():
    for w, done, bits in descent(0.5, 9, guard=3):
        assert done == 9
        assert len(bits) == 3
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

    for y in tacit.run(work, 2, guard=True, tensors=False):
        np.testing.assert_allclose(y, [3071.925, 0, 0], atol=0.1)


def test_what_is_far_beyond_is_found_too():
    """x^2 = 2^24, where the contract holds 2^12."""

    def work(s):
        x = s.secret(np.array([4095.9, 1.0, 0.0]), owner=0)
        with pytest.raises(tacit.OutOfRange, match="step 1"):
            for _ in s.steps(1):
                s.engine.keep(0, (x * x).relu().number.wire)
        return True

    assert tacit.run(work, 2, guard=True, tensors=False) == [True, True]


def test_every_step_is_looked_at_though_one_was_caught():
    def work(s):
        x = s.secret(np.array([4000.0]), owner=0)
        for _ in range(3):
            with pytest.raises(tacit.OutOfRange):
                for _ in s.steps(1):
                    s.engine.keep(0, (x * x).relu().number.wire)
        return True

    assert tacit.run(work, 2, guard=True, tensors=False) == [True, True]


def test_a_multiple_that_is_compared_has_the_bits_of_the_contract():
    """64 x is the value of x at another scale; what the wire holds is inside its bound, what is compared is not."""

    def work(s):
        x = s.secret(np.array([3000.0, -700.0]), owner=0)
        with pytest.raises(tacit.OutOfRange):
            for _ in s.steps(1):
                s.reveal(64 * x >= 0)
        return True

    assert tacit.run(work, 2, guard=True, tensors=False) == [True, True]


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

    for y in tacit.run(work, 2, tensors=False, **options):
        assert (y == 2.0**integer).any()


def test_what_is_only_written_is_looked_at():
    def work(s):
        x = s.secret(np.array([4095.9, 1.0, 0.0]), owner=0)
        with pytest.raises(tacit.OutOfRange, match="step 1"):
            for _ in s.steps(1):
                s.engine.keep(0, (x * x).number.wire)
        return True

    assert tacit.run(work, 2, guard=True, tensors=False) == [True, True]


def test_parties_agree_on_the_guard():
    assert tacit.sessions.options.Options(guard=2).hello(2) != tacit.sessions.options.Options().hello(2)


def test_a_torch_model_that_diverges():
    torch = pytest.importorskip("torch")

    def work(s):
        model = s.share(torch.nn.Linear(2, 1))
        optimiser = torch.optim.SGD(model.parameters(), lr=50.0)
        with pytest.raises(tacit.OutOfRange, match="step"):
            for x in s.batches(s.secret(X, owner=0), size=20, epochs=50):
                loss = (model(x) ** 2).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return True

    assert tacit.run(work, 2, guard=True, tensors=True, timeout=20) == [True, True]
