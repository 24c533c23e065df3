"""Random numbers that are extracted from what all parties deal: the matrix, the digits of integers, what t parties see, costs."""

import math
from itertools import combinations, product

import numpy as np
import pytest

import tacit
from tacit import field
from tacit.correlations.layouts import layout, of_length
from tacit.field import P
from tacit.protocols.shamir import verification
from tacit.protocols.shamir.polynomials import on_polynomial, point, weights
from tacit.protocols.shamir.randomness import SETS, Digits, Extracted, SetKeys, chosen, hyper_invertible
from tacit.protocols.shamir.shares import Group
from tacit.testing import protocol

SETTINGS = [("shamir", 5, 2), ("shamir", 4, 1), ("shamir-corrected", 4, 1)]


def extracted(work, parties, threshold, name="shamir", **options):
    return tacit.run(
        work, parties=parties, threshold=threshold, protocol=name, sets=0, backend="numpy", timeout=30, **options
    )


@pytest.mark.quick(len(protocol.CHECKS))
@pytest.mark.parametrize(("name", "parties", "threshold"), SETTINGS)
@pytest.mark.parametrize("check", protocol.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, name, parties, threshold):
    check(lambda n, work: extracted(lambda s: work(s.engine), n, threshold, name), parties)


def invertible(matrix):
    rows = [list(row) for row in matrix]
    for k in range(len(rows)):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k] % P), None)
        if pivot is None:
            return False
        rows[k], rows[pivot] = rows[pivot], rows[k]
        back = pow(rows[k][k], -1, P)
        for row in rows[k + 1 :]:
            factor = row[k] * back
            row[k:] = [(a - factor * b) % P for a, b in zip(row[k:], rows[k][k:], strict=True)]
    return True


def test_the_matrix_is_hyper_invertible():
    """All square submatrices for few parties, some for many."""
    for n in (3, 4, 5):
        matrix = hyper_invertible(n)
        for size in range(1, n + 1):
            for rows, columns in product(combinations(range(n), size), repeat=2):
                assert invertible([[matrix[i][j] for j in columns] for i in rows])
    rng = np.random.default_rng(0)
    for n in (16, 40):
        matrix = hyper_invertible(n)
        for size in (1, 2, n // 2, n - 1, n):
            rows, columns = (sorted(rng.permutation(n)[:size]) for _ in range(2))
            assert invertible([[matrix[i][j] for j in columns] for i in rows])
    assert not invertible([[1, 2], [2, 4]])


def test_a_choice_by_the_number_of_sets():
    assert chosen(5, 2) is chosen(9, 3) is SetKeys
    assert chosen(9, 4) is chosen(20, 6) is chosen(40, 13) is Extracted
    for parties, threshold in ((9, 3), (9, 4), (30, 10)):
        group = Group(0, range(parties), threshold, b"session")
        count = math.comb(parties, threshold)
        assert len(group.sets) == (count if count <= SETS else 0)
        assert group.summands == (count if count <= SETS else threshold + 1)
    after = Group(0, range(12), 3, b"session").among(range(9))
    assert len(after.sets) == math.comb(9, 3)


def values_of(parties, threshold, count):
    def work(session):
        e = session.engine
        shares = e.protocol.shares
        return e._drive(shares.random((count,)), "random")

    results = extracted(work, parties, threshold)
    for k in (0, count // 2, count - 1):
        assert on_polynomial({point(i): int(r[k]) for i, r in enumerate(results)}, threshold)
    total = np.zeros(count, np.uint64)
    for w, share in zip(weights([point(i) for i in range(parties)], 0), results, strict=True):
        total = field.add(total, field.scale(share, w))
    return total, results


def uniform(values):
    assert len(np.unique(values)) == values.size
    assert 0.45 < (values < P // 2).mean() < 0.55
    assert 0.45 < (values & np.uint64(1)).mean() < 0.55


@pytest.mark.parametrize("cheaters", [(), (0, 1), (1, 4), (3, 4)])
def test_numbers_are_uniform_whatever_t_parties_deal(cheaters, monkeypatch):
    """Their shares too: two of five deal zeros."""
    original = Extracted.__init__

    def dealing_zeros(self, shares):
        original(self, shares)
        if shares.me in cheaters:
            shares.private = Zeros()

    class Zeros:
        def field(self, count):
            return np.zeros(count, np.uint64)

    monkeypatch.setattr(Extracted, "__init__", dealing_zeros)
    values, shares = values_of(5, 2, 3000)
    for found in (values, *shares):
        uniform(found)
    # What two parties hold says nothing about the value: no linear combination of their shares and it is special.
    for i, j in combinations(range(5), 2):
        uniform(field.sub(field.add(shares[i], field.scale(shares[j], 7)), values))


def test_all_outputs_of_one_row_are_independent():
    """n - t numbers come of n: given what t parties dealt, the others' n - t make any outputs equally likely."""
    for n, t in ((5, 2), (7, 3), (9, 2)):
        used = hyper_invertible(n)[: n - t]
        for honest in combinations(range(n), n - t):
            assert invertible([[row[i] for i in honest] for row in used])


def test_digits_reach_all_integers_and_no_others():
    for below, divisor in product(range(1, 41), (1, 2, 3, 4, 7, 8, 10, 16, 32, 37, 64)):
        digits = Digits(below, divisor)
        sums = {sum(c) for c in product(*((0, w) for w in digits.weights))}
        last = below if below <= divisor else -(-below // divisor) * divisor
        assert sums == set(range(last)), (below, divisor)


@pytest.mark.parametrize("bits", [1, 2, 5, 13, 19, 21, 23, 26, 29, 41, 61])
def test_digits_of_integers(bits):
    rng = np.random.default_rng(bits)
    below = of_length(bits).unit
    values = np.array([0, below - 1, *rng.integers(0, below, 300).tolist()], np.uint64)
    for divisor in (1, 2, 1 << 16, 1 << 30, 1 << 40, 1 << 57, 3, 1000, 10_737_418_240_000):
        digits = Digits(below, divisor)
        found = digits.bits(values)
        assert found.shape == (len(digits.weights), len(values)) and not (found > 1).any()
        sums, high = digits.sums(found)
        np.testing.assert_array_equal(sums, values)
        if divisor > 1:
            np.testing.assert_array_equal(high, values // np.uint64(divisor))
        largest = sum(digits.weights)
        if bits <= 21 and divisor & (divisor - 1) == 0:
            assert largest <= below - 1 + (1 << (21 - bits))  # what a cheater's integer may be
        assert largest < below + divisor


@pytest.mark.parametrize("summands", [2, 3, 4, 5, 7, 8, 9, 14])
@pytest.mark.parametrize("drop", [0, 1, 7, 16])
def test_where_a_comparison_is_exact_no_integer_is_too_large(summands, drop):
    """As `comparison.Leading` chooses the layout: no cheater can move an exact threshold."""
    for magnitude in range(1, 57):
        found = layout(magnitude + 2 + (drop > 0) + (summands - 1).bit_length())
        shift = 59 - magnitude - (drop > 0)
        if drop and drop + shift >= 58:
            continue  # such a truncation is not joined with a comparison
        assert sum(Digits(found.unit, 1 << (drop and drop + shift)).weights) == found.unit - 1
        assert found.unit == 1 or summands * found.unit <= 1 << shift


def test_costs_of_a_check():
    """Three rounds more if the pool is filled in it: at the first one."""

    def work(session):
        e = session.engine
        spent = []
        for count in (64, 5000, 64):
            a = protocol.secret(e, protocol.draw(count))
            e.force(protocol.product(e, protocol.Elementwise(), a, a))
            before = e.channel.meter.snapshot()
            e.check()
            spent.append(e.channel.meter.since(before).total.rounds - verification.rounds(count) - 1)
        return spent

    assert extracted(work, 4, 1) == [[3, 0, 0]] * 4


@pytest.mark.quick(1)
@pytest.mark.parametrize(("parties", "threshold"), [(16, 7), (20, 6)])
def test_many_parties_train_a_linear_model(parties, threshold):
    """Products, truncations, a comparison and reveals, where the number of sets asks for extraction."""
    assert math.comb(parties, threshold) > SETS
    rng = np.random.default_rng(0)
    data = rng.normal(size=(8, 2))
    right = data @ [[0.5], [-1.0]]

    def work(session):
        x, y = session.secret(data, owner=0), session.secret(right, owner=parties - 1)
        w = session.secret(np.zeros((2, 1)), owner=1)
        for _ in range(2):
            w = session.materialize(w - 0.5 * ((x.T @ (x @ w - y)) / 8))
        return session.reveal(w), session.reveal(w.relu())

    w = np.zeros((2, 1))
    for _ in range(2):
        w -= 0.5 * data.T @ (data @ w - right) / 8
    run = tacit.run(work, parties=parties, threshold=threshold, protocol="shamir", backend="numpy", timeout=60)
    for found, positive in run:
        assert np.abs(found - w).max() < 1e-3
        assert np.abs(positive - np.maximum(w, 0)).max() < 1e-3
