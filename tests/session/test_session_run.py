"""All parties as threads: values, inputs, tables, reveals, loops."""

import math
import re

import numpy as np
import pytest

import tacit
from tacit.sessions.session import Session


def parties(function, count=2, **options):
    return tacit.run(function, count, backend="numpy", **options)


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("topology", ["mesh", "hub"])
def test_each_party_gets_the_product(count, topology):
    x, y = np.arange(6.0).reshape(2, 3) - 2.5, np.arange(6.0).reshape(3, 2) / 4

    def script(s: Session):
        a, b = s.secret(lambda: x, owner=0), s.secret(y if s.me == count - 1 else None, owner=count - 1)
        return s.reveal(a @ b)

    for result in parties(script, count, topology=topology):
        np.testing.assert_allclose(result, x @ y, atol=1e-4)


def test_clear_is_the_same_script_without_secrecy():
    for result in parties(lambda s: s.reveal(s.secret(3.0, owner=0) * s.secret(5.0, owner=1)), protocol="clear"):
        assert result == 15.0


@pytest.mark.parametrize(
    "data",
    [
        2.0,
        [1, 2, 3],
        [[1.5, -2.0]],
        np.arange(4, dtype=np.int8),
        np.array([True, False]),
        np.zeros((0, 3)),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    ],
    ids=str,
)
def test_what_goes_in_comes_out(data):
    for result in parties(lambda s: s.reveal(s.secret(data, owner=1))):
        np.testing.assert_array_equal(result, np.asarray(data, float))
        assert np.shape(result) == np.shape(data)


def test_torch_goes_in_and_comes_out():
    torch = pytest.importorskip("torch")
    for result in parties(lambda s: s.reveal(s.secret(torch.ones(2, 2, requires_grad=True), owner=1))):
        np.testing.assert_array_equal(result, np.ones((2, 2)))


def test_a_loader_is_called_at_its_owner_alone():
    def script(s: Session):
        called = []

        def load():
            called.append(s.me)
            return [1.0]

        s.reveal(s.secret(load, owner=1))
        return called

    assert parties(script, 3) == [[], [1], []]


def test_reveal_to_some():
    def script(s: Session):
        x, y = s.secret([1.0, 2.0], owner=0), s.secret(3.0, owner=1)
        return s.reveal(x, to=1), s.reveal([x, y], to=[0, 2]), s.reveal((x, y))

    first, second, third = parties(script, 3)
    assert first[0] is None and third[0] is None
    np.testing.assert_array_equal(second[0], [1, 2])
    assert second[1] == [None, None]
    for some in (first[1], third[1], first[2], second[2], third[2]):
        np.testing.assert_array_equal(some[0], [1, 2])
        assert some[1] == 3.0 and isinstance(some[1], float)


def test_random_numbers_are_in_their_interval_and_the_same_for_all():
    results = parties(lambda s: s.reveal(s.random((200,), -1.0, 3.0)))
    np.testing.assert_array_equal(results[0], results[1])
    assert -1 <= results[0].min() < -0.5 and 2.5 < results[0].max() < 3


def test_tables_of_several_owners():
    left, right = np.arange(6.0).reshape(3, 2), np.arange(3.0)

    def script(s: Session):
        columns = s.table(columns={1: lambda: right, 0: lambda: left})
        rows = s.table(rows={0: left, 1: left + 1})
        return s.reveal([columns, rows])

    for columns, rows in parties(script):
        np.testing.assert_array_equal(columns, np.column_stack([left, right]))
        np.testing.assert_array_equal(rows, np.vstack([left, left + 1]))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"columns": {0: np.ones((3, 2)), 1: np.ones((4, 2))}}, "same number of rows"),
        ({"rows": {0: np.ones((3, 2)), 1: np.ones((3, 1))}}, "same number of columns"),
        ({"rows": {0: 1.0}}, "no table"),
    ],
)
def test_tables_that_do_not_fit(tables, message):
    with pytest.raises(tacit.BadInput, match=message):
        parties(lambda s: s.table(**tables))


def test_batches_cover_all_rows_and_open_the_data_once():
    x = np.arange(10.0).reshape(10, 1)

    def script(s: Session):
        a, y = s.secret(x, owner=0), np.arange(10.0)
        total, sizes = 0, []
        for batch, public in s.batches(a, y, batch_size=4, epochs=2):
            total = (batch * batch).sum() + total
            sizes.append(len(batch))
            assert len(public) == len(batch)
        shown = s.reveal(total)
        opened = [o for o in s.engine.protocol.ledger if o.kind == "plain"]
        return shown, sizes, len(opened)

    for shown, sizes, opened in parties(script):
        assert shown == pytest.approx(2 * float((x * x).sum()), rel=1e-3)
        assert sizes == [4, 4, 2] * 2
        assert opened == 0  # its owner's correction is the only opening of the data


def test_batches_can_keep_order_and_drop_the_rest():
    def script(s: Session):
        a = s.secret(np.arange(5.0), owner=0)
        kept = [s.reveal(b).tolist() for b in s.batches(a, batch_size=2, shuffle=False, drop_last=True)]
        return kept, list(s.steps(3))

    assert parties(script) == [([[0, 1], [2, 3]], [0, 1, 2])] * 2


def test_the_order_of_batches_follows_the_seed():
    def script(s: Session):
        a = s.secret(np.arange(8.0), owner=0)
        return [s.reveal(b).tolist() for _ in range(2) for b in s.batches(a, batch_size=8)]

    first, again, other = (parties(script, seed=seed)[0] for seed in (1, 1, 2))
    assert first == again != other
    assert first[0] != first[1]


def test_the_report_says_what_was_sent_and_revealed():
    def script(s: Session):
        s.reveal(s.secret(2.0, owner=0) * s.secret(3.0, owner=1), to=1)
        return s.report()

    for text in parties(script):
        assert "to party 1" in text and "rounds" in text and "masked openings" in text
        assert "test_session_run.py" in text


def test_the_report_counts_what_material_adds_to_the_error():
    def script(s: Session):
        s.reveal(s.secret(2.0, owner=0) * s.secret(3.0, owner=1))
        return s.report()

    for text in tacit.run(script, parties=2, dealer=False, backend="numpy"):
        line = next(line for line in text.splitlines() if line.startswith("security"))
        batches, sent = (int(n) for n in re.findall(r"(\d+) (?:batches of material|coefficients of answers)", line))
        assert batches >= 1 and sent > 10_000
        bound = float(re.search(r"at most 2\^(-[\d.]+)", line)[1])
        assert -60 < math.log2(batches * 2**-58 + sent * 2**-72) < bound < -50


def test_slow_lines_are_emulated():
    import time

    started = time.monotonic()
    parties(lambda s: s.reveal(s.secret(2.0, owner=0)), latency=10, bandwidth=100)
    assert time.monotonic() - started > 0.05


def test_a_replaced_channel_is_used():
    seen = []

    def wrap(channel, me):
        seen.append(me)
        return channel

    parties(lambda s: None, wrap=wrap)
    assert seen == [0, 1]


def test_declared_rounds_are_those_that_happened():
    def script(s: Session):
        x, y = s.secret(np.full((2, 3), 0.5), owner=0), s.secret(np.ones((3, 2)), owner=1)
        s.reveal(((x @ y) ** 2 @ (y.T @ x.T)).sum() ** 2)
        declared = s.engine.costs.rounds_by_label
        return declared, {label: total.rounds for label, total in s.meter.by_label().items() if label in declared}

    for topology in ("mesh", "hub"):
        for declared, counted in parties(script, 3, topology=topology):
            assert declared == counted and sum(declared.values()) > 4


def test_a_reveal_says_what_and_why():
    def work(s):
        s.reveal(s.secret([1.0], owner=0), name="mean income", why="agreed in March")
        return s.report()

    for report in tacit.run(work, 2, backend="numpy"):
        assert "  mean income, shape (1,), to all: agreed in March" in report.splitlines()


def test_parties_agree_on_what_a_reveal_is_called():
    with pytest.raises(tacit.Mismatch, match="name 'a'"):
        tacit.run(lambda s: s.reveal(s.secret([1.0], owner=0), name="ab"[s.me]), 2, backend="numpy", timeout=10)


@pytest.mark.parametrize(("backend", "kind"), [("numpy", "SecretArray"), ("torch", "SecretTensor")])
def test_the_backend_is_the_kind_of_secrets(backend, kind):
    assert tacit.run(lambda s: type(s.secret([1.0], owner=0)).__name__, 1, protocol="clear", backend=backend) == [kind]


def test_a_backend_that_is_not_there():
    with pytest.raises(tacit.ConfigurationError, match="backend='jax': choose one of torch, numpy"):
        tacit.run(lambda s: None, 2, backend="jax")
