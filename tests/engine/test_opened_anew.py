"""Where the parties make products themselves, what was opened before is opened anew: once in a graph, whatever uses it there."""

import numpy as np

import tacit
from tacit import field
from tacit.graph.forms import Elementwise, MatMul
from tacit.testing.protocol import product, secret


def run(work):
    def body(session):
        session.engine.protocol.reuses = False  # as without a dealer; a dealer gives the same
        return work(session.engine)

    return tacit.run(body, parties=2, timeout=20, backend="numpy")


def openings(e, work):
    seen = len(e.protocol.ledger)
    work()
    return [(r.label.rpartition(" ")[2], r.shape, r.kind) for r in e.protocol.ledger[seen:] if r.kind != "output"]


def test_once_for_all_products_of_a_graph():
    a, b = np.arange(12).reshape(4, 3), np.arange(6).reshape(3, 2)

    def work(e):
        x, w = secret(e, field.from_signed(a)), secret(e, field.from_signed(b), 1)

        def both():
            z = product(e, MatMul(), x, w)
            found.append(field.to_signed(e.reveal([product(e, MatMul(True), x, z)])[0]))

        found = []
        return [openings(e, both) for _ in range(3)], found

    anew = [("MatMul", (4, 3), "anew"), ("MatMul", (3, 2), "anew"), ("MatMul", (4, 2), "plain")]
    for steps, found in run(work):
        assert [sorted(s) for s in steps[1:]] == [sorted(anew)] * 2 and not any(k == "anew" for *_, k in steps[0])
        for value in found:
            np.testing.assert_array_equal(value, a.T @ (a @ b))


def test_one_operand_of_an_elementwise_product():
    a = np.arange(12)

    def work(e):
        x, y = secret(e, field.from_signed(a)), secret(e, field.from_signed(a), 1)
        found = []

        def times():
            found.append(field.to_signed(e.reveal([product(e, Elementwise(), x, y)])[0]))

        return [openings(e, times) for _ in range(2)], found

    for (_, second), found in run(work):
        assert second == [("Elementwise", (12,), "anew")]
        for value in found:
            np.testing.assert_array_equal(value, a * a)
