"""Long graphs take time in proportion to their length, and a long loop keeps no more alive than a short one."""

import gc
import itertools
import threading
from collections import Counter

import numpy as np
import pytest

import tacit
from tacit.graph.wires import Wire

pytestmark = pytest.mark.alone


def proportional(work, length):
    """`work(n)(session)` is right, and takes no more than in proportion to n: what is quadratic takes four times as many calls.

    Gives what party 0 got for the whole length.
    """
    counts = []
    for n in (length // 2, length):
        calls = itertools.count()
        threading.setprofile(lambda frame, event, arg, calls=calls: next(calls) if event == "call" else None)
        try:
            result = tacit.run(work(n), parties=2, backend="numpy")[0]
        finally:
            threading.setprofile(None)
        counts.append(next(calls))
    assert counts[0] > 10 * length and counts[1] < 2.5 * counts[0], counts
    return result


def test_a_thousand_additions():
    def work(n):
        def add(session):
            total = session.secret(np.ones(2), owner=0, shape=(2,))
            parts = [session.secret(np.full(2, 2.0**-8), owner=1, shape=(2,)) for _ in range(4)]
            for i in range(n):
                total = total + parts[i % 4]
            return session.reveal(total * total)

        return add

    np.testing.assert_allclose(proportional(work, 1000), (1 + 1000 / 256) ** 2, atol=1e-3)


def test_a_chain_of_views():
    def work(n):
        def turn(session):
            x = session.secret(np.array([[1.0, 2.0], [3.0, 4.0]]), owner=0, shape=(2, 2))
            for _ in range(n):
                x = x.T
            return session.reveal(x @ x)

        return turn

    np.testing.assert_allclose(proportional(work, 600), [[7, 10], [15, 22]], atol=1e-3)


def test_a_graph_with_exponentially_many_paths():
    """Each value is made of the two before it."""

    def numbers(n, a, b):
        for _ in range(n):
            a, b = b, a - b
        return b

    def work(n):
        def paths(session):
            a, b = (session.secret(np.full(2, v), owner=0, shape=(2,)) for v in (2.0**-14, 2.0**-13))
            b = numbers(n, a, b)
            return session.reveal(b * b)

        return paths

    np.testing.assert_allclose(proportional(work, 26), numbers(26, 2.0**-14, 2.0**-13) ** 2, atol=1e-3)


# What is kept alive.


def alive():
    gc.collect()
    kinds = Counter(type(o).__name__ for o in gc.get_objects())
    return {kind: kinds[kind] for kind in ("Wire", "Opening", "Mask", "Masked", "Late", "Task", "Number")}


def counted(loop, at=(40, 50, 59)):
    """What is alive after these steps of `loop(session)`, a generator that yields once in each step.

    The first comes late: openings of up to MAX_LEAVES masks are carried along, and a step may add one.
    """
    counts, together = [], threading.Barrier(2)

    def work(session):
        for step, _ in enumerate(loop(session)):
            if step in at:
                together.wait(60)
                if session.me == 0:
                    counts.append(alive())
                together.wait(60)

    tacit.run(work, parties=2, backend="numpy", timeout=30)
    assert len(counts) == len(at)
    return counts


def test_training_keeps_a_constant_number_of_values():
    """Gradient descent with momentum."""
    x = np.random.default_rng(0).normal(size=(32, 3))
    y = x @ [[0.5], [-1.0], [0.25]]

    def loop(session):
        data, target = session.secret(x, owner=0, shape=x.shape), session.secret(y, owner=1, shape=y.shape)
        weights = session.secret(np.zeros((3, 1)), owner=0, shape=(3, 1))
        momentum = weights * 0.5
        for step in session.steps(60):
            gradient = data.T @ (data @ weights - target)
            momentum = momentum * 0.9 + gradient * (1 / 32)
            weights = weights - momentum * 0.05
            session.engine.keep(1, weights.number.wire)
            session.engine.keep(2, momentum.number.wire)
            del gradient
            yield step

    first, *later = counted(loop)
    assert later == [first] * len(later)


def test_a_running_total_keeps_a_constant_number_of_values():
    """Its opening follows from those of all that was added."""

    def loop(session):
        rows = session.secret(np.ones((60, 3)), owner=0, shape=(60, 3))
        total = session.secret(np.zeros(3), owner=1, shape=(3,))
        for step in session.steps(60):
            total = total + rows[step]
            session.engine.keep(1, total.number.wire)
            yield step

    first, *later = counted(loop)
    assert later == [first] * len(later)


def test_a_chain_of_views_that_is_forced_each_step_keeps_a_bounded_part_of_itself():
    def work(s):
        x = s.secret([[1.0, 2.0], [3.0, 4.0]], owner=0)
        counts = []
        for step in s.steps(120):
            x = x.T
            s.engine.keep(1, x.number.wire)
            if step in (60, 119):
                gc.collect()
                counts.append(sum(type(o) is Wire for o in gc.get_objects()))
        return counts

    for early, late in tacit.run(work, parties=2, backend="numpy"):
        assert late <= early + 30


def test_a_shifted_value_may_be_opened_after_many_steps():
    def work(s):
        x = s.secret([1.0, 2.0], owner=0)
        for turn in range(300):
            x = x + (0.5 if turn % 2 else -0.5)
            s.engine.force(x.number.wire)
        return s.reveal(x * x)

    for value in tacit.run(work, parties=2, backend="numpy"):
        np.testing.assert_allclose(value, [1, 4], atol=1e-3)
