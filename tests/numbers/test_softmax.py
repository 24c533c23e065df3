"""Softmax and its logarithm: any number of classes, any numbers that the format holds."""

import re
from pathlib import Path

import numpy as np
import pytest

import tacit
from tacit.numbers.array import SecretArray
from tacit.numbers.functions.softmax import SOFTMAX, log_softmax, logsumexp, softmax

DOCUMENTED = Path(__file__).parents[2] / "docs" / "functions.md"


def exact(x):
    e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
    return e / e.sum(-1, keepdims=True)


def exact_log(x):
    d = x - x.max(-1, keepdims=True, initial=-np.inf)
    return d - np.log(np.exp(d).sum(-1, keepdims=True))


def rows(n, format, seed=0):
    """Spread, close, equal, the extremes, ties of the largest, one far above, and all others where e^d is nearly nothing."""
    rng, limit = np.random.default_rng(seed), 2.0**format.integer - 2.0**-format.fraction
    first = np.arange(n) == 0
    found = [
        rng.normal(size=(60, n)) * 3,
        rng.normal(size=(20, n)) / 10,
        [np.full(n, v) for v in (0, limit, -limit)],
        [np.where(first, limit, -limit), np.where(first, -limit, limit), np.where(np.arange(n) < 2, 1.5, -2)],
        np.where(first, 0, -rng.uniform(1, 16, size=(60, 1)) * np.ones(n)),
    ]
    unit = 2.0**-format.fraction
    return np.clip(np.rint(np.concatenate(found) / unit) * unit, -limit, limit)


def computed(function, x, protocol="spdz", format=tacit.Format(), lift=0, **options):  # noqa: B008
    def work(s):
        number = s.secret(x, owner=0, shape=x.shape).number
        number = s.arithmetic.lift(number, number.scale + lift) if lift else number
        return s.reveal(SecretArray(s.arithmetic, function(s.arithmetic, number)))

    return tacit.run(work, parties=2, protocol=protocol, format=format, backend="numpy", **options)[0]


def agrees(got, right):
    assert (np.abs(got - right) / np.maximum(2.0**-10 * right, 2.0**-12)).max(initial=0) <= 1
    assert np.abs(got.sum(-1) - 1).max() <= right.shape[-1] * 2.0**-12


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("n", [1, 2, 3, 10, 13, 100])
def test_softmax(n, protocol):
    x = rows(n, tacit.Format())
    agrees(computed(softmax, x, protocol), exact(x))


@pytest.mark.parametrize("format", [(16, 6), (8, 5), (12, 16)])
@pytest.mark.parametrize("n", [2, 10])
def test_softmax_in_other_formats(n, format):
    format = tacit.Format(*format)
    x = rows(n, format)
    agrees(computed(softmax, x, format=format), exact(x))


def test_softmax_of_a_thousand():
    x = rows(1000, tacit.Format())[::10]
    agrees(computed(softmax, x), exact(x))


@pytest.mark.parametrize("n", [2, 10, 40])
def test_softmax_of_numbers_that_are_wider_than_the_format(n):
    """The largest is found by few bits then."""
    x = rows(n, tacit.Format(), seed=1)
    agrees(computed(softmax, x, lift=20), exact(x))


@pytest.mark.parametrize("n", [2, 10])
def test_values_stay_within_their_bits(n):
    x = rows(n, tacit.Format())
    computed(softmax, x, debug=True)
    computed(softmax, x, lift=16, debug=True)
    computed(log_softmax, x, debug=True)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3, 4), (0, 3), (3, 0)])
def test_shapes(shape):
    x = np.linspace(-2, 2, int(np.prod(shape))).reshape(shape)
    right = np.ones(()) if shape == () else exact(x)
    np.testing.assert_allclose(computed(softmax, x), right, atol=1e-3)
    np.testing.assert_allclose(computed(log_softmax, x), np.log(right), atol=2e-3)


@pytest.mark.parametrize("protocol", ["clear", "spdz"])
@pytest.mark.parametrize("n", [1, 2, 10, 100])
def test_log_softmax(n, protocol):
    x = rows(n, tacit.Format())
    right = exact_log(x)
    got = computed(log_softmax, x, protocol)
    assert (np.abs(got - right) / np.maximum(2.0**-10 * np.abs(right), 2.0**-10)).max() <= 1


def test_log_softmax_where_the_sum_is_above_the_format():
    format = tacit.Format(16, 2)
    x = rows(40, format)
    np.testing.assert_allclose(computed(log_softmax, x, format=format), exact_log(x), atol=2e-3)


def test_logsumexp():
    x = rows(10, tacit.Format(16, 6))
    right = np.log(np.exp(x).sum(-1, keepdims=True))
    np.testing.assert_allclose(computed(logsumexp, x, format=tacit.Format(16, 7)), right, atol=2e-3, rtol=2e-3)


def test_a_log_softmax_that_nobody_looks_at_takes_no_logarithm():
    def work(s):
        x = s.secret(np.zeros((4, 10)), owner=0, shape=(4, 10)).number
        only = SOFTMAX.of(log_softmax(s.arithmetic, x), len(x.shape) - 1)
        s.engine.force(only.wire)
        first = s.engine.costs.sends
        y = s.secret(np.zeros((4, 10)), owner=0, shape=(4, 10)).number
        s.engine.force(softmax(s.arithmetic, y).wire)
        return first, s.engine.costs.sends - first

    for first, second in tacit.run(work, parties=2, protocol="spdz", backend="numpy"):
        assert first == second


def test_softmax_and_its_logarithm_share_what_they_have_in_common():
    def work(s):
        x = s.secret(np.zeros((4, 10)), owner=0, shape=(4, 10)).number
        s.engine.force(log_softmax(s.arithmetic, x).wire)
        before = s.engine.costs.sends
        s.engine.force(softmax(s.arithmetic, x).wire)
        return (s.engine.costs.sends - before) / 40

    assert tacit.run(work, parties=2, protocol="spdz", backend="numpy")[0] < 20


def documented():
    """(classes, format, rounds, bytes) of the table's rows."""
    rows = re.findall(r"^\| (\d+) \| `(\d+, \d+)` \| (\d+) \| (\d+) \|", DOCUMENTED.read_text(), re.MULTILINE)
    return [(int(n), tuple(map(int, f.split(", "))), int(rounds), int(sent)) for n, f, rounds, sent in rows]


def test_the_documentation_has_costs():
    assert (10, (16, 6)) in [row[:2] for row in documented()]


@pytest.mark.parametrize(("n", "format", "rounds", "sent"), documented())
def test_rounds_and_bytes_are_those_of_the_documentation(n, format, rounds, sent):
    def work(s):
        x = s.secret(np.zeros((128, n)), owner=0, shape=(128, n))
        s.engine.force(x.number.wire)
        before = s.engine.costs.rounds, s.engine.costs.sends
        s.engine.force(softmax(s.arithmetic, x.number).wire)
        costs = s.engine.costs
        return costs.rounds - before[0], round((costs.sends - before[1]) / (128 * n))

    assert tacit.run(work, parties=2, protocol="spdz", format=tacit.Format(*format), backend="numpy")[0] == (
        rounds,
        sent,
    )


@pytest.mark.parametrize("lift", [0, 30])
def test_logsumexp_of_the_largest_numbers_has_a_bit_more_than_the_format(lift):
    f = tacit.Format()
    x = np.full((3, 50), 2.0**f.integer - 2.0**-f.fraction)
    right = x[:, :1] + np.log(50)
    np.testing.assert_allclose(computed(logsumexp, x, lift=lift, debug=True), right, atol=2e-3)
