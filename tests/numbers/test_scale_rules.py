"""Scales and bits where they are easily got wrong: values at two scales, sums on the way to means, what is nearly nothing."""

import numpy as np
import pytest

import tacit
from tacit.field import CAPACITY
from tacit.numbers.array import SecretArray

MANY = 2000
"""Elements: what goes wrong in few of them only is found."""


@pytest.fixture(params=["clear", "spdz"])
def revealed(request):
    """work(session) -> secrets: their values."""

    def run(work, backend="numpy"):
        def body(session):
            return session.reveal(work(session))

        return tacit.run(body, parties=2, protocol=request.param, backend=backend, timeout=20)[0]

    return run


def full(session, value, shape=(3,), owner=0):
    return session.secret(np.full(shape, value), owner=owner, shape=shape)


def near(got, right, tolerance=1e-3):
    assert len(got) == len(right)
    for g, r in zip(got, right, strict=True):
        np.testing.assert_allclose(np.asarray(g), np.broadcast_to(r, np.shape(g)), rtol=tolerance, atol=tolerance)


def truncated(x):
    return SecretArray(x.arithmetic, x.arithmetic.rescale(x.number))


# One truncated value, twice in a sum.

SUMS = {
    "t + 2 t": (lambda t: t + t * 2.0, 3.0),
    "t - t": (lambda t: t - t, 0.0),
    "2 t - t": (lambda t: t * 2.0 - t, 1.0),
    "3 t - t": (lambda t: t * 3.0 - t, 2.0),
    "t + 1.5 t": (lambda t: t + t * 1.5, 2.5),
    "t + t / 2": (lambda t: t + t * 0.5, 1.5),
    "t + 3 t - t": (lambda t: t + t * 3.0 - t, 3.0),
    "t + a view of t": (lambda t: t + t.reshape(2, -1).reshape(-1), 2.0),
    "t and t": (lambda t: tacit.concatenate([t, t])[MANY // 2 : MANY // 2 + MANY], None),
}


@pytest.mark.parametrize("name", SUMS)
def test_squares_of_sums_in_which_a_truncated_value_occurs_twice(revealed, name):
    x = np.linspace(-4, 4, MANY)
    combine, factor = SUMS[name]

    def work(session):
        s = session.secret(x, owner=0, shape=x.shape)
        z = combine(truncated(s * s))
        return [z * z]

    right = np.roll(x * x, MANY // 2) ** 2 if factor is None else (factor * x * x) ** 2
    (got,) = revealed(work)
    np.testing.assert_allclose(got, right, atol=0.05)


def test_a_truncated_value_that_was_multiplied_before(revealed):
    x = np.linspace(-6, 6, MANY)

    def work(session):
        s = session.secret(x, owner=0, shape=x.shape)
        p = s * s
        q = p * s  # truncates p
        z, zero = p * 2.0 - p, p - p
        return [q, z * z, zero * zero]

    got = revealed(work)
    for g, r in zip(got, (x**3, x**4, 0 * x), strict=True):
        np.testing.assert_allclose(g, r, atol=0.05)


def test_squares_of_sums_of_a_place(revealed):
    """What is written to a place is truncated to its scale."""
    torch = pytest.importorskip("torch")
    x = np.linspace(1, 2, 400)

    def work(session):
        s, place = session.secret(x, owner=0, shape=x.shape), full(session, 0.0, x.shape)
        with torch.no_grad():
            place.copy_(s * s)
        three, zero, half = place * 2 + place, place - place.clone(), place + place.detach() * 0.5
        return [three * three, zero * zero, half * half]

    near(revealed(work, backend="torch"), [9 * x**4, 0 * x, 2.25 * x**4])


# One wire at two scales.


def test_a_place_that_takes_twice_a_value_that_was_truncated(revealed):
    def work(session):
        a, x, y = session.arithmetic, full(session, 2.0), full(session, 3.0, owner=1)
        p = x * x
        t = p * y  # truncates p
        return [SecretArray(a, a.like((p * 2.0).number, 16)), SecretArray(a, a.like((p * 0.25).number, 16)), t]

    near(revealed(work), [8.0, 1.0, 12.0])


@pytest.mark.parametrize("power", [-10, -20, -30, -40, -50])
def test_a_value_times_a_tiny_power_of_two_then_used_again(revealed, power):
    """The sum truncates the wire by many bits, which are not to be missed in the value itself."""

    def work(session):
        x, y = full(session, 2.0), full(session, 3.0, owner=1)
        p = x * x
        tiny = p * 2.0**power
        return [tiny + y, tiny + x * x * x, p * 0.3, p * x, p * p, tiny * 2.0**-power]

    near(revealed(work), [3 + 4 * 2.0**power, 8 + 4 * 2.0**power, 1.2, 8.0, 16.0, 4.0])


def test_a_value_times_a_large_power_of_two_then_used_again(revealed):
    def work(session):
        x, y = full(session, 2.0), full(session, 1000.0, owner=1)
        p = x * x
        large = p * 2.0**9
        return [large + y, p * x, (x * 2.0**-10) * y, x * 2.0**10, x * 2.0**40 * 2.0**-40, x * 2.0**40 * 2.0**-40 * 1.5]

    near(revealed(work), [3048.0, 8.0, 2 * 1000 / 1024, 2048.0, 2.0, 3.0])


def test_a_place_that_first_holds_something_narrow(revealed):
    """Its bits are those of its contract."""

    def work(session):
        a, x = session.arithmetic, full(session, 30.0)
        narrow = session.random((3,)) * 0.0
        place = SecretArray(a, a.like(narrow.number, narrow.number.scale))
        place = SecretArray(a, a.like((place + x).number, place.number.scale))
        y = place * place * 0.1
        z = y * place * 0.1
        return [place, y, z, z * 0.1 * y, place * 0.3 * 0.3 * 0.3 * 0.3]

    near(revealed(work), [30.0, 90.0, 270.0, 2430.0, 0.243])


@pytest.mark.parametrize("first", ["random", "zero"])
def test_a_tensor_that_first_holds_something_narrow(revealed, first):
    torch = pytest.importorskip("torch")

    def work(session):
        x = full(session, 30.0)
        place = session.random((3,)) if first == "random" else x * 0
        with torch.no_grad():
            place.mul_(0.0)
            place.add_(x)
        y = place * place * 0.1
        z = y * place * 0.1
        return [place, y, z, z * 0.1 * y, place * 0.3 * 0.3 * 0.3 * 0.3]

    near(revealed(work, backend="torch"), [30.0, 90.0, 270.0, 2430.0, 0.243])


# Means whose sum leaves the contract.


def test_means_of_large_values(revealed):
    """Sums of 400000, where the contract ends at 4096."""

    def work(session):
        x, y = full(session, 20.0, (1000,)), full(session, 20.0, (1000,), owner=1)
        p = x * y
        table = full(session, -4000.0, (64, 5))
        return [p.mean(), (p * 0.3).mean(), p.mean() * 1.5, table.mean(0), table.mean(), table.mean(axis=1) * 0.5]

    near(revealed(work), [400.0, 120.0, 600.0, -4000.0, -4000.0, -2000.0])


def test_the_loss_of_large_residuals(revealed):
    torch = pytest.importorskip("torch")

    def work(session):
        x, y = full(session, 60.0, (1000, 1)).requires_grad_(), full(session, 0.0, (1000, 1), owner=1)
        loss = torch.nn.functional.mse_loss(x, y)
        loss.backward()
        return [loss, x.grad * 500]

    near(revealed(work, backend="torch"), [3600.0, 60.0])


def test_pools_of_large_values(revealed):
    functional = pytest.importorskip("torch").nn.functional

    def work(session):
        x = full(session, 2000.0, (1, 2, 6, 6)).requires_grad_()
        kernel = full(session, 0.5, (1, 2, 1, 1), owner=1)
        pooled = functional.avg_pool2d(x, 3)
        convolved = functional.avg_pool2d(functional.conv2d(x, kernel), 3)
        overlapping = functional.avg_pool2d(x, 3, stride=1)
        (pooled.sum() + convolved.sum()).backward()
        return [pooled, convolved, overlapping, x.grad]

    near(revealed(work, backend="torch"), [2000.0, 2000.0, 2000.0, 1.5 / 9])


def test_pools_of_scaled_convolutions(revealed):
    """A pool looks at how its pending input came about; twice a value is the same wire, at another scale."""
    functional = pytest.importorskip("torch").nn.functional

    def work(session):
        x = full(session, 2.0, (1, 2, 4, 4)).requires_grad_()
        kernel = full(session, 0.5, (1, 2, 1, 1), owner=1).requires_grad_()
        bias = full(session, 1.0, (1,), owner=1).requires_grad_()
        outputs = [functional.avg_pool2d(functional.conv2d(x, kernel, bias) * 2.0, 2)]
        outputs += [functional.avg_pool2d(functional.conv2d(x, kernel) * 0.5, 2)]
        outputs += [functional.avg_pool2d(functional.conv2d(x, kernel, bias), 2) * 4.0]
        sum(o.sum() for o in outputs).backward()
        return [*outputs, x.grad, kernel.grad, bias.grad]

    # In units of the gradient of one pool's sum, over all 16 places or 4 windows.
    near(revealed(work, backend="torch"), [6.0, 1.0, 12.0, 6.5 / 4 * 0.5, 6.5 * 4 * 2.0, 6.0 * 4])


# What is nearly nothing.


@pytest.mark.parametrize("factor", [1e-8, 1e-12, 1e-18, 1e-30, 2.0**-60, 2.0**-300, (1 + 2.0**-15) * 2.0**-60])
def test_terms_below_any_unit(revealed, factor):
    def work(session):
        x, y = full(session, 2.0), full(session, 3.0, owner=1)
        tiny = x * factor
        return [tiny + x, x - tiny, tiny + 1.0, tiny + x - x, tiny * y + y, x * factor**0.5 * factor**0.5 + x]

    near(revealed(work), [2.0, 2.0, 1.0, 0.0, 3.0, 2.0])


@pytest.mark.parametrize("drop", [1, 16, 40, CAPACITY - 1, CAPACITY, CAPACITY + 1, CAPACITY + 2, 64, 100, 1000])
def test_drops_of_all_lengths(revealed, drop):
    def work(session):
        a, x = session.arithmetic, full(session, 1000.0, (MANY,))
        number = (x * x * 2.0**-10).number
        cut = SecretArray(a, a.truncate(number, drop))
        assert cut.number.scale == 42 - drop
        return [cut, cut * 2.0**-drop + x]

    cut, total = revealed(work)
    if drop < CAPACITY:
        assert np.abs(cut - 1e6 / 1024).max() <= 1.5 * 2.0 ** (drop - 42)
    else:
        assert not cut.any()
    np.testing.assert_allclose(total, 1000 + cut * 2.0**-drop, atol=1e-3)


@pytest.mark.parametrize("factor", [1e-3, 3e-9, 1e-18, 2.0**-40, 2.0**-70, 2.0**9])
def test_concatenations_of_distant_scales(revealed, factor):
    def work(session):
        x, y = full(session, 2.0), full(session, 3.0, owner=1)
        both = tacit.concatenate([x * factor, x * y, x])
        return [both, both * tacit.concatenate([y, y, y])]

    right = np.repeat([2 * factor, 6.0, 2.0], 3)
    near(revealed(work), [right, 3 * right])


def test_differences_of_a_value_and_itself(revealed):
    def work(session):
        x, y = full(session, 2.0, (MANY,)), full(session, 3.0, (MANY,), owner=1)
        p = x * y
        return [x - x, p - p, (p - p) * y, (x - x) * (p - p) + y, (p - p).sum(), (x - x) * 1000.0 + 1.0]

    near(revealed(work), [0.0, 0.0, 0.0, 3.0, 0.0, 1.0], 1e-9)


def test_times_nothing(revealed):
    def work(session):
        x = full(session, 2.0)
        zero = x * 0
        product = (x * x) * 0.0
        return [zero, zero * x * x, (zero + 5) * x * x * x, product + x, product * product, zero.mean(), zero * 1e-30]

    near(revealed(work), [0.0, 0.0, 40.0, 2.0, 0.0, 0.0, 0.0], 1e-9)


def test_numbers_without_axes(revealed):
    def work(session):
        x = session.secret(np.array(2.0), owner=0, shape=())
        total = full(session, 2.0).sum()
        return [
            x * x * x * x,
            x + 1,
            x * np.ones((2, 2)),
            total * total * total,
            x * full(session, 3.0),
            x.sum(),
            x.mean(),
        ]

    near(revealed(work), [16.0, 3.0, 2.0, 216.0, 6.0, 2.0, 2.0])


def test_arrays_without_elements(revealed):
    def work(session):
        x = session.secret(np.zeros((0, 3)), owner=0, shape=(0, 3))
        y = full(session, 2.0, (1, 3))
        cube = x * x * x
        return [cube.sum(), x @ x.T, x.T @ x, cube * 0.1 + 1.0, tacit.concatenate([x, y]) * y, x - x]

    got = revealed(work)
    assert [np.shape(g) for g in got] == [(), (0, 0), (3, 3), (0, 3), (1, 3), (0, 3)]
    near([got[0], got[2], got[4]], [0.0, 0.0, 4.0])


@pytest.mark.parametrize("addend", [1e-5, 1e-6, 1e-8, -1e-8])
def test_small_public_addends_do_not_vanish(revealed, addend):
    def work(session):
        x = full(session, 0.0)
        return [(x + addend) * 2.0**10, (x + addend) * 2.0**12 * 2.0**4, (full(session, 2.0) + addend - 2.0) * 2.0**12]

    for got, factor in zip(revealed(work), (2.0**10, 2.0**16, 2.0**12), strict=True):
        np.testing.assert_allclose(got, addend * factor, rtol=2.0**-4)


def test_an_addend_below_any_place_that_fits_is_left_out(revealed):
    near(
        revealed(lambda session: [full(session, 2.0) + 1e-14, full(session, 2.0) * full(session, 3.0) + 1e-12]),
        [2.0, 6.0],
    )


def test_matrix_products_of_numbers_that_are_finer_than_the_format(revealed):
    """Both are as wide as the format, but small: the sum of their products would not fit, nor has it to."""
    x, y = np.linspace(-7, 7, 160).reshape(4, 40), np.linspace(3, -5, 120).reshape(40, 3)

    def work(session):
        fine = tacit.Format(24, 4)
        a = session.secret(x, owner=0, shape=x.shape, format=fine)
        b = session.secret(y, owner=1, shape=y.shape, format=fine)
        return [a @ b]

    near(revealed(work), [x @ y])
