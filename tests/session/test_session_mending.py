"""Whole sessions over lines that break, whatever the protocol: results are as if none had."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit.sessions.context import Context
from tacit.sessions.options import Options
from tacit.sessions.remote import joined
from tacit.sessions.session import Session
from tacit.transport import listen, make_identity

sys.path.append(str(Path(__file__).parents[1] / "transport"))
from networks import Breaking

X = np.array([[1.5, -2.0], [0.25, 3.0]])
Y = np.array([[2.0, 0.5], [-1.0, 4.0]])


def compute(session: Session) -> Any:
    x, y = session.secret(X, owner=0), session.secret(Y, owner=1)
    for _ in range(3):
        x = session.materialize((x @ y).relu() * 0.25)
    return session.reveal(x)


def right() -> np.ndarray:
    x = X
    for _ in range(3):
        x = np.maximum(x @ Y, 0) / 4
    return x


@pytest.mark.quick(2)
@pytest.mark.parametrize(("protocol", "parties"), [("spdz", 2), ("shamir", 3), ("shamir-corrected", 4)])
def test_lines_that_are_reset_change_nothing(protocol: str, parties: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(parties)
    listeners = [listen("127.0.0.1", 0) for _ in range(parties)]
    homes = [listener.getsockname() for listener in listeners]  # before their parties take the listeners
    identities = [make_identity(f"node {i}") for i in range(parties)]
    for i, identity in enumerate(identities):
        identity.save(tmp_path / f"{i}.pem", tmp_path / f"{i}.key")
    top = 4_000_000 if protocol == "spdz" else 40_000
    proxies = {
        (i, j): Breaking(homes[j], [int(rng.integers(2000, top)) for _ in range(9)])
        for i in range(parties)
        for j in range(i)
    }
    known = Context(
        parties,
        0,
        protocol,
        False,
        pins={i: identity.fingerprint() for i, identity in enumerate(identities)},
        wait=30.0,
    )
    results: dict[int, Any] = {}

    def party(me: int) -> None:
        context = replace(
            known,
            me=me,
            addresses={j: proxies[me, j].address if j < me else homes[j] for j in range(parties)},
            listener=listeners[me].detach(),
            certificate=str(tmp_path / f"{me}.pem"),
            key=str(tmp_path / f"{me}.key"),
        )
        try:
            with joined(context, Options(protocol=protocol, timeout=20.0, backend="numpy")) as session:
                results[me] = compute(session)
        except BaseException as error:
            results[me] = error
            raise

    threads = [threading.Thread(target=party, args=(i,), daemon=True) for i in range(parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    for me in range(parties):
        assert np.allclose(results[me], right(), atol=1e-3), results[me]
    assert sum(proxy.made for proxy in proxies.values()) > len(proxies)
