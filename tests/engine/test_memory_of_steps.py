"""A training of any length holds its memory: what is kept of a step is let go of, or bounded."""

import gc
import tracemalloc

import numpy as np
import pytest
from tests.helpers.settings import full

import tacit
from tacit.preprocessing import dealer
from tacit.protocols import base as protocols

KINDS = {
    "clear": {"parties": 2, "protocol": "clear"},
    "dealer": {"parties": 2},
    "guard": {"parties": 2, "guard": 3},
    "shamir": {"parties": 3, "protocol": "shamir"},
}
STEPS = 16


@pytest.mark.parametrize("kind", full(KINDS, "clear", "dealer"))
def test_steps_leave_nothing_behind(kind, monkeypatch):
    """When nothing waits for a check and the bounded ledgers are full; a step that is kept would be tens of kilobytes."""
    monkeypatch.setattr(protocols, "REMEMBERED", 8)
    monkeypatch.setattr(dealer, "CACHE", 1 << 14)
    held = []

    def work(s):
        x, w = s.secret(np.full((8, 3), 0.1), owner=0), s.secret(np.ones((3, 1)), owner=1)
        for turn in s.steps(3 * STEPS):
            hidden = (x @ w).relu()
            w = w - 0.1 * (x.T @ (hidden - 1.0)) * 0.125
            s.engine.keep(0, w.number.wire)
            s.reveal(hidden.sum())
            if turn >= STEPS and turn % STEPS == STEPS - 1:
                s.engine.check()
                if s.me == 0:
                    gc.collect()
                    held.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    try:
        tacit.run(work, backend="numpy", timeout=60, **KINDS[kind])
    finally:
        tracemalloc.stop()
    assert (held[1] - held[0]) / STEPS < 2000


@pytest.mark.parametrize("kind", ["dealer", "shamir"])
def test_what_waits_for_a_check_is_bounded_however_small_it_is(kind):
    """An array counts for `HELD` elements besides its own."""

    def work(s):
        s.engine.unchecked = 20 * protocols.HELD
        x, most = s.secret(0.5, owner=0), 0
        for _ in range(100):
            x = s.materialize(x * x + 0.25)
            most = max(most, s.engine.protocol.unchecked())
        return most, s.engine.protocol.checks

    for most, checks in tacit.run(work, backend="numpy", timeout=20, **KINDS[kind]):
        assert most <= 30 * protocols.HELD and checks >= 2
