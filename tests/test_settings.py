"""Which settings of a test `make test` runs (`tests.helpers.settings`)."""

from types import SimpleNamespace

import pytest

from tests.helpers.settings import _left_out, full


def slow(settings):
    return [tuple(s.values) for s in settings if any(mark.name == "slow" for mark in s.marks)]


def test_all_but_the_default_settings_are_slow():
    assert slow(full([2, 3, 5])) == [(3,), (5,)]
    assert slow(full([2, 3, 5], 5, 3)) == [(2,)]
    assert slow(full([(3, 1), (5, 2)], (5, 2))) == [(3, 1)]
    assert slow(full([pytest.param(1, id="one"), pytest.param(2, id="two")], "two")) == [(1,)]


def test_a_default_that_is_no_setting_is_an_error():
    with pytest.raises(AssertionError, match="no setting"):
        full([2, 3], 4)


def test_the_chosen_settings_have_as_many_values_as_can_be():
    items = [
        SimpleNamespace(nodeid=f"test[{a}-{b}]", callspec=SimpleNamespace(params={"a": a, "b": b}))
        for b in ("clear", "spdz")
        for a in ("x", "y", "z")
    ]
    left = _left_out(items, 2)
    chosen = [item.nodeid for item in items if item not in left]
    assert chosen == ["test[y-clear]", "test[x-spdz]"]
    assert len(_left_out(items, 6)) == 0
