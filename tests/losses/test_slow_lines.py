"""Slow is not dead: a count waits for what is under way, and for nobody who only lets bytes trickle."""

import socket
import threading
import time

import numpy as np
import pytest

from tacit.errors import PartyLost, TacitError
from tacit.testing.nodes import Failing
from tacit.transport.counting import PATIENCE, Count
from tacit.transport.endpoint import Endpoint
from tacit.transport.identity import make_identity
from tacit.transport.listening import listen
from tacit.transport.membership import Viewed
from tests.losses.failing import RIGHT, at, compute, run

RATE = 50_000
FRAME = 400_000
"""Eight seconds, for a patience of five."""


def slow(address):
    """A line of `RATE` bytes a second each way to what listens at `address`; where it begins."""
    front = socket.socket()
    front.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    front.bind(("127.0.0.1", 0))
    front.listen(4)

    def pump(source, sink):
        try:
            while data := source.recv(4096):
                time.sleep(len(data) / RATE)
                sink.sendall(data)
        except OSError:
            pass

    def serve():
        while True:
            near, _ = front.accept()
            far = socket.create_connection(address)
            for sock in (near, far):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return front.getsockname()


def together(*works):
    results = [None] * len(works)

    def one(i):
        try:
            results[i] = works[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
        assert not thread.is_alive()
    return results


def test_who_is_sending_a_long_frame_is_not_lost():
    """Party 2 dies while it is under way: the other two find each other, though the call of the one is behind it."""
    listeners = [listen("127.0.0.1", 0) for _ in range(3)]
    identities = [make_identity(str(i)) for i in range(3)]
    addresses = {i: sock.getsockname() for i, sock in enumerate(listeners)}
    pins = {i: identity.certificate for i, identity in enumerate(identities)}
    line = slow(addresses[0])
    ends = [
        Endpoint(
            i,
            {**addresses, 0: line if i == 1 else addresses[0]},
            identities[i],
            {j: p for j, p in pins.items() if j != i},
            listener=listeners[i],
        )
        for i in range(3)
    ]
    channels = together(*(lambda e=e: e.channel("online", range(3), timeout=2.0, within=60) for e in ends))

    def party(i):
        channel = Viewed(channels[i], b"session", ends[i].signatures)
        if i == 2:
            channel.exchange({}, {0: 8})
            channels[2].close()
            return None
        with pytest.raises(TacitError):
            out = {1: [bytes(FRAME)], 2: [bytes(8)]} if i == 0 else {0: [bytes(8)]}
            channel.exchange(out, {1 - i: FRAME, 2: 8})
        lost = [2] if 2 in channel.peers else []
        return Count(channel, lost, 0, False, True, [frozenset(range(3))], 1).run().members

    results = together(*(lambda i=i: party(i) for i in range(3)))
    for end, channel in zip(ends, channels, strict=True):
        channel.close()
        end.close()
    assert results[:2] == [{0, 1}, {0, 1}]


class Moving(Failing):
    """`channel` on which bytes of party 4 move at a rate, and never make a frame."""

    def __init__(self, channel, rate, until):
        super().__init__(channel, lambda round, where: None)
        self._rate, self._until = rate, until

    def progress(self, peer):
        return int(self._rate * min(self.now(), self._until)) if peer == 4 else 0


@pytest.mark.parametrize(("rate", "waits"), [(100, False), (10_000, True)])
def test_a_party_that_only_trickles_is_lost(rate, waits, monkeypatch):
    timeout, until = 1.0, 20.0
    monkeypatch.setattr(
        "tests.losses.failing.Failing",
        lambda channel, fate: Failing(channel, fate) if channel.me == 4 else Moving(channel, rate, until),
    )
    fates = {i: at(20, "hang") if i == 4 else None for i in range(5)}
    outcome = run(compute, 5, 1, fates, timeout=timeout)
    assert sorted(outcome.results) == [0, 1, 2, 3]
    assert all(np.abs(r - RIGHT).max() < 1e-3 for r in outcome.results.values())
    assert isinstance(outcome.sessions[0].lost_parties[0], PartyLost)
    patience = PATIENCE * timeout
    if waits:
        assert until < outcome.seconds < until + 2 * patience
    else:
        assert outcome.seconds < until / 2
