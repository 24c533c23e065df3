"""Real processes that are killed, stopped, or misbehave after they were let in."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import socket
import threading
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from networks import Clock, connection, endpoints, identity, pins, tls, together, until

from tacit.errors import Mismatch, PartyLost, PeerStopped
from tacit.testing.transport import run, swap
from tacit.transport import HEADER_SIZE, Channel, Endpoint, Identity, TcpChannel
from tacit.transport.channel import Skip
from tacit.transport.wire import Kind, header

SIZE = 1000


def _swap_for_ever(addresses: dict[int, tuple[str, int]], own: Identity, known: dict[int, bytes]) -> None:
    channel = Endpoint(2, addresses, own, known, always=True).channel("online", [0, 1], {})
    while True:
        swap(channel, SIZE)


@contextmanager
def third_process(timeout: float) -> Iterator[tuple[list[Channel], int]]:
    """Parties 0 and 1 here, party 2 in a process of its own."""
    ends = endpoints(3)
    addresses = {i: end.address for i, end in enumerate(ends)}
    ends.pop().close()  # its port is the process's own: where nothing listens any more, a process has died
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_swap_for_ever, args=(addresses, identity(2), pins(3, 2)), daemon=True)
    process.start()
    channels = together(*[lambda e=e: e.channel("online", range(3), {}, timeout=timeout, within=60) for e in ends])
    try:
        assert process.pid is not None
        yield channels, process.pid
    finally:
        process.kill()
        process.join(10)
        for closing in (*channels, *ends):
            closing.close()


def reached(channel: Channel, bytes_moved: int) -> bool:
    return channel.progress(2) == bytes_moved


@pytest.mark.parametrize(("what", "timeout"), [(signal.SIGKILL, 600.0), (signal.SIGSTOP, 4.0)])
def test_a_process_that_goes_is_named_by_both_others(what: signal.Signals, timeout: float) -> None:
    """One that was killed long before the time-out."""
    with third_process(timeout) as (channels, pid):

        def work(channel: Channel) -> None:
            for k in range(100_000):
                if channel.me == 0 and k == 50:
                    # All have sent: if it stopped after one send, who waits for the others would look as silent as it.
                    more = channel.progress(2) + 2 * (SIZE + HEADER_SIZE)
                    until(partial(reached, channels[1], more))
                    os.kill(pid, what)
                swap(channel, SIZE, "multiply")

        for error in run(channels, work, limit=60):
            assert isinstance(error, PartyLost) and error.party == 2 and error.operation == "multiply"


def test_a_process_that_is_halted_for_a_while_is_waited_for() -> None:
    with third_process(600.0) as (channels, pid):

        def work(channel: Channel) -> int:
            for k in range(60):
                if channel.me == 0 and k == 30:
                    os.kill(pid, signal.SIGSTOP)
                    threading.Timer(0.5, os.kill, (pid, signal.SIGCONT)).start()
                swap(channel, SIZE)
            return k

        assert run(channels, work, limit=60) == [59, 59]


def test_a_stalled_process_does_not_hold_up_a_farewell() -> None:
    with third_process(3.0) as (channels, pid):
        swap_all = run(channels, lambda c: len(swap(c, SIZE)))
        assert swap_all == [2, 2]
        os.kill(pid, signal.SIGSTOP)
        data = bytes(32 << 20)
        errors = run(channels, lambda c: c.exchange({2: [data]}, {}))
        assert all(isinstance(e, PartyLost) and e.party == 2 for e in errors)
        assert run(channels[:1], lambda c: c.stop("lost party 2"), limit=30) == [None]
        error = run(channels[1:], lambda c: c.exchange({}, {0: 1}))[0]
        assert isinstance(error, PeerStopped) and error.party == 0 and error.message == "lost party 2"


def test_what_was_not_sent_in_time_is_never_sent() -> None:
    """After a failed exchange the caller may reuse its buffers: no later content of theirs may get out."""
    channels = tls(2, timeout=0.3)
    data = bytearray(32 << 20)
    assert isinstance(run(channels[:1], lambda c: c.exchange({1: [data]}, {}))[0], PartyLost)
    data[:] = b"\xff" * len(data)
    error = run(channels, lambda c: c.exchange({1: [b"a"]}, {}), lambda c: c.exchange({}, {0: 32 << 20}))[0]
    assert isinstance(error, PartyLost)
    channels[0].stop("time-out")
    channels[0].close()
    link = channels[1]._links[0]
    run(channels[1:], lambda c: c.exchange({}, {0: 32 << 20}))
    assert b"\xff" not in link._body
    channels[1].close()


class Trickle:
    """Party 0 sends `pieces`, each of them 40 s after the one before came, until party 1, whose time-out is 60 s, has `done`."""

    def __init__(self, patch: pytest.MonkeyPatch, slowest: float) -> None:
        patch.setattr("tacit.transport.tcp.SLOWEST", slowest)
        self.channels = tls(2, timeout=60.0)
        self.clock, self.done = Clock(patch), threading.Event()

    def send(self, pieces: Iterable[bytes]) -> None:
        receiver, sock = self.channels[1], connection(self.channels[0], 1)
        for piece in pieces:
            came = receiver.progress(0) + len(piece)
            sock.send(piece)
            until(partial(self._took, came))
            if self.done.is_set():
                return
            self.clock.forward(40.0, receiver)

    def _took(self, came: int) -> bool:
        return self.channels[1].progress(0) == came or self.done.is_set()

    def receive(self, size: int) -> object:
        try:
            return self.channels[1].exchange({}, {0: size})
        finally:
            self.done.set()

    def close(self) -> None:
        for channel in self.channels:
            channel.close()


def test_a_byte_now_and_then_is_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Trickle(monkeypatch, slowest=0.01)
    pieces = [header(Kind.DATA, 4), *(bytes([k]) for k in b"slow")]
    assert together(lambda: line.send(pieces), lambda: line.receive(4))[1] == {0: b"slow"}
    line.close()


def test_who_announces_much_and_trickles_is_lost_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Trickle(monkeypatch, slowest=200.0)
    pieces = itertools.chain([header(Kind.DATA, 1 << 30)], itertools.repeat(b"x"))
    error = together(lambda: line.send(pieces), lambda: line.receive(1 << 30))[1]
    assert isinstance(error, PartyLost) and "slower than" in error.why and not error.silent
    line.close()


def test_who_was_halted_itself_blames_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sleep that ended far too late: this process did not run, and the others may have waited for it."""
    channels = tls(2, timeout=60.0)
    clock = Clock(monkeypatch)
    monkeypatch.setattr("tacit.transport.tcp.LATE", 1.0)
    halted, wait = threading.Event(), TcpChannel._wait

    def halting(self: TcpChannel, *given: Any) -> dict[int, int]:
        if self.me or halted.is_set():
            return wait(self, *given)
        clock.forward(600.0)
        halted.set()
        return {}

    monkeypatch.setattr(TcpChannel, "_wait", halting)

    def answer() -> object:
        assert halted.wait(30)
        return channels[1].exchange({0: [b"a"]}, {})

    assert together(lambda: channels[0].exchange({}, {1: 1}), answer)[0] == {1: b"a"}
    for channel in channels:
        channel.close()


def test_progress_shows_a_frame_that_is_under_way() -> None:
    """Who votes on lost parties tells by it that a frame is in transit."""
    channels = tls(2, timeout=0.2)
    sock = connection(channels[0], 1)
    seen = []
    for piece in (header(Kind.DATA, 5000), bytes(3000), b"", bytes(2000)):
        sock.send(piece)
        with contextlib.suppress(PartyLost):
            channels[1].exchange({}, {0: 5000})
        seen.append(channels[1].progress(0))
    assert seen == [8, 3008, 3008, 5008]
    for channel in channels:
        channel.close()


@pytest.mark.parametrize("limit", [1 << 40, 1 << 32, Skip(64)])
def test_memory_is_taken_for_what_came_not_for_what_a_header_says(limit: int) -> None:
    channels = tls(2, timeout=0.3)
    sock = connection(channels[0], 1)
    sock.send(header(Kind.DATA, 1 << 32) + bytes(1000))
    tracemalloc.start()
    try:
        error = run(channels[1:], lambda c: c.exchange({}, {0: limit}))[0]
        assert isinstance(error, PartyLost) and tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    for channel in channels:
        channel.close()


@pytest.mark.parametrize(
    ("sent", "kind", "why"),
    [
        (b"\xff" * 64, PartyLost, "a frame header that no tacit party sends"),
        (header(Kind.DATA, 1 << 39), Mismatch, "at most 8"),
        (bytes([1, 0, 0, 0, 0, 1, 0, 1]), PartyLost, "header"),
        (bytes(3), PartyLost, "nothing came"),
        (header(Kind.STOP, 4) + b"\xff\xfe\x00\x1b", PeerStopped, ""),
        (header(Kind.END, 0), PartyLost, "closed"),
    ],
)
def test_a_party_that_was_let_in_sends_garbage(sent: bytes, kind: type[Exception], why: str) -> None:
    channels = tls(2, timeout=0.5)
    connection(channels[0], 1).send(sent)
    error = run(channels[1:], lambda c: c.exchange({}, {0: 8}, label="open"))[0]
    assert isinstance(error, kind) and why in str(error)
    for channel in channels:
        channel.close()


def test_a_send_that_failed_in_an_earlier_round_is_found_at_once() -> None:
    channels = tls(2, timeout=600)
    channels[0]._links[1].cannot_send = True
    channels[1].close()
    error = run(channels[:1], lambda c: c.exchange({1: [b"a"]}, {}), limit=60)[0]
    assert isinstance(error, PartyLost)
    channels[0].close()


def test_what_came_is_read_before_time_is_up() -> None:
    channels = tls(3)
    for sender in channels[1:]:
        sender.exchange({0: [b"a"]}, {})
    assert channels[0].exchange({}, {1: 1, 2: 1}, timeout=0).keys() == {1, 2}
    with pytest.raises(PartyLost, match="nothing came"):
        channels[0].exchange({}, {1: 1, 2: 1}, timeout=0)
    for channel in channels:
        channel.close()


def test_bytes_that_are_no_tls_end_the_connection() -> None:
    channels = tls(2, timeout=5)
    raw = socket.socket(fileno=os.dup(connection(channels[0], 1).fileno()))
    raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    error = run(channels[1:], lambda c: c.exchange({}, {0: 8}))[0]
    assert isinstance(error, PartyLost) and "damaged" in error.why
    raw.close()
    for channel in channels:
        channel.close()
