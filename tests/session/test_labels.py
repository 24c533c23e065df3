"""Class labels of one party: what enters, what is refused, and how little an error says."""

import numpy as np
import pytest

import tacit

Y = np.array([2, 0, 1, 2])


def test_without_torch_labels_are_one_hots():
    def script(s):
        y = s.labels(Y, 3, owner=1)
        assert isinstance(y, tacit.SecretArray)
        return s.reveal([y, s.rows(y, [0, 3])])

    for whole, rows in tacit.run(script, 2, backend="numpy"):
        np.testing.assert_array_equal(whole, np.eye(3)[Y])
        np.testing.assert_array_equal(rows, np.eye(3)[[2, 2]])


def test_only_the_owner_loads_and_one_opening_serves_all_batches():
    def script(s):
        y = s.labels((lambda: Y) if s.me == 1 else None, 3, name="kinds", owner=1)
        for rows in s.batches(y, batch_size=2, shuffle=False):
            s.reveal((rows * rows).sum(axis=0))
        return [r.kind for r in s.engine.protocol.ledger]

    assert all(kinds == ["input", "output", "output"] for kinds in tacit.run(script, 2, backend="numpy"))


@pytest.mark.parametrize("wrong", [[0, 3, 1], [0, -1, 1], [0, 1, 0.5]])
def test_the_owner_is_told_the_first_wrong_label_and_the_others_that_there_is_one(wrong):
    def script(s):
        with pytest.raises(tacit.TacitError) as raised:
            s.labels(wrong if s.me == 1 else None, 3, owner=1)
        message = str(raised.value)
        assert "labels of party 1" in message and "0 to 2" in message
        assert ("the first is" in message) == (s.me == 1)
        raise ValueError("checked")

    with pytest.raises(ValueError, match="checked"):
        tacit.run(script, 2, backend="numpy")


def test_numbers_of_classes_that_differ_are_found():
    def script(s):
        y = s.labels(Y if s.me == 1 else None, 3 + s.me, owner=1)
        s.reveal(y)

    with pytest.raises(tacit.Mismatch):
        tacit.run(script, 2, backend="numpy")


def test_arguments():
    def script(s):
        with pytest.raises(ValueError, match="num_classes=0"):
            s.labels(Y, 0, owner=1)
        with pytest.raises(ValueError, match="owner=1"):
            s.labels(Y, 3, owner=1)
        with pytest.raises(tacit.BadInput, match="declared"):
            s.labels(Y, 3, owner=0, shape=(5,))
        return s.reveal(s.labels(Y.reshape(2, 2), 3, owner=0, shape=(2, 2)))

    (got,) = tacit.run(script, 1, protocol="clear", backend="numpy")
    np.testing.assert_array_equal(got, np.eye(3)[Y.reshape(2, 2)])
